"""The ways that users of a Kubernetes take to it from outside: which there are, and how often each is asked.

Its API through each API server and through the proxy of each node, over new connections and over reused ones; pods at
their own addresses, the port of a service that each node has, and the load balancer, all of which close a connection
after an answer; and the name server of each node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from vdc.cluster.clients import client_of
from vdc.cluster.kubernetes.api import KubernetesCluster, Pod
from vdc.cluster.kubernetes.paths import url_host
from vdc.cluster.kubernetes.spec import API_NAME, API_PORT, PROXY_PORT
from vdc.cluster.kubernetes.trust import Trust
from vdc.cluster.kubernetes.workloads import NAMESPACE, PORT, SERVICE_PORT
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.model.ip import Address
from vdc.observe.flows import PERIOD
from vdc.observe.targets import Target

ALIVE: Final = "/livez/ping"
"""What an API server answers at once, and without asking etcd."""

_DNS_PORT: Final = 53
_HANDSHAKE: Final = 4.0
"""What a request with a TLS handshake costs a server, in requests without."""
_SECURED: Final = 2.0
"""What one of an API server costs where it is dear, in those of a pod."""
_DEAREST: Final = 50.0
"""An emulated guest (slowness 1) takes as many times as long for an answer as a real one."""
_PATIENCE: Final = 2.0  # seconds
_API_PATIENCE: Final = 10.0  # seconds; clients of Go wait so long for a TLS handshake by default


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesWay:
    """A way to something on the server `device`, by its name, with the URL to ask for.

    `kind` is `api` of an API server, `proxy` of a node's proxy of the API, `url` of a page, `dns` of a name.
    """

    kind: Literal["api", "proxy", "url", "dns"]
    lane: str
    device: str
    url: str
    reuse: bool = False

    @property
    def name(self) -> str:
        """What it is called: its lane, and whether connections are reused."""
        return f"{self.lane}{', reused connection' if self.reuse else ''}"

    @property
    def source(self) -> str:
        """Who asks."""
        return "clients outside"

    @property
    def target(self) -> str:
        """Where it ends."""
        return self.device


def ways_to(kubernetes: KubernetesCluster, pods: Sequence[Pod]) -> tuple[KubernetesWay, ...]:
    """Return the ways to a cluster on which these pods serve pages, and services `web` and `outside` lead to them.

    See `vdc.observe.ordinary`. Raises ClusterError: there is no such service.
    """
    return (*_to_api(kubernetes), *_to_pods(kubernetes, pods), *_to_names(kubernetes))


def targets(kubernetes: KubernetesCluster, ways: Sequence[KubernetesWay]) -> tuple[Target, ...]:
    """Return what a probe asks, as the administrator where credentials are wanted."""
    return tuple(_target(kubernetes.dc, kubernetes.trust, way) for way in ways)


def _to_api(kubernetes: KubernetesCluster) -> Iterator[KubernetesWay]:
    for reuse in (False, True):
        for server in kubernetes.members:
            url = f"https://{_place(kubernetes, server)}:{API_PORT}{ALIVE}"
            yield KubernetesWay(kind="api", lane=f"API server of {server}", device=server, url=url, reuse=reuse)
        for node in kubernetes.node_names:
            url = f"https://{_place(kubernetes, node)}:{PROXY_PORT}{ALIVE}"
            yield KubernetesWay(kind="proxy", lane=f"API by the proxy of {node}", device=node, url=url, reuse=reuse)


def _to_pods(kubernetes: KubernetesCluster, pods: Sequence[Pod]) -> Iterator[KubernetesWay]:
    for pod in pods:
        yield KubernetesWay(kind="url", lane=f"pod on {pod.node}", device=pod.node, url=f"http://{pod.address}:{PORT}/")
    service = kubernetes.get("Service", "outside", namespace=NAMESPACE)
    node_port = service["spec"]["ports"][0].get("nodePort")
    for node in kubernetes.node_names if node_port else ():
        url = f"http://{_place(kubernetes, node)}:{node_port}/"
        yield KubernetesWay(kind="url", lane=f"service by kube-proxy of {node}", device=node, url=url)
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    if not ingress:
        raise ClusterError("the load balancer `outside` has no address")
    url = f"http://{ingress[0]['ip']}:{SERVICE_PORT}/"
    yield KubernetesWay(kind="url", lane="load balancer", device="load balancer", url=url)


def _to_names(kubernetes: KubernetesCluster) -> Iterator[KubernetesWay]:
    assert kubernetes.dc.topology.kubernetes is not None
    name = f"web.{NAMESPACE}.svc.{kubernetes.dc.topology.kubernetes.domain}"
    for node in kubernetes.node_names:
        url = f"dns://{_place(kubernetes, node)}:{_DNS_PORT}/{name}"
        yield KubernetesWay(kind="dns", lane=f"DNS of {node}", device=node, url=url)


def _place(kubernetes: KubernetesCluster, server: str) -> str:
    address: Address = kubernetes.dc.topology.server(server).node.ip
    return url_host(address)


def _target(dc: DataCenter, trust: Trust, way: KubernetesWay) -> Target:
    """Return what is asked: every 10 ms where servers are fast, and else so seldom that they have time for others."""
    secured, slow = way.kind in {"api", "proxy"}, dc.slowness > 1 / _DEAREST
    dear = (_HANDSHAKE if secured and not way.reuse else 1.0) * (_SECURED if secured and slow else 1.0)
    return Target(
        name=way.name,
        lane=way.lane,
        device=way.device,
        url=way.url,
        client=client_of(dc).name,
        reuse=way.reuse,
        period=PERIOD * dear * max(1.0, _DEAREST * dc.slowness),
        patience=(_API_PATIENCE if secured and slow else _PATIENCE) * max(1.0, dc.slowness),
        ca=str(trust.ca) if secured else None,
        cert=str(trust.cert) if secured else None,
        key=str(trust.key) if secured else None,
        # a proxy passes TLS through: the certificate is that of the API server it chose
        server_name=API_NAME if way.kind == "proxy" else None,
    )
