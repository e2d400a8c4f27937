"""Faults of what a Kubernetes is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from vdc.cluster.clients import client_of
from vdc.cluster.kubernetes.api import Component, KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.faults.base import Fault
from vdc.wait import NotYet

PROXY_HEALTH_PORT: Final = 10256
"""Where kube-proxy tells others that it is well (KubeProxyConfiguration, healthzBindAddress)."""

_OK = 200


@dataclass(frozen=True, slots=True)
class ComponentStopped(Fault):
    """A component does not run on some servers: it was stopped, and nothing starts it again."""

    heal_seconds = 360.0
    """An API server that all others have waited for starts in some 2 minutes where the slowness is 1.0."""

    kubernetes: KubernetesCluster = field(repr=False, compare=False)
    component: Component
    servers: tuple[str, ...]

    @property
    def name(self) -> str:
        """`COMPONENT of SERVER, … stopped`."""
        return f"{self.component} of {', '.join(self.servers)} stopped"

    def inject(self, dc: DataCenter) -> None:
        """Stop it."""
        for server in self.servers:
            self.kubernetes.stop(self.component, server)

    def bites(self, dc: DataCenter) -> None:
        """It does not run, and where others ask it, it does not answer them."""
        for server in self.servers:
            self._expect(dc, server, running=False)

    def heal(self, dc: DataCenter) -> None:
        """Start it."""
        for server in self.servers:
            self.kubernetes.start(self.component, server)

    def healed(self, dc: DataCenter) -> None:
        """It runs, and where others ask it, it answers that it is well."""
        for server in self.servers:
            self._expect(dc, server, running=True)

    def _expect(self, dc: DataCenter, server: str, *, running: bool) -> None:
        if self.kubernetes.running(self.component, server) is not running:
            raise NotYet(f"{self.component} of {server} {'does not run' if running else 'still runs'}")
        answered = self._answered(dc, server)
        if answered is not None and answered is not running:
            raise NotYet(f"{self.component} of {server} {'does not answer' if running else 'still answers'}")

    def _answered(self, dc: DataCenter, server: str) -> bool | None:
        """Return whether it answers others; None if it is not one that others ask."""
        health = f"http://{dc.topology.server(server).node.ip}:{PROXY_HEALTH_PORT}/healthz"
        try:
            match self.component:
                case Component.API_SERVER:
                    return self.kubernetes.ask_api("/readyz", via=server).status == _OK
                case Component.KUBELET:
                    return self.kubernetes.ask_kubelet(server, "/healthz").status == _OK
                case Component.KUBE_PROXY:
                    return self.kubernetes.fetch(health, source=client_of(dc).name).status == _OK
        except ClusterError:
            return False
        return None
