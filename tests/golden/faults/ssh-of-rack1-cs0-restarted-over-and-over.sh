: vdc-fault begin storm KEY
set -e
mkdir -p /run/vdc-faults
cat > /run/vdc-faults/KEY.begin <<'VDC-FAULT'
set -e
mark=/run/vdc-faults/KEY
another() {
  while :; do
    now=$(systemctl show --property=InvocationID --value ssh.service)
    case $(systemctl show --property=ActiveState --value ssh.service) in
      active) [ "$now" = "$1" ] || return 0;;
      failed) systemctl reset-failed ssh.service; systemctl start --no-block ssh.service;;
    esac
    sleep 0.2
  done
}
count=0
while :; do
  run=$(systemctl show --property=InvocationID --value ssh.service)
  systemctl kill --kill-who=main --signal=KILL ssh.service 2>/dev/null || :
  another "$run"
  count=$((count + 1)); echo $count > $mark.count
done
exec sleep infinity
VDC-FAULT
cat > /run/vdc-faults/KEY.end <<'VDC-FAULT'
rm /run/vdc-faults/KEY.on 2>/dev/null || exit 0
mark=/run/vdc-faults/KEY
systemctl reset-failed ssh.service 2>/dev/null
systemctl start --no-block ssh.service
VDC-FAULT
touch /run/vdc-faults/KEY.on
systemd-run --quiet --collect --unit=vdc-fault-KEY --property=RuntimeMaxSec=5400 --property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh /run/vdc-faults/KEY.end' /bin/sh /run/vdc-faults/KEY.begin

: vdc-fault end storm KEY
systemctl stop vdc-fault-KEY.service 2>/dev/null
[ ! -e /run/vdc-faults/KEY.end ] || sh /run/vdc-faults/KEY.end
rm -f /run/vdc-faults/KEY.*

: vdc-fault ask storm KEY
mark=/run/vdc-faults/KEY
systemctl show --property=ActiveState,InvocationID,MainPID ssh.service
main=$(systemctl show --property=MainPID --value ssh.service)
echo "process=$(sed 's/.*) //; s/ .*//' /proc/$main/stat 2>/dev/null)"
echo "before=$(cat $mark.before 2>/dev/null)"
echo "count=$(cat $mark.count 2>/dev/null)"

