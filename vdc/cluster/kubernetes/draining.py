"""Taking a node out of use as its users expect it: nothing new on it, and what is there asked to go.

https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from vdc.cluster.kubernetes.api import DisruptionError, Manifest
from vdc.cluster.kubernetes.client import NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.spec import Version
from vdc.cluster.kubernetes.versions import api_version, minor
from vdc.errors import ClusterError
from vdc.wait import NotYet, wait_for

_TOO_MANY: Final = 429
"""What is answered where a disruption budget does not allow it now."""


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

    def gone() -> None:
        # an API server that goes away meanwhile, or answers too late, is no reason to leave it half drained
        try:
            evicted()
        except ClusterError as error:
            raise NotYet(error.message) from error

    def evicted() -> None:
        found = api.get("/api/v1/pods", fieldSelector=f"spec.nodeName={name}")["items"]
        if left := [each for each in found if _leaves(each)]:
            for each in left:
                _evict(api, each, version)
            raise NotYet(f"{', '.join(_name(each) for each in left)} still there")

    wait_for(gone, what=f"{name} to be drained", timeout=timeout, interval=1.0)


def _leaves(pod: Manifest) -> bool:
    owners = {each["kind"] for each in pod["metadata"].get("ownerReferences", ())}
    return not owners & STAYING and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


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


def _evict(api: Api, pod: Manifest, version: Version) -> None:
    if "deletionTimestamp" not in pod["metadata"]:
        with suppress(DisruptionError):
            evict(api, pod["metadata"]["namespace"], pod["metadata"]["name"], version=version)


def _name(pod: Manifest) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
