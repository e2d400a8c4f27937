"""Faults of the nodes of a Kubernetes, as its users see them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.faults.base import Fault
from vdc.wait import NotYet


@dataclass(frozen=True, slots=True)
class Cordoned(Fault):
    """Nodes take no new pods, by the word of an administrator (kubectl cordon)."""

    needs = "a Kubernetes of ours with these nodes"

    kubernetes: KubernetesCluster = field(repr=False, compare=False)
    nodes: tuple[str, ...]

    @property
    def name(self) -> str:
        """`NODE, … cordoned`."""
        return f"{', '.join(self.nodes)} cordoned"

    def missing(self, dc: DataCenter) -> str | None:
        """Return which is no node of it, or that there is none to cordon."""
        unknown = sorted({*self.nodes} - {*self.kubernetes.node_names})
        if unknown:
            return f"there is no node {', '.join(unknown)}"
        return None if self.nodes else "there is no node to cordon"

    def inject(self, dc: DataCenter) -> None:
        """Say so."""
        self._mark(cordoned=True)

    def bites(self, dc: DataCenter) -> None:
        """The API has it so."""
        self._expect(cordoned=True)

    def heal(self, dc: DataCenter) -> None:
        """Take it back, now or as soon as the API takes it."""
        with suppress(ClusterError):
            self._mark(cordoned=False)

    def healed(self, dc: DataCenter) -> None:
        """The API has it so no more."""
        try:
            self._expect(cordoned=False)
        except NotYet:
            with suppress(ClusterError):
                self._mark(cordoned=False)
            raise

    def _mark(self, *, cordoned: bool) -> None:
        for name in self.nodes:
            spec = {"unschedulable": cordoned}
            self.kubernetes.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": spec})

    def _expect(self, *, cordoned: bool) -> None:
        for name in self.nodes:
            try:
                spec = self.kubernetes.get("Node", name).get("spec", {})
            except ClusterError as error:
                raise NotYet(error.message) from error
            if bool(spec.get("unschedulable")) is not cordoned:
                raise NotYet(f"{name} is {'not ' if cordoned else 'still '}cordoned")
