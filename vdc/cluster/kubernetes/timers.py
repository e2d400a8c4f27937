"""How patient a cluster is: timers that follow from the speed of the host.

An idle control plane takes most of an emulated core, so that with the timers Kubernetes has by default a healthy
cluster would look dead there. The defaults, which are the floor, are those of etcd's tuning guide
(https://etcd.io/docs/v3.5/tuning/) and of the components' reference (https://kubernetes.io/docs/reference/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_SLOW: Final = 0.5
"""From this slowness on, a cluster does without what costs CPU while nothing happens."""
_WHOLE: Final = 10.0
"""From here on timers are whole seconds: some are read as such."""

RESTART_SECONDS: Final = 225.0
"""How long a component may take to be well again that is started in use, where the slowness is 1.0.

Three times what they took when k8s-small was deployed: API servers were ready after 53 s, kubelets after 74 s.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timers:
    """All in seconds. `lean`: what costs CPU while nothing happens, and is not needed, is off."""

    etcd_heartbeat: float
    etcd_election: float
    """At most 50 s; ten heartbeats."""
    lease: float
    """For how long a leader of controller managers or schedulers is one without renewing."""
    lease_renew: float
    lease_retry: float
    node_status: float
    """How often a kubelet looks at its own status."""
    node_lease: float
    """How long a kubelet's lease lasts; it is renewed four times in that time."""
    node_grace: float
    """After how long without news a node is no longer Ready."""
    node_monitor: float
    proxy_check: float
    """How often the reverse proxy of a node asks an API server whether it is ready; the second failure counts."""
    proxy_connect: float
    """How long it waits for a connection before it tries another one."""
    proxy_keepalive: float
    """After how long without news it asks the kernel of the other end; it gives a connection up after twice that."""
    api_request: float
    ping: float
    """How long a client waits for the answer to an HTTP/2 ping before it drops the connection (RFC 9113, 6.7)."""
    runtime_request: float
    housekeeping: float
    """How often a kubelet measures its containers."""
    volume_stats: float
    store_commit: float
    """For how long etcd collects changes before its database has them on disk; its log has each at once."""
    rules_sync: float
    """How often kube-proxy writes all its rules though nothing has changed."""
    restart: float
    """After how long what has died is started again, etcd excepted: each attempt costs systemd and the disk a lot."""
    probe_period: float
    """Of readiness and liveness probes in workloads of ours."""
    probe_timeout: float
    lean: bool

    def described(self) -> Mapping[str, str]:
        """Return what is not as by default: "etcd election" to "5 s (default 1 s)", for the report."""
        told = {
            each.label: f"{_seconds(value)} (default {_seconds(each.default)})"
            for name, each in _TABLE.items()
            if (value := getattr(self, name)) != each.default
        }
        return {**told, **_LEAN} if self.lean else told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timer:
    label: str
    default: float
    slow: float
    """Where the slowness is 1.0."""
    most: float = float("inf")

    def at(self, slowness: float) -> float:
        value = min(self.most, max(self.default, self.slow * slowness))
        return round(value, 2) if value < _WHOLE else float(round(value))


_TABLE: Final[Mapping[str, _Timer]] = {
    "etcd_heartbeat": _Timer(label="etcd heartbeat", default=0.1, slow=0.5, most=5.0),
    "etcd_election": _Timer(label="etcd election", default=1.0, slow=5.0, most=50.0),
    "lease": _Timer(label="leader-election lease", default=15.0, slow=90.0),
    "lease_renew": _Timer(label="leader-election renew deadline", default=10.0, slow=60.0),
    "lease_retry": _Timer(label="leader-election retry", default=2.0, slow=20.0),
    "node_status": _Timer(label="node status update", default=10.0, slow=20.0),
    "node_lease": _Timer(label="node lease", default=40.0, slow=120.0),
    "node_grace": _Timer(label="node monitor grace", default=40.0, slow=160.0),
    "node_monitor": _Timer(label="node monitor", default=5.0, slow=10.0),
    "proxy_check": _Timer(label="API proxy check", default=2.0, slow=20.0),
    "proxy_connect": _Timer(label="API proxy connect", default=1.0, slow=5.0),
    "proxy_keepalive": _Timer(label="API proxy keepalive", default=15.0, slow=30.0),
    "api_request": _Timer(label="API request timeout", default=60.0, slow=120.0),
    "ping": _Timer(label="HTTP/2 ping timeout", default=15.0, slow=45.0),
    "runtime_request": _Timer(label="container runtime request", default=120.0, slow=240.0),
    "housekeeping": _Timer(label="container housekeeping", default=10.0, slow=30.0),
    "volume_stats": _Timer(label="volume statistics", default=60.0, slow=300.0),
    "store_commit": _Timer(label="etcd database commit", default=0.1, slow=1.0, most=5.0),
    "rules_sync": _Timer(label="kube-proxy full sync", default=30.0, slow=120.0),
    "restart": _Timer(label="restart of what has died", default=1.0, slow=5.0),
    "probe_period": _Timer(label="probe period", default=2.0, slow=5.0),
    "probe_timeout": _Timer(label="probe timeout", default=1.0, slow=5.0),
}

_LEAN: Final[Mapping[str, str]] = {
    "watch cache": "off (default on)",
    "beta APIs of 1.20 that nothing here asks for": "off (default on)",
    "polls for metrics of etcd": "off (default on)",
    "priority and fairness": "off (default on)",
    "CPUs of kubelet, kube-proxy, scheduler, controller manager": "1 (default all)",
    "garbage collection in Go": "at five times what is in use (default twice)",
    "preemption by signals in Go": "off (default on)",
    "controllers": "those that no scenario needs are off (default on)",
}


def timers(slowness: float) -> Timers:
    """Return the timers of a cluster on a host: Kubernetes' own on a fast one (slowness 0 to 0.1), longer on a slow."""
    return Timers(**{name: each.at(slowness) for name, each in _TABLE.items()}, lean=slowness >= _SLOW)


def go_duration(seconds: float) -> str:
    """Return a duration as Go's flags and configurations have it: "1m30s" is "90s"."""
    return f"{seconds:g}s"


def _seconds(value: float) -> str:
    return f"{value:g} s"
