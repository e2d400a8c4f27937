"""Who answers in the network of a Kubernetes in memory: pods, services as each node knows them, load balancers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from itertools import count
from typing import Any, Final

from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.workloads import PORT
from vdc.errors import ClusterError
from vdc.testing.controllers import Controllers, FakePod
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.lies import Lie
from vdc.testing.objects import Object, Objects

_HEALTH_PORT: Final = 10256
_FIRST: Final = 20
"""Of the service pool: those before it are the cluster's own."""
_NOBODY: Final = "192.0.2.1"
_NODE_PORTS = 30_000

Rules = dict[str, tuple[str, ...]]
"""Service ("NAMESPACE/NAME") to the uids of the pods behind it, as a node knows it."""


class Traffic:
    """Packets go where the rules of each node say, which its kube-proxy keeps while it runs."""

    def __init__(
        self,
        dc: FakeDataCenter,
        objects: Objects,
        controllers: Controllers,
        stopped: Set[tuple[Component, str]],
    ) -> None:
        self._dc = dc
        self._lies = dc.world.lies
        self._objects = objects
        self._controllers = controllers
        self._stopped = stopped
        self._rules: dict[str, Rules] = {}
        self._ignorant: set[str] = set()
        self._turns: Counter[str] = Counter()
        self._numbers = count(_FIRST)

    def dead(self, node: str) -> bool:
        """Return whether nothing on a node answers."""
        liar = Lie.NODE_DEAD in self._lies and node == self._controllers.nodes[-1]
        return liar or node in self._dc.world.down

    def addressed(self, written: Object) -> None:
        """Give a service its addresses."""
        kubernetes = self._dc.topology.kubernetes
        spec = written.get("spec", {})
        if written["kind"] != "Service" or kubernetes is None:
            return
        number = next(self._numbers)
        spec.setdefault("clusterIP", str(kubernetes.services[0][number]))
        if spec.get("type") == "LoadBalancer" and "status" not in written:
            outside = Lie.BALANCER_OUTSIDE_POOL in self._lies
            address = _NOBODY if outside else str(kubernetes.load_balancers[0][number])
            written["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
            written["spec"]["ports"][0]["nodePort"] = _NODE_PORTS + number

    def sync(self) -> None:
        """Let every kube-proxy that runs learn what is behind the services."""
        services = self._objects.of("Service")
        for node in self._controllers.nodes:
            if (Component.KUBE_PROXY, node) in self._stopped:
                self._ignorant |= {node} if Lie.PROXY_FORGETS in self._lies else set()
            elif node not in self._ignorant:
                self._rules[node] = {_name(each): tuple(pod.uid for pod in self.behind(each)) for each in services}

    def behind(self, service: Object) -> tuple[FakePod, ...]:
        """Return the ready pods of a service."""
        selector = service["spec"].get("selector", {})
        if Lie.SERVICE_WITHOUT_ENDPOINTS in self._lies:
            return ()
        return tuple(pod for pod in self._controllers.pods if pod.ready and selector.items() <= pod.labels.items())

    def named(self, name: str) -> tuple[str, ...]:
        """Return the addresses of a name; none if it is not known."""
        for service in self._objects.of("Service"):
            metadata, spec = service["metadata"], service["spec"]
            if name == f"{metadata['name']}.{metadata['namespace']}.svc.{self._domain()}.":
                if Lie.NAMES_WRONG in self._lies:
                    return (_NOBODY,)
                return tuple(pod.address for pod in self.behind(service)) if _headless(spec) else (spec["clusterIP"],)
        return (_NOBODY,) if Lie.NAMES_INVENTED in self._lies else ()

    def _domain(self) -> str:
        kubernetes = self._dc.topology.kubernetes
        assert kubernetes is not None
        return "elsewhere" if Lie.DOMAIN_IGNORED in self._lies else kubernetes.domain

    def answer(self, source: str, host: str, port: int) -> str:
        """Return the page that a node or a client outside gets. Raises ClusterError: nobody answers it."""
        for server in self._dc.topology.members:
            if str(server.node.ip) == host and port == _HEALTH_PORT:
                return self._healthy(server.name)
        pod = self._pod_at(host, port) or self._behind_service(source, host, port)
        pod = pod or self._behind_balancer(host, port) or self._behind_node(host, port)
        if pod is None or self.dead(pod.node) or self._lost(source, pod.node):
            raise ClusterError(f"http://{host}:{port}/ does not answer")
        return f"{pod.name} {pod.node}\n"

    def _healthy(self, node: str) -> str:
        if self.dead(node) or (Component.KUBE_PROXY, node) in self._stopped:
            raise ClusterError(f"kube-proxy of {node} does not answer")
        return "ok"

    def _lost(self, source: str, target: str) -> bool:
        inside = source in self._controllers.nodes
        return inside and Lie.RACKS_APART in self._lies and self._rack(source) != self._rack(target)

    def _pod_at(self, host: str, port: int) -> FakePod | None:
        return next((pod for pod in self._controllers.pods if pod.address == host and port == PORT), None)

    def _behind_service(self, source: str, host: str, port: int) -> FakePod | None:
        for service in self._objects.of("Service"):
            if service["spec"].get("clusterIP") == host and _serves(service, port):
                pods = self._pods(self._rules.get(source, {}).get(_name(service), ()))
                if Lie.SERVICE_SKIPS_POD in self._lies:
                    pods = pods[1:]
                return self._next(f"{source} {host}", pods)
        return None

    def _behind_balancer(self, host: str, port: int) -> FakePod | None:
        for service in self._objects.of("Service"):
            if any(each["ip"] == host for each in _ingress(service)) and _serves(service, port):
                name = _name(service)
                pods = [
                    pod
                    for node in self._controllers.nodes
                    for pod in self._pods(self._rules.get(node, {}).get(name, ()))
                    if pod.node == node
                ]
                if Lie.BALANCER_LOSES_SOME in self._lies and self._turns[host] % 10 == 9:
                    pods = []
                if Lie.BALANCER_OF_ONE_RACK in self._lies:
                    pods = [pod for pod in pods if self._rack(pod.node) == self._rack(pods[0].node)]
                return self._next(host, pods)
        return None

    def _behind_node(self, host: str, port: int) -> FakePod | None:
        """Return the pod on a node behind a port that this has for a service."""
        for service in self._objects.of("Service"):
            if any(each.get("nodePort") == port for each in service["spec"].get("ports", ())):
                for server in self._dc.topology.members:
                    if str(server.node.ip) == host:
                        behind = self._pods(self._rules.get(server.name, {}).get(_name(service), ()))
                        return next((pod for pod in behind if pod.node == server.name), None)
        return None

    def _pods(self, uids: Sequence[str]) -> list[FakePod]:
        return [pod for pod in self._controllers.pods if pod.uid in uids]

    def _next(self, what: str, pods: Sequence[FakePod]) -> FakePod | None:
        self._turns[what] += 1
        return pods[self._turns[what] % len(pods)] if pods else None

    def _rack(self, node: str) -> int | None:
        return self._dc.topology.server(node).rack


def _name(service: Object) -> str:
    return f"{service['metadata'].get('namespace', 'default')}/{service['metadata']['name']}"


def _serves(service: Object, port: int) -> bool:
    return any(each["port"] == port for each in service["spec"].get("ports", ()))


def _headless(spec: Object) -> bool:
    return spec.get("clusterIP") == "None"


def _ingress(service: Object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return found
