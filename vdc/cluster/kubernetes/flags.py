"""The command lines of the control plane, of etcd and of what runs on nodes, by version. Pure.

https://kubernetes.io/docs/reference/command-line-tools-reference/ has the flags of the newest version; which ones are
gone, and since when, is in the changelogs. A flag is given only where it is not the default of every version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vdc.cluster.etcd_config import CLIENT_PORT, PEER_PORT
from vdc.cluster.kubernetes.paths import (
    AUDIT_LOG,
    CONFIG,
    ETCD,
    ETCD_DATA,
    PAUSE_IMAGE,
    RUNTIME_SOCKET,
    certificate,
    key,
    kubeconfig,
    url_host,
)
from vdc.cluster.kubernetes.spec import API_PORT, ClusterSpec, Node
from vdc.cluster.kubernetes.timers import Timers, go_duration, timers
from vdc.cluster.kubernetes.versions import ip_versions, major_minor, minor

ETCD_METRICS: Final = "http://127.0.0.1:2381"
"""Where a member tells its health without asking for a certificate."""

_IDLE: Final = (
    "attachdetach",
    "cronjob",
    "csrapproving",
    "csrcleaner",
    "csrsigning",
    "horizontalpodautoscaling",
    "replicationcontroller",
    "resourcequota",
    "ttl",
    "ttl-after-finished",
)
"""Controllers for what no cluster of ours has: clouds, metrics, quotas, signing requests. From 1.28 on these are
aliases of longer names."""
_TOKENS: Final = "serviceaccount-token"
_TOKENS_ON_DEMAND: Final = 24
"""Up to the minor before, every service account gets a secret with a token from its controller, a hundred writes when a
cluster begins, though pods get theirs from the API server (KEP-1205); from here on only who asks for one (KEP-2799)."""

Flags = Mapping[str, str]

_QUIET: Final[Flags] = {
    "enable-priority-and-fairness": "false",
    "etcd-count-metric-poll-period": "0",
    "etcd-db-metric-poll-interval": "0",
    # each kind of object has a cache, which wakes up once a second: more than half of what an idle API server does
    "watch-cache": "false",
}


_GROUPS: Final = ("api/beta=false", "discovery.k8s.io/v1beta1=true", "policy/v1beta1=true")
"""The API of 1.20 without what is beta, but for the groups that its controllers, scheduler and kube-proxy ask for. From
1.24 on, new betas are off anyway."""


def api_server(cluster: ClusterSpec, node: Node) -> tuple[str, ...]:
    """Return the API server's command line. Its etcd is the member beside it: without that one it is not ready."""
    timing = timers(cluster.slowness)
    own = url_host(node.address)
    served = ip_versions(cluster)
    flags = {
        "advertise-address": str(node.address),
        "allow-privileged": "true",
        "anonymous-auth": "false",
        "audit-log-maxbackup": "2",
        "audit-log-maxsize": "16",
        "audit-log-mode": "batch",
        "audit-log-path": AUDIT_LOG,
        "audit-policy-file": f"{CONFIG}/audit-policy.json",
        "authorization-mode": "Node,RBAC",
        "client-ca-file": certificate("ca"),
        "enable-admission-plugins": "NodeRestriction",
        "encryption-provider-config": f"{CONFIG}/encryption.json",
        "etcd-cafile": f"{ETCD}/ca.crt",
        "etcd-certfile": certificate("apiserver-etcd-client"),
        "etcd-keyfile": key("apiserver-etcd-client"),
        "etcd-servers": f"https://{own}:{CLIENT_PORT}",
        "kubelet-certificate-authority": certificate("ca"),
        "kubelet-client-certificate": certificate("apiserver-kubelet-client"),
        "kubelet-client-key": key("apiserver-kubelet-client"),
        "kubelet-preferred-address-types": "InternalIP",
        "profiling": "false",
        "proxy-client-cert-file": certificate("front-proxy-client"),
        "proxy-client-key-file": key("front-proxy-client"),
        "request-timeout": go_duration(timing.api_request),
        "requestheader-allowed-names": "front-proxy-client",
        "requestheader-client-ca-file": certificate("front-proxy-ca"),
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-username-headers": "X-Remote-User",
        "secure-port": str(API_PORT),
        "service-account-issuer": f"https://kubernetes.default.svc.{cluster.settings.domain}",
        "service-account-key-file": f"{CONFIG}/pki/sa.pub",
        "service-account-signing-key-file": key("sa"),
        "service-cluster-ip-range": ",".join(str(pool) for pool in cluster.settings.services if pool.version in served),
        "tls-cert-file": certificate("apiserver"),
        "tls-private-key-file": key("apiserver"),
    }
    return _line("kube-apiserver", {**flags, **(_quiet(cluster) if timing.lean else {})})


def signs_tokens(cluster: ClusterSpec) -> bool:
    """Return whether the controller runs that puts tokens into secrets of service accounts."""
    return not timers(cluster.slowness).lean or minor(cluster.version) >= _TOKENS_ON_DEMAND


def _idle(cluster: ClusterSpec) -> tuple[str, ...]:
    return _IDLE if signs_tokens(cluster) else tuple(sorted([*_IDLE, _TOKENS]))


def _quiet(cluster: ClusterSpec) -> Flags:
    # each kind has connections and codecs of its own: without these, starting takes a quarter less of CPU and memory
    if minor(cluster.version) >= 21:
        return _QUIET
    # with that gate, which is on from 1.21, tokens of pods are not in secrets
    tokens = {"feature-gates": "BoundServiceAccountTokenVolume=true"}
    return {**_QUIET, **tokens, "runtime-config": ",".join(_GROUPS)}


def controller_manager(cluster: ClusterSpec) -> tuple[str, ...]:
    """Return the controller manager's command line. It gives nodes no addresses: these follow from the topology."""
    timing = timers(cluster.slowness)
    own = kubeconfig("controller-manager")
    flags = {
        "authentication-kubeconfig": own,
        "authorization-kubeconfig": own,
        "bind-address": "127.0.0.1",
        "client-ca-file": certificate("ca"),
        "kubeconfig": own,
        "node-monitor-grace-period": go_duration(timing.node_grace),
        "node-monitor-period": go_duration(timing.node_monitor),
        "profiling": "false",
        "requestheader-client-ca-file": certificate("front-proxy-ca"),
        "root-ca-file": certificate("ca"),
        "service-account-private-key-file": key("sa"),
        "tls-cert-file": certificate("controller-manager"),
        "tls-private-key-file": key("controller-manager"),
        "use-service-account-credentials": "true",
        **_leader_election(cluster, timing),
        **_no_insecure_port(cluster),
    }
    if timing.lean:
        flags["controllers"] = ",".join(["*", *(f"-{name}" for name in _idle(cluster))])
    return _line("kube-controller-manager", flags)


def scheduler(cluster: ClusterSpec) -> tuple[str, ...]:
    """Return the scheduler's command line; what leads the election is in its configuration."""
    own = kubeconfig("scheduler")
    flags = {
        "authentication-kubeconfig": own,
        "authorization-kubeconfig": own,
        "bind-address": "127.0.0.1",
        "client-ca-file": certificate("ca"),
        "config": f"{CONFIG}/scheduler.json",
        "requestheader-client-ca-file": certificate("front-proxy-ca"),
        "tls-cert-file": certificate("scheduler"),
        "tls-private-key-file": key("scheduler"),
        **_no_insecure_port(cluster),
    }
    return _line("kube-scheduler", flags)


def kubelet(cluster: ClusterSpec, node: Node, *, labels: Mapping[str, str], taints: tuple[str, ...]) -> tuple[str, ...]:
    """Return the kubelet's command line: what its configuration file has no field for in that version."""
    of = minor(cluster.version)
    timing = timers(cluster.slowness)
    flags = {
        "config": f"{CONFIG}/kubelet.json",
        "hostname-override": node.name,
        "housekeeping-interval": go_duration(timing.housekeeping),
        "kubeconfig": kubeconfig("kubelet"),
        "node-ip": ",".join(str(each.ip) for each in node.server.nodes if each.version in ip_versions(cluster)),
        "node-labels": ",".join(f"{name}={value}" for name, value in labels.items()),
        # a field of the configuration from 1.23 on
        **({"register-with-taints": ",".join(taints)} if taints and of < 23 else {}),
        # the only one from 1.24 on, the flag is gone since 1.27
        **({"container-runtime": "remote"} if of < 24 else {}),
        # a field of the configuration from 1.27 on
        **({"container-runtime-endpoint": f"unix://{RUNTIME_SOCKET}"} if of < 27 else {}),
        # the runtime says itself which image that is from 1.27 on; the flag is gone since 1.35
        **({"pod-infra-container-image": PAUSE_IMAGE} if of < 27 else {}),
    }
    return _line("kubelet", flags)


def kube_proxy() -> tuple[str, ...]:
    """Return kube-proxy's command line; all else is in its configuration."""
    return _line("kube-proxy", {"config": f"{CONFIG}/kube-proxy.json"})


def etcd(cluster: ClusterSpec, node: Node) -> tuple[str, ...]:
    """Return the command line of an etcd member; which members there are at first is in its environment.

    One command line serves etcd 3.4 to 3.6 alike, so that a member can be upgraded under its data.
    """
    timing = timers(cluster.slowness)
    host = url_host(node.address)
    tls = {
        f"{peer}{name}": value
        for peer in ("", "peer-")
        for name, value in (
            ("cert-file", f"{ETCD}/member.crt"),
            ("key-file", f"{ETCD}/member.key"),
            ("trusted-ca-file", f"{ETCD}/ca.crt"),
            ("client-cert-auth", "true"),
        )
    }
    flags = {
        "name": node.name,
        "data-dir": ETCD_DATA,
        "listen-peer-urls": f"https://{host}:{PEER_PORT}",
        "initial-advertise-peer-urls": f"https://{host}:{PEER_PORT}",
        "listen-client-urls": f"https://{host}:{CLIENT_PORT},https://127.0.0.1:{CLIENT_PORT}",
        "advertise-client-urls": f"https://{host}:{CLIENT_PORT}",
        "listen-metrics-urls": ETCD_METRICS,
        "heartbeat-interval": str(round(1000 * timing.etcd_heartbeat)),
        "election-timeout": str(round(1000 * timing.etcd_election)),
        **({"backend-batch-interval": go_duration(timing.store_commit)} if timing.lean else {}),
        "quota-backend-bytes": str(512 * 1024 * 1024),
        "snapshot-count": "10000",
        "logger": "zap",
        "log-level": "warn",
        # the default from 3.5 on: a member that missed heartbeats asks first whether the others miss the leader too
        **({"pre-vote": "true"} if major_minor(cluster.versions["etcd"]) < (3, 5) else {}),
        **tls,
    }
    return ("/usr/bin/etcd", *(f"--{name}={value}" for name, value in flags.items()))


def initial_members(cluster: ClusterSpec, *, joining: bool) -> Mapping[str, str]:
    """Return what a member reads only while its data directory is empty, as environment variables.

    `joining`: the cluster is there already, and has been told of the new member.
    """
    members = ",".join(f"{node.name}=https://{url_host(node.address)}:{PEER_PORT}" for node in cluster.control_planes)
    return {
        "ETCD_INITIAL_CLUSTER": members,
        "ETCD_INITIAL_CLUSTER_STATE": "existing" if joining else "new",
        "ETCD_INITIAL_CLUSTER_TOKEN": f"vdc-{cluster.name}",
    }


def _leader_election(cluster: ClusterSpec, timing: Timers) -> Flags:
    # with a lease, the only one there is would wait for its own to end whenever it starts
    if len(cluster.control_planes) == 1:
        return {"leader-elect": "false"}
    return {
        "leader-elect": "true",
        "leader-elect-lease-duration": go_duration(timing.lease),
        "leader-elect-renew-deadline": go_duration(timing.lease_renew),
        "leader-elect-retry-period": go_duration(timing.lease_retry),
        # the default, and from 1.24 on the only kind
        "leader-elect-resource-lock": "leases",
    }


def _no_insecure_port(cluster: ClusterSpec) -> Flags:
    """Return the flag without which a component answers everybody without TLS; it is gone since 1.24."""
    return {"port": "0"} if minor(cluster.version) < 24 else {}


def _line(program: str, flags: Flags) -> tuple[str, ...]:
    return (f"/usr/local/bin/{program}", *(f"--{name}={value}" for name, value in sorted(flags.items())))
