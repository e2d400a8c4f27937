"""The systemd units of a node, and their order. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vdc.cluster.kubernetes import flags
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.config_node import node_labels, taint_flags
from vdc.cluster.kubernetes.paths import CONFIG, DNS_RECORDS, ETCD, ETCD_DATA, UNITS, VOLUMES
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.kubernetes.timers import timers

_CONTROL: Final = (
    Component.ETCD,
    Component.API_SERVER,
    Component.CONTROLLER_MANAGER,
    Component.SCHEDULER,
)
_EVERYWHERE: Final = (
    Component.API_PROXY,
    Component.RUNTIME,
    Component.DNS,
    Component.KUBELET,
    Component.KUBE_PROXY,
    Component.AGENT,
)

_MODULES: Final = ("nf_conntrack", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh")

IMAGES: Final = "/usr/lib/vdc/images"
"""Archives of images (OCI) that a node has from the start."""


def units(node: Node) -> tuple[Component, ...]:
    """Return what runs on a node, in the order in which it is started."""
    return (*_CONTROL, *_EVERYWHERE) if node.control_plane else _EVERYWHERE


def unit_files(cluster: ClusterSpec, node: Node) -> Mapping[str, str]:
    """Return the unit files of a node by path, but for the agent's, which comes with it."""
    texts = {each: _UNITS[each](cluster, node) for each in units(node) if each is not Component.AGENT}
    return {f"{UNITS}/{each}.service": text for each, text in texts.items()}


def _etcd(cluster: ClusterSpec, node: Node) -> str:
    return _unit(
        "etcd member of Kubernetes",
        flags.etcd(cluster, node),
        # every second without a member is one without a spare
        restart=1,
        unit=("After=bird.service", "RequiresMountsFor=/data", "AssertPathIsMountPoint=/data"),
        service=(
            "Type=notify",
            f"EnvironmentFile={ETCD}/initial.env",
            f"ExecStartPre=/bin/mkdir -p -m 700 {ETCD_DATA}",
            "OOMScoreAdjust=-997",
            "Nice=-10",
            "LimitNOFILE=65536",
            *_go(cluster),
        ),
    )


def _api_server(cluster: ClusterSpec, node: Node) -> str:
    return _unit(
        "Kubernetes API server",
        flags.api_server(cluster, node),
        restart=timers(cluster.slowness).restart,
        unit=("After=etcd.service bird.service",),
        service=(
            "Type=notify",
            # it would wait for its watches to end, as long as a request may take (--request-timeout)
            "TimeoutStopSec=10",
            "LogsDirectory=kubernetes",
            "LogsDirectoryMode=0700",
            "OOMScoreAdjust=-997",
            "Nice=-5",
            "LimitNOFILE=65536",
            *_go(cluster),
        ),
    )


def _controller_manager(cluster: ClusterSpec, node: Node) -> str:
    del node
    line = flags.controller_manager(cluster)
    restart = timers(cluster.slowness).restart
    return _unit("Kubernetes controller manager", line, restart=restart, unit=_AFTER_PROXY, service=_client(cluster))


def _scheduler(cluster: ClusterSpec, node: Node) -> str:
    del node
    line, restart = flags.scheduler(cluster), timers(cluster.slowness).restart
    return _unit("Kubernetes scheduler", line, restart=restart, unit=_AFTER_PROXY, service=_client(cluster))


def _api_proxy(cluster: ClusterSpec, node: Node) -> str:
    del node
    config = f"{CONFIG}/haproxy.cfg"
    return _unit(
        "reverse proxy of the Kubernetes API",
        ("/usr/sbin/haproxy", "-Ws", "-f", config, "-p", "/run/haproxy.pid"),
        restart=timers(cluster.slowness).restart,
        unit=("After=bird.service",),
        service=(
            "Type=notify",
            f"ExecReload=/usr/sbin/haproxy -c -q -f {config}",
            "ExecReload=/bin/kill -USR2 $MAINPID",
            "KillMode=mixed",
            "LimitNOFILE=65536",
        ),
    )


def _runtime(cluster: ClusterSpec, node: Node) -> str:
    del node
    return _unit(
        "container runtime",
        ("/usr/bin/containerd",),
        restart=timers(cluster.slowness).restart,
        service=(
            "Type=notify",
            "ExecStartPre=-/sbin/modprobe overlay",
            # a second import of what is there already is quick
            f"ExecStartPost=/bin/sh -c 'for each in {IMAGES}/*.tar; do ctr -n k8s.io images import \"$each\"; done'",
            "Delegate=yes",
            "KillMode=process",
            "OOMScoreAdjust=-999",
            "LimitNOFILE=1048576",
            "TasksMax=infinity",
            *_go(cluster),
            *_ACCOUNTED,
        ),
    )


def _dns(cluster: ClusterSpec, node: Node) -> str:
    del node
    folder, _, _ = DNS_RECORDS.rpartition("/")
    return _unit(
        "DNS of the cluster",
        ("/usr/sbin/dnsmasq", "--keep-in-foreground", f"--conf-file={CONFIG}/dnsmasq.conf"),
        restart=timers(cluster.slowness).restart,
        service=(f"ExecStartPre=/bin/sh -c 'mkdir -p {folder} && touch {DNS_RECORDS}'",),
    )


def _kubelet(cluster: ClusterSpec, node: Node) -> str:
    line = flags.kubelet(cluster, node, labels=node_labels(node), taints=taint_flags(cluster, node))
    return _unit(
        "Kubernetes kubelet",
        line,
        restart=timers(cluster.slowness).restart,
        unit=("Wants=containerd.service", "After=containerd.service haproxy.service"),
        service=(
            "Type=notify",
            f"ExecStartPre=/bin/mkdir -p {VOLUMES}",
            "KillMode=process",
            "OOMScoreAdjust=-999",
            *_client(cluster),
            *_ACCOUNTED,
        ),
    )


def _kube_proxy(cluster: ClusterSpec, node: Node) -> str:
    del node
    modules = " ".join(_MODULES if cluster.settings.proxy == "ipvs" else _MODULES[:1])
    return _unit(
        "Kubernetes service proxy",
        flags.kube_proxy(),
        restart=timers(cluster.slowness).restart,
        unit=_AFTER_PROXY,
        service=(f"ExecStartPre=-/sbin/modprobe --all {modules}", *_client(cluster)),
    )


_AFTER_PROXY: Final = ("After=haproxy.service",)

# of its own cgroup the kubelet wants to know the use, whatever systemd does for others
_ACCOUNTED: Final = ("CPUAccounting=yes", "MemoryAccounting=yes")

_UNITS: Final = {
    Component.ETCD: _etcd,
    Component.API_SERVER: _api_server,
    Component.CONTROLLER_MANAGER: _controller_manager,
    Component.SCHEDULER: _scheduler,
    Component.API_PROXY: _api_proxy,
    Component.RUNTIME: _runtime,
    Component.DNS: _dns,
    Component.KUBELET: _kubelet,
    Component.KUBE_PROXY: _kube_proxy,
}


def _client(cluster: ClusterSpec) -> tuple[str, ...]:
    """Return the environment of what asks the API: how patient client-go is, and how many CPUs Go may use."""
    timing = timers(cluster.slowness)
    patience = f"Environment=HTTP2_PING_TIMEOUT_SECONDS={timing.ping:g}"
    # with one, Go's scheduler wakes no second thread up to look for work that is not there
    single = ("Environment=GOMAXPROCS=1",) if timing.lean else ()
    return (patience, *single, *_go(cluster))


def _go(cluster: ClusterSpec) -> tuple[str, ...]:
    """Return the environment of what is written in Go (https://pkg.go.dev/runtime#hdr-Environment_Variables).

    Where CPU is dear and memory is not, garbage is seldom collected, and no signal takes a thread off its goroutine.
    """
    return ("Environment=GOGC=400", "Environment=GODEBUG=asyncpreemptoff=1") if timers(cluster.slowness).lean else ()


def _unit(
    description: str,
    command: tuple[str, ...],
    *,
    restart: float,
    unit: tuple[str, ...] = (),
    service: tuple[str, ...] = (),
) -> str:
    program, *arguments = command
    line = " \\\n  ".join([program, *arguments])
    return "\n".join(
        [
            "[Unit]",
            f"Description={description}",
            *unit,
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            *service,
            f"ExecStart={line}",
            "Restart=always",
            f"RestartSec={restart:g}",
            "TimeoutStartSec=infinity",
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        ]
    )
