: vdc-fault begin files KEY
set -e
mkdir -p /run/vdc-faults
cat > /run/vdc-faults/KEY.begin <<'VDC-FAULT'
set -e
mark=/run/vdc-faults/KEY
main=$(systemctl show --property=MainPID --value vdc-etcd.service)
free=0; while [ -e /proc/$main/fd/$free ]; do free=$((free + 1)); done
prlimit --pid $main --nofile --output SOFT --noheadings > $mark.before
echo $main > $mark.main
least=$free
while prlimit --pid $main --nofile=$least:; do
  sleep 1
  free=0; while [ -e /proc/$main/fd/$free ]; do free=$((free + 1)); done
  [ $free -ge $least ] || least=$free
done
exec sleep infinity
VDC-FAULT
cat > /run/vdc-faults/KEY.end <<'VDC-FAULT'
rm /run/vdc-faults/KEY.on 2>/dev/null || exit 0
mark=/run/vdc-faults/KEY
prlimit --pid $(cat $mark.main) --nofile=$(cat $mark.before): || :
VDC-FAULT
touch /run/vdc-faults/KEY.on
systemd-run --quiet --collect --unit=vdc-fault-KEY --property=RuntimeMaxSec=5400 --property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh /run/vdc-faults/KEY.end' /bin/sh /run/vdc-faults/KEY.begin

: vdc-fault end files KEY
systemctl stop vdc-fault-KEY.service 2>/dev/null
[ ! -e /run/vdc-faults/KEY.end ] || sh /run/vdc-faults/KEY.end
rm -f /run/vdc-faults/KEY.*

: vdc-fault ask files KEY
mark=/run/vdc-faults/KEY
main=$(systemctl show --property=MainPID --value vdc-etcd.service)
free=0; while [ -e /proc/$main/fd/$free ]; do free=$((free + 1)); done
echo "free=$free"
echo "limit=$(prlimit --pid $main --nofile --output SOFT --noheadings | tr -d " ")"
