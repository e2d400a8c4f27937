"""Nodes as objects of the API, made before their kubelets come: they have at once what only we may give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import CONFLICT, NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.config_node import node_labels, restricted_labels, taints
from vdc.cluster.kubernetes.reading import POD_BLOCKS
from vdc.cluster.kubernetes.spec import ClusterSpec, Node

_NODES: Final = "/api/v1/nodes"
_ATTEMPTS: Final = 5


def node_manifest(cluster: ClusterSpec, node: Node) -> Manifest:
    """Return a node as it is before its kubelet has come.

    Kubelets of 1.20 panic where a node has no resources at all, to which they would add theirs.
    """
    resources = {"cpu": str(node.server.cpu)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": node.name,
            "labels": {**node_labels(node), **restricted_labels(cluster, node)},
            "annotations": {POD_BLOCKS: ",".join(map(str, node.server.pods))},
        },
        "spec": {"taints": list(taints(cluster, node))},
        "status": {"capacity": resources, "allocatable": resources},
    }


def register(api: Api, cluster: ClusterSpec, node: Node, *, uncordon: bool = False) -> None:
    """Give a node its labels, annotations and taints; make it, if it is not there.

    `uncordon`: let pods come again, where a drain was cut off. Raises ClusterError.
    """
    for left in reversed(range(_ATTEMPTS)):
        try:
            _register_once(api, node_manifest(cluster, node), uncordon=uncordon)
        except RefusedError as refused:
            # somebody else, such as its kubelet, has written it since it was read
            if refused.status != CONFLICT or not left:
                raise
        else:
            return


def _register_once(api: Api, wanted: Manifest, *, uncordon: bool) -> None:
    path = f"{_NODES}/{wanted['metadata']['name']}"
    try:
        there = api.get(path)
    except RefusedError as refused:
        if refused.status != NOT_FOUND:
            raise
        api.request("POST", _NODES, body=wanted)
        return
    own = wanted["spec"]["taints"]
    # a patch replaces the whole list, in which controllers and users have theirs, too
    spec = {"taints": [*own, *_others(there["spec"].get("taints", ()), own)]}
    body = {
        **wanted,
        "metadata": {**wanted["metadata"], "resourceVersion": there["metadata"]["resourceVersion"]},
        "spec": {**spec, **({"unschedulable": None} if uncordon else {})},
    }
    api.request("PATCH", path, body=body, content="application/strategic-merge-patch+json")


def _others(there: Iterable[Mapping[str, Any]], own: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    ours = {(each["key"], each["effect"]) for each in own}
    return [each for each in there if (each["key"], each["effect"]) not in ours]
