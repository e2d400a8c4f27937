: vdc-fault begin forks KEY
set -e
mkdir -p /run/vdc-faults
cat > /run/vdc-faults/KEY.begin <<'VDC-FAULT'
set -e
mark=/run/vdc-faults/KEY
group=/sys/fs/cgroup$(systemctl show --property=ControlGroup --value vdc-etcd.service)
systemctl set-property --runtime vdc-etcd.service TasksMax=$(wc -l < $group/cgroup.threads)
exec sleep infinity
VDC-FAULT
cat > /run/vdc-faults/KEY.end <<'VDC-FAULT'
rm /run/vdc-faults/KEY.on 2>/dev/null || exit 0
mark=/run/vdc-faults/KEY
rm -f /run/systemd/system.control/vdc-etcd.service.d/50-TasksMax.conf
rmdir /run/systemd/system.control/vdc-etcd.service.d 2>/dev/null
systemctl daemon-reload
VDC-FAULT
touch /run/vdc-faults/KEY.on
systemd-run --quiet --collect --unit=vdc-fault-KEY --property=RuntimeMaxSec=5400 --property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh /run/vdc-faults/KEY.end' /bin/sh /run/vdc-faults/KEY.begin

: vdc-fault end forks KEY
systemctl stop vdc-fault-KEY.service 2>/dev/null
[ ! -e /run/vdc-faults/KEY.end ] || sh /run/vdc-faults/KEY.end
rm -f /run/vdc-faults/KEY.*

: vdc-fault ask forks KEY
mark=/run/vdc-faults/KEY
group=/sys/fs/cgroup$(systemctl show --property=ControlGroup --value vdc-etcd.service)
sh -c 'echo $$ > $0/cgroup.procs && echo joined=yes && (exit 0) && echo forked=yes' $group 2>/dev/null || echo forked=no
