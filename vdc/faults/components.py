"""Faults of what a Kubernetes is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from vdc.cluster.clients import client_of
from vdc.cluster.kubernetes.api import Answer, Component, KubernetesCluster
from vdc.cluster.kubernetes.timers import RESTART_SECONDS
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.faults.base import Fault
from vdc.wait import NotYet

PROXY_HEALTH_PORT: Final = 10256
"""Where kube-proxy tells others that it is well (KubeProxyConfiguration, healthzBindAddress)."""

RUNNING_PODS: Final = "/runningpods/"
"""The pods of a kubelet as its container runtime has them."""

_OK = 200


@dataclass(frozen=True, slots=True)
class ComponentsStopped(Fault):
    """Components do not run on some servers: they were stopped, and nothing starts them again."""

    heal_seconds = RESTART_SECONDS
    needs = "a Kubernetes of ours with these servers"

    kubernetes: KubernetesCluster = field(repr=False, compare=False)
    components: tuple[Component, ...]
    servers: tuple[str, ...]

    @property
    def name(self) -> str:
        """`COMPONENT, … of SERVER, … stopped`."""
        return f"{', '.join(self.components)} of {', '.join(self.servers)} stopped"

    def missing(self, dc: DataCenter) -> str | None:
        """Return which is no server of it, or that nothing is to be stopped."""
        unknown = sorted({*self.servers} - {*dc.servers})
        if unknown:
            return f"there is no server {', '.join(unknown)}"
        return None if self.servers and self.components else "there is nothing to stop"

    def inject(self, dc: DataCenter) -> None:
        """Stop them."""
        for server, component in product(self.servers, self.components):
            self.kubernetes.stop(component, server)

    def bites(self, dc: DataCenter) -> None:
        """They don't run, and those that others ask don't answer them."""
        for server, component in product(self.servers, self.components):
            self._expect(dc, server, component, running=False)

    def heal(self, dc: DataCenter) -> None:
        """Start them."""
        for server, component in product(self.servers, self.components):
            self.kubernetes.start(component, server)

    def healed(self, dc: DataCenter) -> None:
        """They run, and those that others ask answer that they are well."""
        for server, component in product(self.servers, self.components):
            self._expect(dc, server, component, running=True)

    def _expect(self, dc: DataCenter, server: str, component: Component, *, running: bool) -> None:
        if self.kubernetes.running(component, server) is not running:
            raise NotYet(f"{component} of {server} {'does not run' if running else 'still runs'}")
        answered = self._answered(dc, server, component)
        if answered is not None and answered is not running:
            raise NotYet(f"{component} of {server} {'does not answer' if running else 'still answers'}")

    def _answered(self, dc: DataCenter, server: str, component: Component) -> bool | None:
        """Return whether it answers others; None if it is not one that others ask."""
        health = f"http://{dc.topology.server(server).node.ip}:{PROXY_HEALTH_PORT}/healthz"
        cluster = self.kubernetes
        asks: dict[Component, Callable[[], Answer]] = {
            Component.API_SERVER: lambda: cluster.ask_api("/readyz", via=server),
            Component.API_PROXY: lambda: cluster.ask_api("/readyz", via=server, proxied=True),
            Component.ETCD: lambda: cluster.ask_etcd(server),
            Component.KUBELET: lambda: cluster.ask_kubelet(server, "/healthz"),
            Component.KUBE_PROXY: lambda: cluster.fetch(health, source=client_of(dc).name),
            # its kubelet asks it
            Component.RUNTIME: lambda: cluster.ask_kubelet(server, RUNNING_PODS),
        }
        if component not in asks:
            return None
        try:
            return asks[component]().status == _OK
        except ClusterError:
            return False
