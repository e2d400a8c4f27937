"""Nodes as objects of the API, made before their kubelets come: they have at once what only we may give them."""

from __future__ import annotations

from typing import Final

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.config_node import node_labels, restricted_labels, taints
from vdc.cluster.kubernetes.reading import POD_BLOCKS
from vdc.cluster.kubernetes.spec import ClusterSpec, Node

_NODES: Final = "/api/v1/nodes"


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


def register(api: Api, cluster: ClusterSpec, node: Node) -> None:
    """Give a node its labels, annotations and taints; make it, if it is not there. Raises ClusterError."""
    wanted = node_manifest(cluster, node)
    try:
        # taints are merged by their keys: controllers have theirs in the same list
        api.request("PATCH", f"{_NODES}/{node.name}", body=wanted, content="application/strategic-merge-patch+json")
    except RefusedError as refused:
        if refused.status != NOT_FOUND:
            raise
        api.request("POST", _NODES, body=wanted)
