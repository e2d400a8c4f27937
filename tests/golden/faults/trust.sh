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
[ ! -e $mark.crt ] || cp --preserve=all $mark.crt /etc/vdc-etcd/member.crt
---
[ ! -e $mark.crt ] || cp --preserve=all $mark.crt /etc/kubernetes/pki/kubelet-server.crt
systemctl restart --no-block kubelet.service