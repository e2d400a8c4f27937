"""A Kubernetes in memory, on a fake data centre: implements `KubernetesCluster`, honestly or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from vdc.cluster.api import MemberState
from vdc.cluster.kubernetes.api import (
    RECORDED_SYSCTLS,
    Answer,
    Caller,
    Component,
    DisruptionError,
    Manifest,
    NodeState,
    Pod,
)
from vdc.cluster.kubernetes.trust import Trust
from vdc.cluster.pki import Authority
from vdc.datacenter.api import Machine
from vdc.errors import ClusterError, InputError, WaitTimeout
from vdc.faults.components import RUNNING_PODS
from vdc.observe.secrecy import WHO
from vdc.rolling.holding import PROTECTED
from vdc.testing.cluster import FakeCluster
from vdc.testing.controllers import Controllers, FakePod
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.guests import Asked, Guests
from vdc.testing.lies import Lie
from vdc.testing.objects import Objects, bare
from vdc.testing.shell import Shell
from vdc.testing.traffic import Traffic

CONTROL: Final = frozenset({Component.API_SERVER, Component.CONTROLLER_MANAGER, Component.SCHEDULER, Component.ETCD})
"""What runs on control planes alone."""

_OK, _UNAUTHORIZED, _FORBIDDEN, _ERROR = 200, 401, 403, 500
_INTERFACES: Final = ("all", "default", "eth0", "eth1")
_LOST: Final = frozenset({2, 3})
"""Which requests through proxies are lost by some that lie."""
_OTHER_VERSION: Final = "v1.19.0"
_CHANGED: Mapping[str, str] = MappingProxyType({"net.ipv4.conf.all.rp_filter": "2"})
_DEFAULTS: Mapping[str, str] = MappingProxyType({"arp_ignore": "0", "arp_announce": "0", "rp_filter": "0"})


class FakeKubernetes(FakeCluster):
    """A Kubernetes on all members of `dc`, whose topology has one. Nothing in it takes time."""

    def __init__(self, dc: FakeDataCenter) -> None:
        if dc.topology.kubernetes is None:
            raise InputError(f"{dc.topology.name} has no Kubernetes")
        lies = dc.world.lies
        self._objects = Objects()
        self._controllers = Controllers(dc.topology, self._objects, lies)
        for name in self._controllers.nodes:
            self._objects.apply({"kind": "Node", "metadata": {"name": name}})
        super().__init__(dc)
        self._claimed_stopped: set[tuple[Component, str]] = set()
        self._stopped: set[tuple[Component, str]] = set()
        self._changed: dict[tuple[str, str], str] = {}
        self._unreachable: set[str] = set()
        self._boots: dict[str, str] = {}
        self._requests: list[Asked] = []
        self._renewals = 0
        self._proxied = 0
        self._since_loss = 0
        self._traffic = Traffic(dc, self._objects, self._controllers, self._stopped)
        self._shell = Shell(self._traffic)
        dc.world.programs |= Guests(
            dc.world,
            self._objects,
            self._stopped,
            self._unreachable,
            Authority.load_or_create(dc.run_directory / "kubernetes" / "kubernetes"),
            self._requests,
        ).programs

    @property
    def members(self) -> tuple[str, ...]:
        """Its control planes."""
        return tuple(self._controllers.control_planes)

    @property
    def dc(self) -> FakeDataCenter:
        """The data centre."""
        return self._dc

    @property
    def pace(self) -> float:
        """The slowness that its timers follow from."""
        return self._dc.slowness

    @property
    def trust(self) -> Trust:
        """Files that are not there: nobody believes anybody here."""
        return Trust(ca=self._dc.run_directory / "ca.crt")

    @property
    def node_names(self) -> tuple[str, ...]:
        """Its nodes, control plane first."""
        workers = (name for name in self._controllers.nodes if name not in self.members)
        return (*self.members, *workers)

    def state(self) -> tuple[MemberState, ...]:
        """Return what every control plane says of itself."""
        return super().state()

    def nodes(self) -> tuple[NodeState, ...]:
        """Return the nodes that the API has."""
        self._expect_api()
        names = self.node_names[:-1] if Lie.NODE_MISSING in self._world.lies else self.node_names
        return tuple(map(self._node, names))

    def wait_nodes_ready(self, names: Sequence[str] | None = None) -> None:
        """Return if they are; raises WaitTimeout at once otherwise."""
        ready = {node.name for node in self.nodes() if node.ready}
        wanted = {node.name for node in self.nodes()} if names is None else set(names)
        if missing := wanted - ready:
            raise WaitTimeout("nodes to be Ready", deadline=0.0, last=f"not ready: {sorted(missing)}")

    def apply(self, *manifests: Manifest) -> None:
        """Write objects; what follows from them is there at once."""
        self._expect_api()
        for manifest in manifests:
            self._traffic.addressed(self._objects.apply(manifest))
        self._reconcile()

    def delete(self, *manifests: Manifest, grace: int | None = None) -> None:
        """Remove objects and pods, at once."""
        del grace
        self._expect_api()
        for manifest in manifests:
            if manifest["kind"] == "Pod":
                self._kill(manifest["metadata"]["name"])
            self._objects.delete(manifest)
        self._reconcile()

    def get(self, kind: str, name: str, *, namespace: str = "") -> Manifest:
        """Return an object; of a node, with the boot that its kubelet last spoke of."""
        self._expect_api()
        if bare(kind) == "Lease":
            self._renewals += 1
            return {"spec": {"holderIdentity": self.members[0], "renewTime": f"2026-01-01T00:00:{self._renewals}Z"}}
        found = self._objects.get(bare(kind), name, namespace)
        if bare(kind) != "Node":
            return found
        self._boots[name] = self._boots.get(name, "") if name in self._world.down else self._world.boot_id(name)
        return {**found, "status": {"nodeInfo": {"bootID": self._boots[name]}}}

    def list(self, kind: str, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
        """Return objects; pods are not among them."""
        self._expect_api()
        if Lie.OBJECTS_CHURN in self._world.lies:
            self._objects.touch(self._objects.get("Namespace", "default", ""))
        return tuple(
            each
            for each in self._objects.of(bare(kind))
            if namespace in {"", each["metadata"].get("namespace", "")}
            and (labels or {}).items() <= each["metadata"].get("labels", {}).items()
        )

    def pods(self, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Pod, ...]:
        """Return pods."""
        self._expect_api()
        if Lie.PODS_RESTART in self._world.lies:
            for pod in self._controllers.pods:
                pod.restarts += 1
        if Lie.POD_REPLACED in self._world.lies and self._world.installed.restarted and self._controllers.pods:
            self._controllers.pods[0].uid = "of another"
        unseen = PROTECTED if Lie.PROTECTED_UNSEEN in self._world.lies and not namespace else None
        return tuple(
            pod.shown()
            for pod in self._controllers.pods
            if namespace in {"", pod.namespace}
            and pod.namespace != unseen
            and (labels or {}).items() <= pod.labels.items()
        )

    def evict(self, pod: Pod) -> None:
        """Remove a pod at once, unless a disruption budget does not allow it."""
        self._expect_api()
        for budget in () if Lie.BUDGET_IGNORED in self._world.lies else self._objects.of("PodDisruptionBudget"):
            same = budget["metadata"]["namespace"] == pod.namespace
            wanted = budget["spec"]["selector"]["matchLabels"].items()
            alike = [each for each in self._controllers.pods if wanted <= each.labels.items() and each.ready]
            if same and pod.uid in {each.uid for each in alike} and len(alike) <= budget["spec"]["minAvailable"]:
                raise DisruptionError("it would violate the pod's disruption budget")
        self._kill(pod.name)
        self._reconcile()

    def replace(self, name: str) -> None:
        """Let another server be the node of that name: no pod outlives the one before."""
        super().replace(name)
        for pod in [each for each in self._controllers.pods if each.node == name]:
            self._kill(pod.name)
        self._reconcile()

    def run_in(self, pod: Pod, argv: Sequence[str], *, timeout: float = 30.0) -> str:
        """Run one of the commands that `vdc.observe.pods` has."""
        del timeout
        found = self._pod(pod)
        if Lie.EXEC_ELSEWHERE in self._world.lies:
            found = next(each for each in reversed(self._controllers.pods) if each.node != found.node)
        try:
            return self._shell.run(found, tuple(argv))
        finally:
            self._reconcile()

    def logs(self, pod: Pod) -> str:
        """Return what a pod says when it starts."""
        found = self._pod(pod)
        return "" if Lie.LOGS_EMPTY in self._world.lies else f"{found.name} on {found.node}\n"

    def fetch(self, url: str, *, source: Pod | str, timeout: float = 10.0) -> Answer:
        """Get a URL."""
        del timeout
        place = source if isinstance(source, str) else source.node
        parts = urlsplit(url)
        return Answer(status=_OK, body=self._traffic.answer(place, str(parts.hostname), parts.port or 80))

    def ask_api(
        self, path: str, *, via: str | None = None, proxied: bool = False, caller: Caller = Caller.ADMIN
    ) -> Answer:
        """Ask an API server, or the proxy of a server, which asks one that serves."""
        alive = self._serving()
        if proxied:
            if via is not None and not self._runs(Component.API_PROXY, via):
                raise ClusterError(f"the proxy of {via} does not answer")
            self._expect_not_lost()
            asked = (self.members[0],) if Lie.PROXY_OF_ONE in self._world.lies and via == self.node_names[-1] else alive
        else:
            asked = alive if via is None else (via,)
        if not set(asked) & set(alive):
            raise ClusterError(f"no API server answers via {via}")
        answer = self._answered(path, caller)
        if caller in WHO:
            server = next(each for each in asked if each in alive)
            self._requests.append(Asked(server=server, path=path, who=WHO[caller], status=answer.status))
        return answer

    def _answered(self, path: str, caller: Caller) -> Answer:
        lies = self._world.lies
        match caller:
            case Caller.NOBODY if Lie.ANONYMOUS_AT_API not in lies:
                return Answer(status=_FORBIDDEN, body=f'User "system:anonymous" cannot get path "{path}"')
            case Caller.STRANGER if Lie.STRANGER_AT_API not in lies:
                return Answer(status=_UNAUTHORIZED, body="Unauthorized")
            case Caller.POD if Lie.POD_UNKNOWN in lies:
                return Answer(status=_UNAUTHORIZED, body="Unauthorized")
            case Caller.POD if path.partition("?")[0].endswith("secrets") and Lie.POD_READS_SECRETS not in lies:
                return Answer(status=_FORBIDDEN, body="it is forbidden")
        return Answer(status=_OK, body="ok")

    def ask_kubelet(self, node: str, path: str, *, caller: Caller = Caller.ADMIN) -> Answer:
        """Ask a kubelet."""
        if not self._runs(Component.KUBELET, node) or self._traffic.dead(node):
            raise ClusterError(f"the kubelet of {node} does not answer")
        believed = {
            Caller.ADMIN: True,
            Caller.NOBODY: Lie.ANONYMOUS_AT_KUBELET in self._world.lies,
            Caller.STRANGER: Lie.STRANGER_AT_KUBELET in self._world.lies,
        }
        if not believed.get(caller, False):
            return Answer(status=_UNAUTHORIZED, body="Unauthorized")
        if path == RUNNING_PODS and not self._runs(Component.RUNTIME, node):
            return Answer(status=_ERROR, body="the container runtime does not answer")
        return Answer(status=_OK, body="ok" if path == "/healthz" else "{}")

    def ask_etcd(self, server: str, *, caller: Caller = Caller.ADMIN) -> Answer:
        """Ask a member of etcd."""
        believed = {
            Caller.ADMIN: True,
            Caller.NOBODY: Lie.ANYBODY_AT_ETCD in self._world.lies,
            Caller.STRANGER: Lie.STRANGER_AT_ETCD in self._world.lies,
        }
        if server not in self.members or not self._runs(Component.ETCD, server) or not believed.get(caller, False):
            raise ClusterError(f"etcd of {server} does not answer {caller}")
        return Answer(status=_OK, body='{"health":"true"}')

    def running(self, component: Component, server: str) -> bool:
        """Return what systemd says."""
        exists = component not in CONTROL or server in self.members
        return exists and server not in self._world.down and (component, server) not in self._claimed_stopped

    def stop(self, component: Component, server: str) -> None:
        """Stop a component."""
        self._claimed_stopped.add((component, server))
        if Lie.FAULT_WITHOUT_EFFECT not in self._world.lies:
            self._stopped.add((component, server))
        self._world.changed()

    def start(self, component: Component, server: str) -> None:
        """Start a component."""
        self._claimed_stopped.discard((component, server))
        if Lie.NEVER_HEALS not in self._world.lies:
            self._stopped.discard((component, server))
        if component is Component.KUBE_PROXY:
            self._proxy_started(server)
        self._reconcile()
        self._world.changed()

    def sysctls(self, server: str, names: Sequence[str]) -> Mapping[str, str]:
        """Return kernel settings of the usual interfaces."""
        expanded = (name.replace("*", interface) for name in names for interface in _INTERFACES)
        now = {name: self._changed.get((server, name), _DEFAULTS[name.rpartition(".")[2]]) for name in expanded}
        return {**now, **_CHANGED} if Lie.SYSCTL_CHANGED_AT_FIRST in self._world.lies else now

    def first_sysctls(self, server: str) -> Mapping[str, str]:
        """Return kernel settings as they are where nothing has changed them."""
        del server
        expanded = (name.replace("*", interface) for name in RECORDED_SYSCTLS for interface in _INTERFACES)
        return {name: _DEFAULTS[name.rpartition(".")[2]] for name in expanded}

    def join(self, machine: Machine) -> None:
        """Make a server a node."""
        machine.run(["systemctl", "start", Component.KUBELET])
        if machine.name not in self._controllers.nodes:
            self._controllers.nodes.append(machine.name)
            self._objects.apply({"kind": "Node", "metadata": {"name": machine.name}})
        self._reconcile()

    def remove(self, name: str) -> None:
        """Make a server no node any more."""
        self._controllers.nodes.remove(name)
        self._objects.delete({"kind": "Node", "metadata": {"name": name}})
        if name in self._controllers.control_planes:
            self._controllers.control_planes.remove(name)
        self._reconcile()

    def promote(self, name: str) -> None:
        """Make a worker a control plane."""
        self._controllers.control_planes.append(name)

    def _node(self, name: str) -> NodeState:
        server = self._dc.topology.server(name)
        old = Lie.NODE_OF_OTHER_VERSION in self._world.lies and name == self.node_names[-1]
        return NodeState(
            name=name,
            ready=name not in self._world.down and self._runs(Component.KUBELET, name),
            version=_OTHER_VERSION if old else f"v{self._dc.servers[name].versions()['kubernetes']}",
            zone=f"rack{server.rack}",
            role=server.role,
            control_plane=name in self.members,
            pod_blocks=tuple(map(str, server.pods)),
        )

    def _runs(self, component: Component, server: str) -> bool:
        return server not in self._world.down and (component, server) not in self._stopped

    def _expect_not_lost(self) -> None:
        """Lose requests through proxies, if they lie."""
        self._proxied += 1
        self._since_loss += 1 if self._unreachable else 0
        some = Lie.PROXY_LOSES_SOME in self._world.lies and self._proxied in _LOST
        # not the first, which may be under way when the API server is lost
        if some or (Lie.PROXY_LOSES_ONE in self._world.lies and self._since_loss == 2 and self._unreachable):
            raise ClusterError("the connection was reset")

    def _serving(self) -> tuple[str, ...]:
        """Return the control planes whose API server is reached."""
        return tuple(
            name for name in self.members if self._runs(Component.API_SERVER, name) and name not in self._unreachable
        )

    def _expect_api(self) -> None:
        if not self._serving():
            raise ClusterError("no API server answers")

    def _pod(self, pod: Pod) -> FakePod:
        """Return a pod as its kubelet has it, which the API asks."""
        self._expect_api()
        for each in self._controllers.pods:
            if each.uid == pod.uid and self._runs(Component.KUBELET, each.node) and not self._traffic.dead(each.node):
                return each
        raise ClusterError(f"{pod.namespace}/{pod.name} is not there")

    def _kill(self, name: str) -> None:
        if Lie.POD_NOT_KILLED not in self._world.lies:
            self._controllers.pods = [pod for pod in self._controllers.pods if pod.name != name]

    def _proxy_started(self, server: str) -> None:
        if Lie.SYSCTL_CHANGED in self._world.lies:
            self._changed[server, "net.ipv4.conf.all.arp_ignore"] = "1"

    def _reconcile(self) -> None:
        self._controllers.reconcile()
        self._traffic.sync()
