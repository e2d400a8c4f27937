: vdc-fault begin step KEY
set -e
mkdir -p /run/vdc-faults
cat > /run/vdc-faults/KEY.begin <<'VDC-FAULT'
set -e
mark=/run/vdc-faults/KEY
date --set '3600 seconds' >/dev/null
exec sleep infinity
VDC-FAULT
cat > /run/vdc-faults/KEY.end <<'VDC-FAULT'
rm /run/vdc-faults/KEY.on 2>/dev/null || exit 0
mark=/run/vdc-faults/KEY
date --set '3600 seconds ago' >/dev/null
VDC-FAULT
touch /run/vdc-faults/KEY.on
systemd-run --quiet --collect --unit=vdc-fault-KEY --property=RuntimeMaxSec=5400 --property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh /run/vdc-faults/KEY.end' /bin/sh /run/vdc-faults/KEY.begin

: vdc-fault end step KEY
systemctl stop vdc-fault-KEY.service 2>/dev/null
[ ! -e /run/vdc-faults/KEY.end ] || sh /run/vdc-faults/KEY.end
rm -f /run/vdc-faults/KEY.*

: vdc-fault ask step KEY
mark=/run/vdc-faults/KEY
:
