"""What must stay as it is: objects, pods and units while nothing happens; kernel settings while components restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from vdc.cluster.kubernetes.api import Component, KubernetesCluster, Manifest

SYSCTLS: Final = tuple(f"net.ipv4.conf.*.{name}" for name in ("arp_ignore", "arp_announce", "rp_filter"))
"""Settings that kube-proxy and CNI plugins have changed behind an operator's back."""

_KINDS: Final = (
    "Namespace",
    "Node",
    "Pod",
    "Service",
    "Endpoints",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Event",
    "apps/v1 DaemonSet",
    "apps/v1 Deployment",
    "apps/v1 ReplicaSet",
    "apps/v1 StatefulSet",
    "rbac.authorization.k8s.io/v1 ClusterRole",
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
)
"""What must not change while nothing happens: all but leases, whose purpose it is."""


def states(kubernetes: KubernetesCluster) -> Mapping[str, str]:
    """Return all that must stay as it is while nothing happens: objects of the API, pods, and units on the nodes.

    Object, pod or unit to resource version, restarts, or invocation (systemd.exec(5), INVOCATION_ID).
    """
    found = dict((*_objects(kubernetes), *_restarts(kubernetes), *_units(kubernetes)))
    assert found, "nothing to look at"
    return found


def settings(kubernetes: KubernetesCluster, names: Sequence[str] = SYSCTLS) -> Mapping[str, str]:
    """Return kernel settings of all nodes, "NODE NAME" to value, and write them to the history."""
    found: dict[str, str] = {}
    for node in kubernetes.node_names:
        has = kubernetes.sysctls(node, names)
        assert has, f"{node} has none of {', '.join(names)}"
        kubernetes.dc.recorder.record("note", node, sysctls=dict(has))
        found |= {f"{node} {name}": value for name, value in has.items()}
    return found


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return "WHAT: BEFORE → AFTER" of all that changed, came or went."""
    names = sorted(before.keys() | after.keys())
    return tuple(
        f"{name}: {before.get(name, 'absent')} → {after.get(name, 'absent')}"
        for name in names
        if before.get(name) != after.get(name)
    )


def changed_settings(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return "NODE NAME: BEFORE → AFTER" of settings that changed; interfaces of pods may come and go."""
    common = before.keys() & after.keys()
    assert common, "no setting was seen both before and after"
    return changes({name: before[name] for name in common}, {name: after[name] for name in common})


def _objects(kubernetes: KubernetesCluster) -> Iterator[tuple[str, str]]:
    for kind in _KINDS:
        for each in kubernetes.list(kind):
            metadata = each["metadata"]
            place = "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))
            yield f"{kind.rpartition(' ')[2]} {place}", _version(kind, each)


def _version(kind: str, manifest: Manifest) -> str:
    match kind:
        case "Node":  # kubelets report now and then that nothing has changed
            return _node_state(manifest)
        case "Event":
            return f"{manifest.get('reason')}: {manifest.get('message')} ×{manifest.get('count') or 1}"
    return str(manifest["metadata"]["resourceVersion"])


def _node_state(manifest: Manifest) -> str:
    status: Mapping[str, Any] = manifest.get("status", {})
    said = {each["type"]: each["status"] for each in status.get("conditions", ())}
    spec = manifest.get("spec", {})
    return f"{said} {spec.get('taints', [])} unschedulable={spec.get('unschedulable', False)}"


def _restarts(kubernetes: KubernetesCluster) -> Iterator[tuple[str, str]]:
    for pod in kubernetes.pods():
        yield f"restarts of {pod.name} {pod.uid}", str(pod.restarts)


def _units(kubernetes: KubernetesCluster) -> Iterator[tuple[str, str]]:
    units = [f"{component}.service" for component in Component]
    for node in kubernetes.node_names:
        said = kubernetes.dc.servers[node].run(["systemctl", "show", "--property=Id,InvocationID", *units]).stdout
        for block in said.split("\n\n"):
            has = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if has.get("InvocationID"):
                yield f"{has['Id']} on {node}", has["InvocationID"]
