nft add table inet vdc-fault-KEY
nft 'add chain inet vdc-fault-KEY refuse { type filter hook output priority -300 ; }'
for address in $(getent ahosts 192.0.2.5 | cut -d' ' -f1 | sort -u); do
  case $address in *:*) family=ip6;; *) family=ip;; esac
  nft add rule inet vdc-fault-KEY refuse $family daddr $address tcp dport 5000 reject with tcp reset
done
---
nft delete table inet vdc-fault-KEY 2>/dev/null
---
timeout 10 bash -c 'exec 3<>/dev/tcp/$0/$1' 192.0.2.5 5000 2>/dev/null && echo "registry0=yes" || echo "registry0=no"
---
if [ -e /etc/vdc-etcd/member.crt.vdc-KEY ]; then
mv /etc/vdc-etcd/member.crt.vdc-KEY /etc/vdc-etcd/member.crt
fi
rm -f /etc/vdc-etcd/member.crt.vdc-KEY.old /etc/vdc-etcd/member.crt.vdc-KEY.new
---
if [ -e /etc/kubernetes/pki/kubelet-server.crt.vdc-KEY ]; then
mv /etc/kubernetes/pki/kubelet-server.crt.vdc-KEY /etc/kubernetes/pki/kubelet-server.crt
systemctl restart --no-block kubelet.service
fi
rm -f /etc/kubernetes/pki/kubelet-server.crt.vdc-KEY.old /etc/kubernetes/pki/kubelet-server.crt.vdc-KEY.new