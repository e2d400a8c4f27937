"""Taking a node out of use as its users expect it: nothing new on it, and what is there asked to go.

https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/
"""

from __future__ import annotations

from typing import Final

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.spec import Version
from vdc.errors import ClusterError
from vdc.wait import NotYet, wait_for

_TOO_MANY: Final = 429
"""What is answered where a disruption budget does not allow it now."""


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
    return not owners & {"DaemonSet", "Node"} and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}


def _evict(api: Api, pod: Manifest, version: Version) -> None:
    if "deletionTimestamp" in pod["metadata"]:
        return
    place = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    # of policy/v1 from 1.22 on
    api_version = "policy/v1" if version >= (1, 22, 0) else "policy/v1beta1"
    eviction = {"apiVersion": api_version, "kind": "Eviction", "metadata": place}
    path = f"/api/v1/namespaces/{place['namespace']}/pods/{place['name']}/eviction"
    try:
        api.request("POST", path, body=eviction)
    except RefusedError as refused:
        if refused.status not in {NOT_FOUND, _TOO_MANY}:
            raise


def _name(pod: Manifest) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
