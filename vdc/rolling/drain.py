"""Taking a node of a Kubernetes out of use before it goes, as its users expect it.

Nothing new comes to it, and what is there is asked to leave by the Eviction API, so that disruption budgets are heeded
(https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/). Pods in protected namespaces are not asked: as
long as one is there, the node stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from vdc.cluster.kubernetes.api import DisruptionError, KubernetesCluster, Pod
from vdc.cluster.kubernetes.draining import STAYING
from vdc.errors import ClusterError, WaitTimeout
from vdc.rolling.reboots import HeldUpError, Turn, patiently
from vdc.wait import NotYet

_USE_SECONDS: Final = 120.0
_INTERVAL: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesDrain:
    """Implements `vdc.rolling.reboots.Drain`. Pods have `seconds` to leave, where the slowness is 1.0."""

    kubernetes: KubernetesCluster
    protected: frozenset[str] = frozenset()
    seconds: float = 120.0

    def drain(self, name: str) -> Turn:
        """Cordon a node and evict its pods; where they do not leave in time it is in use as before.

        Raises HeldUpError: with the pods that stay, and why.
        """
        self._expect_none_protected(name, self._leaving(name))
        dc = self.kubernetes.dc
        mark: Callable[[], None] = lambda: self._mark(name, unschedulable=True)  # noqa: E731
        try:
            # an API that answers too late may have done it all the same
            yield from patiently(dc, mark, f"{name} to be cordoned", _USE_SECONDS)
            what = f"{name} to be drained"
            yield from patiently(dc, lambda: self._empty(name), what, self.seconds, every=_INTERVAL)
        except WaitTimeout as error:
            yield from self.use(name)
            raise HeldUpError(f"{name} is not drained: {error.last}") from error
        except HeldUpError:
            yield from self.use(name)
            raise

    def use(self, name: str) -> Turn:
        """Let pods come to a node again."""
        mark: Callable[[], None] = lambda: self._mark(name, unschedulable=False)  # noqa: E731
        yield from patiently(self.kubernetes.dc, mark, f"{name} to be in use again", _USE_SECONDS, every=_INTERVAL)

    def _expect_none_protected(self, name: str, pods: Iterable[Pod]) -> None:
        if protected := [_name(pod) for pod in pods if pod.namespace in self.protected]:
            raise HeldUpError(f"{name} has to stay: {', '.join(protected)} is protected")

    def _empty(self, name: str) -> None:
        """Ask all to leave, unless a protected one is there. Raises NotYet: some are there; HeldUpError."""
        try:
            asked = self._asked(name)
            left = self._leaving(name) if asked else ()
        except HeldUpError:
            raise
        except ClusterError as error:
            raise NotYet(error.message) from error
        if left:
            raise NotYet("; ".join(f"{_name(pod)} {asked.get(pod.uid, 'has just come')}" for pod in left))

    def _asked(self, name: str) -> Mapping[str, str]:
        """Ask all to leave that are not on their way; return why each may still be there, by its uid."""
        found, told = self._leaving(name), dict[str, str]()
        self._expect_none_protected(name, found)
        for pod in found:
            told[pod.uid] = "has not left"
            try:
                if not pod.leaving:
                    self.kubernetes.evict(pod)
            except DisruptionError as error:
                told[pod.uid] = f"may not be evicted: {error.message}"
        return told

    def _leaving(self, name: str) -> tuple[Pod, ...]:
        """Return the pods that must not be on a node that goes. Raises ClusterError."""
        found = (pod for pod in self.kubernetes.pods() if pod.node == name)
        return tuple(pod for pod in found if pod.owner not in STAYING and not pod.finished)

    def _mark(self, name: str, *, unschedulable: bool) -> None:
        spec = {"unschedulable": unschedulable}
        try:
            self.kubernetes.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})
        except ClusterError as error:
            raise NotYet(error.message) from error


def _name(pod: Pod) -> str:
    return f"{pod.namespace}/{pod.name}"
