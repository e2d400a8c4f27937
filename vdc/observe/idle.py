"""What must stay as it is: objects, pods and units while nothing happens; kernel settings while components restart."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from vdc.cluster.kubernetes.api import RECORDED_SYSCTLS, Component, KubernetesCluster, Manifest, Pod
from vdc.cluster.kubernetes.spec import parse_version
from vdc.cluster.kubernetes.versions import api_version, minor
from vdc.datacenter.pace import deadline, lasting
from vdc.errors import ClusterError
from vdc.observe.ordinary import settled
from vdc.observe.verdict import Kind, Verdict, shown
from vdc.wait import NotYet, ticks, wait_for

_SETTLED_SECONDS = 120.0
_QUIET_SECONDS = 5.0
_SHORT = 160
"""Characters of what an object has that are shown as they are."""
_EVENT = "Event "
_UNITS: Final = ("bird.service", *(f"{component}.service" for component in Component))

_KINDS: Final = (
    "Namespace",
    "Pod",
    "Service",
    "Endpoints",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "apps/v1 DaemonSet",
    "apps/v1 Deployment",
    "apps/v1 ReplicaSet",
    "apps/v1 StatefulSet",
    "rbac.authorization.k8s.io/v1 ClusterRole",
    "rbac.authorization.k8s.io/v1 ClusterRoleBinding",
)
"""What must not be written while nothing happens. Leases are, as they should; nodes and events are looked into."""


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """A time in which nothing may change, and scenarios only ask: what they find, reach and read stays as it is.

    `pods` are all that there are, `web` those of them that are one of each node; `before` is what there was at `since`
    (monotonic).
    """

    kubernetes: KubernetesCluster
    web: tuple[Pod, ...]
    pods: tuple[Pod, ...]
    before: Mapping[str, str]
    since: float

    def changes(self, seconds: float) -> tuple[str, ...]:
        """Return what has changed, after `seconds` at least."""
        left = lasting(self.kubernetes.dc, seconds) - (time.monotonic() - self.since)
        for _ in ticks(1.0, duration=left) if left > 0 else ():
            pass  # nothing is to happen
        return changes(self.before, states(self.kubernetes))


def quiet(kubernetes: KubernetesCluster) -> Quiet:
    """Let all that was begun come to rest, so that it looks twice the same, and begin a time without changes.

    Raises WaitTimeout with what goes on changing.
    """
    pods = settled(kubernetes)
    before: dict[str, str] = {}

    def look() -> None:
        then, now = dict(before), states(kubernetes)
        before.clear()
        before.update(now)
        if unready := [f"{pod.name} is not ready" for pod in kubernetes.pods() if not pod.ready]:
            raise NotYet("; ".join(unready))
        if changed := changes(then, now):
            raise NotYet("; ".join(changed))

    def check() -> None:
        try:
            look()
        except ClusterError as error:
            raise NotYet(error.message) from error

    before.update(states(kubernetes))
    wait_for(check, what="all to be settled", timeout=deadline(kubernetes.dc, _SETTLED_SECONDS), interval=1.0)
    return Quiet(
        kubernetes=kubernetes, web=pods[: len(kubernetes.node_names)], pods=pods, before=before, since=time.monotonic()
    )


def settled_down(kubernetes: KubernetesCluster) -> Verdict:
    """Judge whether nothing of a cluster changes any more, for some seconds: objects, pods, units.

    Raises WaitTimeout with what goes on changing.
    """
    found = quiet(kubernetes).changes(_QUIET_SECONDS)
    kind, message = (Kind.INVALID, shown(found)) if found else (Kind.VALID, "nothing changes any more")
    return Verdict(kind=kind, checker="settled_down", message=message, figures={"changes": float(len(found))})


def states(kubernetes: KubernetesCluster) -> Mapping[str, str]:
    """Return all that must stay as it is while nothing happens: objects of the API, pods, and units on the nodes.

    Object, pod or unit to resource version, restarts, or invocation (systemd.exec(5), INVOCATION_ID).
    """
    found = dict((*_objects(kubernetes), *_restarts(kubernetes), *_units(kubernetes)))
    assert found, "nothing to look at"
    return found


def settings(kubernetes: KubernetesCluster, node: str) -> Mapping[str, str]:
    """Return the kernel settings of a node that components are known to change, and write them to the history."""
    return _recorded(kubernetes, node, "now", kubernetes.sysctls(node, RECORDED_SYSCTLS))


def first_settings(kubernetes: KubernetesCluster, node: str) -> Mapping[str, str]:
    """Return them as they were before any component ran on the node, and write them to the history."""
    return _recorded(kubernetes, node, "before components ran", kubernetes.first_sysctls(node))


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return "WHAT: BEFORE → AFTER" of all that changed, came or went; events go by themselves, which is nothing."""
    names = sorted(name for name in before.keys() | after.keys() if name in after or not name.startswith(_EVENT))
    return tuple(
        f"{name}: {before.get(name, 'absent')} → {after.get(name, 'absent')}"
        for name in names
        if before.get(name) != after.get(name)
    )


def changed_settings(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return "NAME: BEFORE → AFTER" of settings that changed; interfaces of pods may come and go."""
    common = before.keys() & after.keys()
    assert common, "no setting was seen both before and after"
    return changes({name: before[name] for name in common}, {name: after[name] for name in common})


def _objects(kubernetes: KubernetesCluster) -> Iterator[tuple[str, str]]:
    of = minor(parse_version(kubernetes.nodes()[0].version))
    for kind in (*_KINDS, f"{api_version('EndpointSlice', of)} EndpointSlice"):
        for each in kubernetes.list(kind):
            yield f"{kind.rpartition(' ')[2]} {_place(each)}", str(each["metadata"]["resourceVersion"])
    for each in kubernetes.list("Event"):
        said = f"{each.get('reason')}: {each.get('message')} ×{each.get('count') or 1}"
        yield f"{_EVENT}{_place(each)} {each['metadata']['uid']}", said
    for each in kubernetes.list("Node"):
        yield from ((f"Node {_place(each)}: {field}", said) for field, said in _node(each))


def _place(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _node(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Yield all that a node has but for its version: kubelets report now and then that nothing has changed."""
    metadata, status = manifest["metadata"], dict(manifest.get("status", {}))
    for each in status.pop("conditions", ()):
        yield each["type"], _said({name: value for name, value in each.items() if name != "lastHeartbeatTime"})
    fields = {name: metadata.get(name, {}) for name in ("uid", "labels", "annotations")}
    for name, value in {**fields, "spec": manifest.get("spec", {}), **status}.items():
        yield name, _said(value)


def _said(value: Any) -> str:  # noqa: ANN401 - JSON
    text = json.dumps(value, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return text if len(text) <= _SHORT else f"{text[:_SHORT]}… ({len(text)} characters, {digest})"


def _recorded(kubernetes: KubernetesCluster, node: str, when: str, has: Mapping[str, str]) -> Mapping[str, str]:
    assert has, f"{node} has none of {', '.join(RECORDED_SYSCTLS)}"
    kubernetes.dc.recorder.record("note", node, when=when, sysctls=dict(has))
    return has


def _restarts(kubernetes: KubernetesCluster) -> Iterator[tuple[str, str]]:
    for pod in kubernetes.pods():
        yield f"restarts of {pod.name} {pod.uid}", str(pod.restarts)


def _units(kubernetes: KubernetesCluster) -> Iterator[tuple[str, str]]:
    for node in kubernetes.node_names:
        said = kubernetes.dc.servers[node].run(["systemctl", "show", "--property=Id,InvocationID", *_UNITS]).stdout
        for block in said.split("\n\n"):
            has = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if has.get("InvocationID"):
                yield f"{has['Id']} on {node}", has["InvocationID"]
