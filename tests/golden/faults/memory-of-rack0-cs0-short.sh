: vdc-fault begin memory KEY
set -e
mkdir -p /run/vdc-faults
cat > /run/vdc-faults/KEY.begin <<'VDC-FAULT'
set -e
mark=/run/vdc-faults/KEY
free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
take=$((free - 65536))
[ $take -gt 0 ]
(echo 1000 > /proc/self/oom_score_adj; exec dd if=/dev/zero bs=${take}K count=1 2>/dev/null) | sleep infinity
exec sleep infinity
VDC-FAULT
cat > /run/vdc-faults/KEY.end <<'VDC-FAULT'
rm /run/vdc-faults/KEY.on 2>/dev/null || exit 0
mark=/run/vdc-faults/KEY
:
VDC-FAULT
touch /run/vdc-faults/KEY.on
systemd-run --quiet --collect --unit=vdc-fault-KEY --property=RuntimeMaxSec=5400 --property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh /run/vdc-faults/KEY.end' /bin/sh /run/vdc-faults/KEY.begin

: vdc-fault end memory KEY
systemctl stop vdc-fault-KEY.service 2>/dev/null
[ ! -e /run/vdc-faults/KEY.end ] || sh /run/vdc-faults/KEY.end
rm -f /run/vdc-faults/KEY.*

: vdc-fault ask memory KEY
mark=/run/vdc-faults/KEY
sed -n 's/^MemAvailable: *\([0-9]*\) kB/available=\1/p' /proc/meminfo
sed -n 's/^some .*total=/stalled=/p' /proc/pressure/memory 2>/dev/null || :
