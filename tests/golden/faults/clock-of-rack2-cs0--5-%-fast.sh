: vdc-fault begin skew KEY
set -e
mkdir -p /run/vdc-faults
cat > /run/vdc-faults/KEY.begin <<'VDC-FAULT'
set -e
mark=/run/vdc-faults/KEY
busybox adjtimex -q -t 9500
exec sleep infinity
VDC-FAULT
cat > /run/vdc-faults/KEY.end <<'VDC-FAULT'
rm /run/vdc-faults/KEY.on 2>/dev/null || exit 0
mark=/run/vdc-faults/KEY
busybox adjtimex -q -t 10000
VDC-FAULT
touch /run/vdc-faults/KEY.on
systemd-run --quiet --collect --unit=vdc-fault-KEY --property=RuntimeMaxSec=5400 --property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh /run/vdc-faults/KEY.end' /bin/sh /run/vdc-faults/KEY.begin

: vdc-fault end skew KEY
systemctl stop vdc-fault-KEY.service 2>/dev/null
[ ! -e /run/vdc-faults/KEY.end ] || sh /run/vdc-faults/KEY.end
rm -f /run/vdc-faults/KEY.*

: vdc-fault ask skew KEY
mark=/run/vdc-faults/KEY
:
