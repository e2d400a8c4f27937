"""Configuration of what is not Kubernetes: containerd, CNI, haproxy, dnsmasq, the kernel. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from vdc.cluster.kubernetes.config_control import as_json
from vdc.cluster.kubernetes.paths import CNI_CONFIG, CNI_PLUGINS, DNS_RECORDS, PAUSE_IMAGE, PKI, REGISTRIES, url_host
from vdc.cluster.kubernetes.spec import API_PORT, PROXY_PORT, ClusterSpec, Node
from vdc.cluster.kubernetes.timers import timers
from vdc.cluster.kubernetes.versions import ip_versions, major_minor

_SNAPSHOTTERS = ("aufs", "btrfs", "devmapper", "zfs")


def containerd_config(cluster: ClusterSpec) -> str:
    """Return containerd's configuration: of version 2 up to containerd 1.7, of version 3 from 2.0 on.

    https://github.com/containerd/containerd/blob/main/docs/cri/config.md
    """
    return _containerd_2() if major_minor(cluster.versions["containerd"]) < (2, 0) else _containerd_3()


def _containerd_2() -> str:
    off = ", ".join(f'"io.containerd.snapshotter.v1.{name}"' for name in _SNAPSHOTTERS)
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
oom_score = -999
disabled_plugins = [{off}, "io.containerd.tracing.processor.v1.otlp"]

[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"

[{cri}.containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"

[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = true

[{cri}.cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{CNI_CONFIG}"

[{cri}.registry]
  config_path = "{REGISTRIES}"
"""


def _containerd_3() -> str:
    off = ", ".join(f"'io.containerd.snapshotter.v1.{name}'" for name in _SNAPSHOTTERS if name != "aufs")
    images, runtime = "plugins.'io.containerd.cri.v1.images'", "plugins.'io.containerd.cri.v1.runtime'"
    return f"""\
version = 3
oom_score = -999
disabled_plugins = [{off}, 'io.containerd.tracing.processor.v1.otlp']

[{images}]
  snapshotter = 'overlayfs'

[{images}.pinned_images]
  sandbox = '{PAUSE_IMAGE}'

[{images}.registry]
  config_path = '{REGISTRIES}'

[{runtime}.containerd]
  default_runtime_name = 'runc'

[{runtime}.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[{runtime}.containerd.runtimes.runc.options]
  SystemdCgroup = true

[{runtime}.cni]
  bin_dir = '{CNI_PLUGINS}'
  conf_dir = '{CNI_CONFIG}'
"""


def registry_files(cluster: ClusterSpec) -> Mapping[str, str]:
    """Return the files that send pulls from a registry to its mirror, by path.

    https://github.com/containerd/containerd/blob/main/docs/hosts.md
    """
    return {
        f"{REGISTRIES}/{host}/hosts.toml": f"""\
server = "https://{host}"

[host."{mirror}"]
  capabilities = ["pull", "resolve"]
"""
        for host, mirror in cluster.settings.registry_mirrors
    }


def cni_config(cluster: ClusterSpec, node: Node) -> str:
    """Return the pod network: a wire between each pod and its node, with an address of the node's own blocks.

    Which addresses are taken is forgotten with the pods, when the node reboots.
    """
    blocks = node.server.pods
    served = ip_versions(cluster)
    everything = {4: "0.0.0.0/0", 6: "::/0"}
    mtu = min((port.mtu for port in node.server.ports), default=1500)
    ptp = {
        "type": "ptp",
        "ipMasq": False,
        "mtu": mtu,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni/ipam",
            "ranges": [[{"subnet": str(block)} for block in blocks if block.version == each] for each in served],
            "routes": [{"dst": everything[each]} for each in served],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return as_json({"cniVersion": "0.4.0", "name": "pods", "plugins": [ptp, ports]})


def haproxy_config(cluster: ClusterSpec, node: Node) -> str:
    """Return the configuration of a node's reverse proxy: TCP to any API server that is ready.

    The loss of one takes its connections with it, so that watches move to another at once. Where none seems ready,
    each is tried all the same: checks may fail because this node is slow. A single API server is not checked. What
    lost its power ends no connection: the kernel does, when keepalives or data stay unanswered.
    """
    timing = timers(cluster.slowness)
    every, connect = round(1000 * timing.proxy_check), round(1000 * timing.proxy_connect)
    idle = round(timing.proxy_keepalive)
    planes = cluster.control_planes
    single = f"server {planes[0].name} {_api(planes[0])}" if len(planes) == 1 else None
    servers = (
        [single]
        if single
        else [
            *(f"server {plane.name} {_api(plane)} check" for plane in planes),
            *(f"server {plane.name}-anyway {_api(plane)} backup" for plane in planes),
        ]
    )
    checks = (
        ""
        if single
        else f"""\
    option httpchk GET /readyz
    http-check expect status 200
    option allbackups
    default-server check-ssl check-sni kubernetes verify required verifyhost kubernetes ca-file {PKI}/ca.crt \
crt {PKI}/api-proxy.pem inter {every}ms fastinter {every // 4}ms downinter {every // 2}ms fall 2 rise 1 \
observe layer4 error-limit 1 on-error fastinter on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions
"""
    )
    lines = "\n".join(f"    {server}" for server in servers)
    return f"""\
global
    log stderr format raw local0 notice
    maxconn 4000
    nbthread 1
    stats socket /run/haproxy.sock mode 600 level admin

defaults
    mode tcp
    timeout connect {connect}ms
    timeout check {2 * every}ms
    timeout client 1h
    timeout server 1h
{_keepalive("clitcpka", idle)}
{_keepalive("srvtcpka", idle)}
    option redispatch 1
    retries {max(2, len(planes))}

frontend local
    bind 127.0.0.1:{PROXY_PORT}
    bind {url_host(node.address)}:{PROXY_PORT}
    default_backend api

backend api
    log global
    balance roundrobin
    default-server tcp-ut {2 * idle}s
{checks}{lines}
"""


def _keepalive(side: str, idle: int) -> str:
    return f"""\
    option {side}
    {side}-idle {idle}s
    {side}-intvl {idle // 3}s
    {side}-cnt 3"""


def _api(node: Node) -> str:
    return f"{url_host(node.address)}:{API_PORT}"


def dnsmasq_config(cluster: ClusterSpec, node: Node) -> str:
    """Return the configuration of a node's DNS server: it knows the cluster's services, and nothing else.

    Containers have search domains, so that most questions are for names that don't exist; these are answered at once.
    """
    return f"""\
listen-address={node.address}
bind-interfaces
no-resolv
no-hosts
local=/{cluster.settings.domain}/
addn-hosts={DNS_RECORDS}
local-ttl=5
cache-size=1000
log-facility=-
pid-file=/run/dnsmasq.pid
user=root
"""


def resolv_conf(node: Node) -> str:
    """Return the resolv.conf(5) that containers without the cluster's DNS policy get."""
    return f"nameserver {node.address}\n"


def sysctls(cluster: ClusterSpec) -> str:
    """Return the kernel settings that Kubernetes needs of a node, beyond those of every server of ours."""
    lines = [
        "# a node routes for its pods",
        "net.ipv4.ip_forward = 1",
        *(["net.ipv6.conf.all.forwarding = 1"] if 6 in cluster.topology.versions else []),
        "# what a kubelet would set",
        "kernel.panic = 10",
        "kernel.panic_on_oops = 1",
        "vm.overcommit_memory = 1",
        "# one for each log that is followed, and each container",
        "fs.inotify.max_user_instances = 1024",
        "",
    ]
    return "\n".join(lines)
