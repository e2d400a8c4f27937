"""Objects of the API, read: what scenarios ask of nodes and pods. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vdc.cluster.kubernetes.api import Manifest, NodeState, Pod
from vdc.cluster.kubernetes.config_node import ROLE_LABEL, ZONE_LABEL

CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
POD_BLOCKS: Final = "vdc.local/pod-blocks"
"""An annotation: the blocks that a node's pods have addresses of, with commas between them."""


def node_state(node: Manifest) -> NodeState:
    """Return a Node as scenarios know it."""
    metadata, status = node["metadata"], node.get("status", {})
    labels = metadata.get("labels", {})
    blocks = metadata.get("annotations", {}).get(POD_BLOCKS, "")
    return NodeState(
        name=metadata["name"],
        ready=condition(node, "Ready")["status"] == "True",
        version=status.get("nodeInfo", {}).get("kubeletVersion", ""),
        zone=labels.get(ZONE_LABEL, ""),
        role=labels.get(ROLE_LABEL, ""),
        control_plane=CONTROL_PLANE in labels,
        pod_blocks=tuple(block for block in blocks.split(",") if block),
    )


def pod(found: Manifest) -> Pod:
    """Return a Pod as scenarios know it."""
    metadata, status = found["metadata"], found.get("status", {})
    deleted = "deletionTimestamp" in metadata
    scheduled = condition(found, "PodScheduled")
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        node=found.get("spec", {}).get("nodeName", ""),
        address=status.get("podIP", ""),
        ready=condition(found, "Ready")["status"] == "True" and not deleted,
        restarts=sum(each["restartCount"] for each in status.get("containerStatuses", ())),
        app=metadata.get("labels", {}).get("app", ""),
        owner=next((each["kind"] for each in metadata.get("ownerReferences", ()) if each.get("controller")), ""),
        leaving=deleted,
        finished=status.get("phase") in {"Succeeded", "Failed"},
        waiting=scheduled.get("message", "") if scheduled["status"] == "False" else "",
    )


def condition(found: Manifest, kind: str) -> Mapping[str, Any]:
    """Return a condition of an object's status; one that it does not have is "Unknown"."""
    for each in found.get("status", {}).get("conditions", ()):
        if each["type"] == kind:
            return dict(each)
    return {"type": kind, "status": "Unknown", "message": f"nothing is said of {kind}"}
