"""What runs on a Kubernetes on an ordinary day: all that the standard suite asks and writes.

A pod takes seconds to start in an emulated guest, so those that last begin at once, and start while others are asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from vdc.cluster.kubernetes.api import KubernetesCluster, Manifest, Pod
from vdc.cluster.kubernetes.workloads import NAMESPACE, gated, keeper, secret, service, web, web_everywhere
from vdc.errors import ClusterError
from vdc.observe.pods import wait_pods

HIDDEN: Final = "a pod on another node may have it"
"""The text of the secret that no pod has."""


def begin(kubernetes: KubernetesCluster) -> None:
    """Create what lasts, and wait for nothing; what is there already stays as it is."""
    for manifests in _workloads(kubernetes).values():
        _create(kubernetes, manifests)


def settled(kubernetes: KubernetesCluster) -> tuple[Pod, ...]:
    """Return all pods of what lasts, those of `web` first, when all of them are ready."""
    begin(kubernetes)
    return (*web_on_every_node(kubernetes), keeper_of_a_volume(kubernetes), gated_pod(kubernetes))


def web_on_every_node(kubernetes: KubernetesCluster) -> tuple[Pod, ...]:
    """Return a pod of each node, `web`, with services: `web`, the headless `each`, the load balancer `outside`."""
    return _running(kubernetes, "web", pods=len(kubernetes.node_names))


def keeper_of_a_volume(kubernetes: KubernetesCluster) -> Pod:
    """Return the pod `keeper`, which has a volume on the disk of the last node."""
    (pod,) = _running(kubernetes, "keeper", pods=1)
    return pod


def gated_pod(kubernetes: KubernetesCluster) -> Pod:
    """Return the pod `phoenix` on the last node, which may be ready or not, and has a service of that name."""
    (pod,) = _running(kubernetes, "phoenix", pods=1)
    return pod


@contextmanager
def web_of_every_rack(kubernetes: KubernetesCluster) -> Iterator[int]:
    """Have as many pods, `spread`, as there are racks with nodes, for the body; yield how many.

    No rack may have two more than another. They are not waited for: where they go is known before they start.
    """
    wanted = len(racks(kubernetes))
    manifests = web("spread", replicas=wanted, slowness=kubernetes.dc.slowness)
    kubernetes.delete(manifests[-1])
    wait_pods(kubernetes, "spread", 0)
    kubernetes.apply(*manifests)
    try:
        yield wanted
    finally:
        kubernetes.delete(manifests[-1])


def hidden_secret(kubernetes: KubernetesCluster) -> str:
    """Return the name of a secret that no pod has."""
    _create(kubernetes, _workloads(kubernetes)["hidden"])
    return "hidden"


def racks(kubernetes: KubernetesCluster) -> frozenset[int]:
    """Return the racks that have nodes."""
    found = (kubernetes.dc.topology.server(name).rack for name in kubernetes.node_names)
    return frozenset(rack for rack in found if rack is not None)


def _running(kubernetes: KubernetesCluster, app: str, *, pods: int) -> tuple[Pod, ...]:
    _create(kubernetes, _workloads(kubernetes)[app])
    return wait_pods(kubernetes, app, pods)


def _create(kubernetes: KubernetesCluster, manifests: Sequence[Manifest]) -> None:
    """Create what is not there: an emulated API server takes a second for each object that it is to apply."""
    last = manifests[-1]
    try:
        kubernetes.get(f"{last['apiVersion']} {last['kind']}", last["metadata"]["name"], namespace=NAMESPACE)
    except ClusterError:
        kubernetes.apply(*manifests)


def _workloads(kubernetes: KubernetesCluster) -> Mapping[str, tuple[Manifest, ...]]:
    slowness, last = kubernetes.dc.slowness, kubernetes.node_names[-1]
    return {
        "web": (
            *web_everywhere("web", slowness=slowness),
            *service("web", app="web"),
            *service("each", app="web", kind="Headless"),
            *service("outside", app="web", kind="LoadBalancer", local=True),
        ),
        "keeper": keeper("keeper", node=last, slowness=slowness),
        "phoenix": (*gated("phoenix", node=last, slowness=slowness), *service("phoenix", app="phoenix")),
        "hidden": secret("hidden", text=HIDDEN),
    }
