"""Taking a node of a Kubernetes out of use before it goes, as its users expect it.

Nothing new comes to it, and what is there is asked to leave by the Eviction API, so that disruption budgets are heeded
(https://kubernetes.io/docs/tasks/administer-cluster/safely-drain-node/). Pods in protected namespaces are not asked: as
long as one is there, the node stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vdc.cluster.kubernetes.api import KubernetesCluster, Pod
from vdc.cluster.kubernetes.draining import ask_to_leave, leaving, pod_name
from vdc.errors import ClusterError, WaitTimeout
from vdc.rolling.reboots import HeldUpError, Turn, patiently
from vdc.wait import NotYet

IS_PROTECTED: Final = "is protected"
"""What is said of a pod that nobody evicts."""

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
        self._leaving(name)
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

    def expect_drained(self, name: str) -> None:
        """Raise ClusterError if pods may come to a node, or one is there that would have to leave."""
        if not self.kubernetes.get("Node", name).get("spec", {}).get("unschedulable"):
            raise ClusterError(f"{name} was cordoned, and takes pods")
        if left := self._leaving(name):
            raise ClusterError(f"{name} was drained, and has {', '.join(map(pod_name, left))}")

    def expect_in_use(self, name: str) -> None:
        """Raise ClusterError if no pods may come to a node."""
        if self.kubernetes.get("Node", name).get("spec", {}).get("unschedulable"):
            raise ClusterError(f"{name} is to be in use again, and takes no pods")

    def _empty(self, name: str) -> None:
        """Ask all to leave, unless a protected one is there. Raises NotYet: some are there; HeldUpError."""
        try:
            ask_to_leave(lambda: self._leaving(name), self.kubernetes.evict)
        except HeldUpError:
            raise
        except ClusterError as error:
            raise NotYet(error.message) from error

    def _leaving(self, name: str) -> tuple[Pod, ...]:
        """Return the pods that must not be on a node that goes. Raises HeldUpError: one is protected; ClusterError."""
        pods = leaving(self.kubernetes.pods(), name)
        if protected := [pod_name(pod) for pod in pods if pod.namespace in self.protected]:
            raise HeldUpError(f"{name} has to stay: {', '.join(protected)} {IS_PROTECTED}")
        return pods

    def _mark(self, name: str, *, unschedulable: bool) -> None:
        spec = {"unschedulable": unschedulable}
        try:
            self.kubernetes.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})
        except ClusterError as error:
            raise NotYet(error.message) from error
