"""What holds a node of a Kubernetes up: a disruption budget that allows nothing, a pod in a protected namespace."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from vdc.cluster.kubernetes.api import KubernetesCluster, Manifest, Pod
from vdc.cluster.kubernetes.draining import MAY_NOT
from vdc.cluster.kubernetes.versions import api_version, major_minor
from vdc.cluster.kubernetes.workloads import web
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, WaitTimeout
from vdc.rolling.drain import IS_PROTECTED
from vdc.wait import NotYet, wait_for

PROTECTED: Final = "vdc-protected"
"""A namespace whose pods nobody evicts."""

_POD_SECONDS: Final = 180.0
_GUARDED: Final = "guarded"
_STAYING: Final = "staying"


@dataclass(slots=True)
class Hold:
    """What holds a node up until it is lifted; `lifted`: when it was, by the host's monotonic clock.

    `because` stands in the reason that a drain gives for it.
    """

    kubernetes: KubernetesCluster
    manifest: Manifest
    because: str
    times: list[float] = field(default_factory=list)

    @property
    def lifted(self) -> float:
        """When it was lifted. Raises AssertionError: it never was, so nobody was held up."""
        assert self.times, "nobody was held up"
        return self.times[0]

    def lift(self, reason: str) -> None:
        """Let the node go, if it is held up for this, and not for something that passes. Raises ClusterError."""
        if self.because in reason and not self.times:
            self.times.append(time.monotonic())
            self.kubernetes.delete(self.manifest)


@contextmanager
def held_by_budget(kubernetes: KubernetesCluster, node: str) -> Iterator[Hold]:
    """Have a pod on a node for the body that a disruption budget keeps from being evicted.

    Raises ClusterError, WaitTimeout.
    """
    pods = web(_GUARDED, replicas=1, node=node, slowness=kubernetes.dc.slowness)
    guard = _budget(kubernetes, _GUARDED, pods[-1]["metadata"]["namespace"])
    with _there(kubernetes, (*pods, guard)):
        yield Hold(kubernetes, guard, MAY_NOT)


@contextmanager
def held_by_namespace(kubernetes: KubernetesCluster, node: str) -> Iterator[Hold]:
    """Have a pod in the protected namespace on a node for the body; it is lifted by taking the pod away.

    Raises ClusterError, WaitTimeout.
    """
    _, pods = web(_STAYING, replicas=1, node=node, slowness=kubernetes.dc.slowness)
    moved = {**pods, "metadata": {**pods["metadata"], "namespace": PROTECTED}}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PROTECTED}}
    with _there(kubernetes, (space, moved)):
        yield Hold(kubernetes, moved, IS_PROTECTED)


@contextmanager
def wait_back(kubernetes: KubernetesCluster) -> Iterator[None]:
    """Wait at the end of the body until as many pods of each app are ready on each node as before it, and run commands.

    What the API says of a pod may be of before its node went, so each is asked itself.

    Raises AssertionError: there are none; WaitTimeout: with those that are missing or too many, or do not answer.
    """
    limit = deadline(kubernetes.dc, _POD_SECONDS)
    before = wait_for(lambda: _places(kubernetes), what="the pods that there are", timeout=limit, interval=0.5)
    assert before, "no pod is ready"
    yield

    def back() -> None:
        after = _places(kubernetes)
        if after.keys() != before.keys() or any(len(after[place]) != len(before[place]) for place in before):
            missing, more = (", ".join(sorted(a.keys() - b.keys())) for a, b in ((before, after), (after, before)))
            raise NotYet(f"missing: {missing or 'none'}; too many: {more or 'none'}")
        for pod in chain.from_iterable(after.values()):
            _expect_lives(kubernetes, pod)

    wait_for(back, what="pods to be where they were", timeout=limit, interval=0.5)


@contextmanager
def _there(kubernetes: KubernetesCluster, manifests: tuple[Manifest, ...]) -> Iterator[None]:
    metadata = next(each["metadata"] for each in manifests if each["kind"] == "Deployment")
    # the namespace of all workloads stays
    ours = [each for each in manifests if each["kind"] != "Namespace" or each["metadata"]["name"] == PROTECTED]

    def ready() -> None:
        found = kubernetes.pods(namespace=metadata["namespace"], labels=metadata["labels"])
        if not any(pod.ready for pod in found):
            raise NotYet(", ".join(pod.waiting or "it starts" for pod in found) or "there is none")

    try:
        kubernetes.apply(*manifests)
        limit = deadline(kubernetes.dc, _POD_SECONDS)
        wait_for(ready, what=f"a pod of {metadata['name']}", timeout=limit, interval=0.5)
        yield
    finally:
        kubernetes.delete(*reversed(ours))


def _budget(kubernetes: KubernetesCluster, app: str, namespace: str) -> Manifest:
    """Return a budget that allows no pod of an app to be disrupted."""
    versions = {node.version for node in kubernetes.nodes()}
    if not versions:
        raise ClusterError("the API has no node")
    _, minor = major_minor(min(versions).removeprefix("v"))
    return {
        "apiVersion": api_version("PodDisruptionBudget", minor),
        "kind": "PodDisruptionBudget",
        "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}},
    }


def _places(kubernetes: KubernetesCluster) -> Mapping[str, Sequence[Pod]]:
    """Return the ready pods of each app on each node. Raises NotYet: the API does not answer."""
    found: dict[str, list[Pod]] = {}
    try:
        pods = kubernetes.pods()
    except ClusterError as error:
        raise NotYet(error.message) from error
    for pod in pods:
        if pod.ready and pod.app:
            found.setdefault(f"{pod.namespace}/{pod.app} on {pod.node}", []).append(pod)
    return found


def _expect_lives(kubernetes: KubernetesCluster, pod: Pod) -> None:
    try:
        said = kubernetes.run_in(pod, ["hostname"]).strip()
    except (ClusterError, WaitTimeout) as error:
        raise NotYet(f"{pod.name} on {pod.node} runs no command: {error.message}") from error
    if said != pod.name:
        raise NotYet(f"{pod.name} on {pod.node} says that it is {said}")
