"""Taking a node out of use as its users expect it: nothing new on it, and what is there asked to go.

https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from vdc.cluster.kubernetes.api import DisruptionError, Pod
from vdc.cluster.kubernetes.client import NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.reading import pod as read_pod
from vdc.cluster.kubernetes.spec import Version
from vdc.cluster.kubernetes.versions import api_version, minor
from vdc.errors import ClusterError
from vdc.wait import NotYet, wait_for

_TOO_MANY: Final = 429
"""What is answered where a disruption budget does not allow it now."""


MAY_NOT: Final = "may not be evicted"
"""What is said of a pod that a disruption budget keeps."""

STAYING: Final = frozenset({"DaemonSet", "Node"})
"""What owns pods that belong to their node, and go down with it."""


def drain(api: Api, name: str, *, version: Version, timeout: float) -> None:
    """Cordon a node and evict its pods, but for those of DaemonSets; return when they are gone.

    Raises:
        WaitTimeout: naming the pods that stay, or the last error of the API.
        ClusterError: the API does not answer when the node is to be cordoned.
    """
    unschedulable = {"spec": {"unschedulable": True}}
    api.request("PATCH", f"/api/v1/nodes/{name}", body=unschedulable, content="application/merge-patch+json")

    def found() -> tuple[Pod, ...]:
        items = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")["items"]
        return leaving(map(read_pod, items), name)

    def gone() -> None:
        # an API server that goes away meanwhile, or answers too late, is no reason to leave it half drained
        try:
            ask_to_leave(found, lambda pod: evict(api, pod.namespace, pod.name, version=version))
        except ClusterError as error:
            raise NotYet(error.message) from error

    wait_for(gone, what=f"{name} to be drained", timeout=timeout, interval=1.0)


def leaving(pods: Iterable[Pod], node: str) -> tuple[Pod, ...]:
    """Return those of some pods that must not be on a node that goes. Pure."""
    return tuple(pod for pod in pods if pod.node == node and pod.owner not in STAYING and not pod.finished)


def ask_to_leave(found: Callable[[], Iterable[Pod]], evict_one: Callable[[Pod], None]) -> None:
    """Ask all that are `found` to leave, but for those on their way; return when none is found afterwards.

    Raises NotYet: some are there; names each and why. Or what `found` and `evict_one` raise, but for DisruptionError.
    """
    asked = dict[str, str]()
    for pod in found():
        asked[pod.uid] = "has not left"
        try:
            if not pod.leaving:
                evict_one(pod)
        except DisruptionError as error:
            asked[pod.uid] = f"{MAY_NOT}: {error.message}"
    if asked and (left := tuple(found())):
        raise NotYet("; ".join(f"{pod_name(pod)} {asked.get(pod.uid, 'has just come')}" for pod in left))


def pod_name(pod: Pod) -> str:
    """Return what people call a pod."""
    return f"{pod.namespace}/{pod.name}"


def evict(api: Api, namespace: str, name: str, *, version: Version) -> None:
    """Ask for a pod to leave its node, by the Eviction API; one that is gone is fine.

    Raises DisruptionError: a disruption budget does not allow it now; ClusterError.
    """
    place = {"name": name, "namespace": namespace}
    eviction = {"apiVersion": api_version("Eviction", minor(version)), "kind": "Eviction", "metadata": place}
    try:
        api.request("POST", f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", body=eviction)
    except RefusedError as refused:
        if refused.status == _TOO_MANY:
            raise DisruptionError(refused.message) from refused
        if refused.status != NOT_FOUND:
            raise
