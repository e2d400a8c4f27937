: vdc-fault begin frozen KEY
set -e
mkdir -p /run/vdc-faults
cat > /run/vdc-faults/KEY.begin <<'VDC-FAULT'
set -e
mark=/run/vdc-faults/KEY
systemctl kill --signal=STOP bird.service
exec sleep infinity
VDC-FAULT
cat > /run/vdc-faults/KEY.end <<'VDC-FAULT'
rm /run/vdc-faults/KEY.on 2>/dev/null || exit 0
mark=/run/vdc-faults/KEY
systemctl kill --signal=CONT bird.service
VDC-FAULT
touch /run/vdc-faults/KEY.on
systemd-run --quiet --collect --unit=vdc-fault-KEY --property=RuntimeMaxSec=5400 --property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh /run/vdc-faults/KEY.end' /bin/sh /run/vdc-faults/KEY.begin

: vdc-fault end frozen KEY
systemctl stop vdc-fault-KEY.service 2>/dev/null
[ ! -e /run/vdc-faults/KEY.end ] || sh /run/vdc-faults/KEY.end
rm -f /run/vdc-faults/KEY.*

: vdc-fault ask frozen KEY
mark=/run/vdc-faults/KEY
systemctl show --property=ActiveState,InvocationID,MainPID bird.service
main=$(systemctl show --property=MainPID --value bird.service)
echo "process=$(sed 's/.*) //; s/ .*//' /proc/$main/stat 2>/dev/null)"
echo "before=$(cat $mark.before 2>/dev/null)"
echo "count=$(cat $mark.count 2>/dev/null)"

