"""A deployed Kubernetes, live: asked through the fabric, and its servers through their guest agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from vdc.cluster.api import MemberState
from vdc.cluster.kubernetes import draining, guest, lifecycle, reading, serving, store
from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.api import Answer, Caller, Component, Manifest, NodeState, Pod
from vdc.cluster.kubernetes.client import Api
from vdc.cluster.kubernetes.outside import ask
from vdc.cluster.kubernetes.pods import fetch_in
from vdc.cluster.kubernetes.record import Record
from vdc.cluster.kubernetes.spec import API_PORT, PROXY_PORT, ClusterSpec, Node
from vdc.cluster.kubernetes.trust import Trust
from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError
from vdc.wait import wait_for

KUBELET_PORT = 10250
_GONE_SECONDS = 120.0
_READY_SECONDS = 240.0
_SERVING_SECONDS = 180.0


class LiveKubernetes:
    """Implements `vdc.cluster.kubernetes.api.KubernetesCluster`. Made by `KubernetesDeployer`."""

    def __init__(self, dc: DataCenter, access: Access) -> None:
        self._dc = dc
        self.access = access

    @property
    def dc(self) -> DataCenter:
        """The data centre it runs in."""
        return self._dc

    @property
    def spec(self) -> ClusterSpec:
        """What it is to be."""
        return Record.load(self._dc).cluster(self._dc)

    @property
    def members(self) -> tuple[str, ...]:
        """Its control-plane nodes."""
        return tuple(node.name for node in self.spec.control_planes)

    @property
    def pace(self) -> float:
        """The slowness that its timers follow from: of the host it was deployed on."""
        return self.spec.slowness

    @property
    def trust(self) -> Trust:
        """The administrator's."""
        return self.access.trust

    @property
    def node_names(self) -> tuple[str, ...]:
        """The servers that are to be its nodes, control plane first."""
        return tuple(node.name for node in self.spec.nodes)

    def state(self) -> tuple[MemberState, ...]:
        """Ask every API server for its version and readiness, and the etcd below whether it leads."""
        planes = self.spec.control_planes
        with ThreadPoolExecutor(len(planes)) as pool:
            return tuple(pool.map(lambda node: serving.member_state(self.access, node), planes))

    def write(self, key: str, value: str, *, via: str | None = None) -> None:
        """Write through the API server of `via`, or the first that answers."""
        store.write(self._api(via), key, value)

    def read(self, key: str, *, via: str | None = None) -> str | None:
        """Read linearizably through the API server of `via`, or the first that answers."""
        return store.read(self._api(via), key)

    def read_prefix(self, prefix: str, *, via: str | None = None) -> Mapping[str, str]:
        """Read linearizably every key that starts with `prefix`."""
        return store.read_prefix(self._api(via), prefix)

    def wait_serving(self, *, members: Sequence[str] | None = None) -> None:
        """Wait until these members serve, by default all, and then all nodes too, which answer the API."""
        spec = self.spec
        wanted = spec.control_planes if members is None else tuple(map(self._node, members))
        if not wanted:
            raise ClusterError("no members to wait for: this would prove nothing")
        wait_for(
            lambda: serving.expect_serving(self.access, wanted),
            what=f"Kubernetes to serve through {', '.join(node.name for node in wanted)}",
            timeout=deadline(self._dc, _SERVING_SECONDS),
            interval=0.5,
        )
        if members is None:
            self.wait_nodes_ready()

    def nodes(self) -> tuple[NodeState, ...]:
        """Return the nodes that the API has."""
        return tuple(map(reading.node_state, self.list("Node")))

    def wait_nodes_ready(self, names: Sequence[str] | None = None) -> None:
        """Wait until these nodes are Ready, and their kubelets answer the API server."""
        wanted = self.node_names if names is None else tuple(names)
        serving.wait_nodes_ready(self._dc, self._api(), wanted, timeout=deadline(self._dc, _READY_SECONDS))

    def apply(self, *manifests: Manifest) -> None:
        """Create objects, or make them what the manifests say."""
        for manifest in manifests:
            self._api().apply(manifest)

    def delete(self, *manifests: Manifest, grace: int | None = None) -> None:
        """Delete objects, and wait until they are gone; `grace`: in how many seconds, if not as a pod says itself."""
        api = self._api()
        places = [
            (f"{each['apiVersion']} {each['kind']}", each["metadata"]["name"], each["metadata"].get("namespace", ""))
            for each in manifests
        ]
        uids = [api.delete(*place, grace=grace) for place in places]
        for place, uid in zip(places, uids, strict=True):
            wait_for(
                partial(serving.expect_gone, api, api.path(*place), uid),
                what=f"{place[0]} {place[1]} to be gone",
                timeout=deadline(self._dc, _GONE_SECONDS),
                interval=0.5,
            )

    def get(self, kind: str, name: str, *, namespace: str = "") -> Manifest:
        """Return an object."""
        found: Manifest = self._api().get(self._api().path(kind, name, namespace))
        return found

    def list(self, kind: str, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Manifest, ...]:
        """Return the objects of a kind."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        query = {"labelSelector": selector} if selector else {}
        api = self._api()
        return tuple(api.get(api.path(kind, namespace=namespace), **query)["items"])

    def pods(self, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> tuple[Pod, ...]:
        """Return pods."""
        return tuple(map(reading.pod, self.list("Pod", namespace=namespace, labels=labels)))

    def evict(self, pod: Pod) -> None:
        """Ask for a pod to leave its node."""
        draining.evict(self._api(), pod.namespace, pod.name, version=self.spec.version)

    def run_in(self, pod: Pod, argv: Sequence[str], *, timeout: float = 30.0) -> str:
        """Run a command in a pod."""
        patience = timeout * max(1.0, self._dc.slowness)
        status, out, errors = self._api().execute(pod.namespace, pod.name, argv, timeout=patience)
        if status != 0:
            said = (errors or out).strip()[-500:]
            raise ClusterError(f"{pod.namespace}/{pod.name}: `{' '.join(argv)}` exited {status}: {said}")
        return out

    def logs(self, pod: Pod) -> str:
        """Return what a pod has logged."""
        api = self._api()
        return api.request("GET", f"{api.path('Pod', pod.name, pod.namespace)}/log")

    def fetch(self, url: str, *, source: Pod | str, timeout: float = 10.0) -> Answer:
        """Get a URL over a new connection."""
        patience = timeout * max(1.0, self._dc.slowness)
        if isinstance(source, str):
            return ask(url, netns=lifecycle.netns_of(self._dc, source), timeout=patience)
        api = self._api()
        return fetch_in(
            lambda argv: api.execute(source.namespace, source.name, argv, timeout=patience + 30.0),
            url,
            where=f"{source.namespace}/{source.name}",
            timeout=patience,
        )

    def ask_api(
        self, path: str, *, via: str | None = None, proxied: bool = False, caller: Caller = Caller.ADMIN
    ) -> Answer:
        """Get a path of the API."""
        planes = self.spec.control_planes
        nodes = (self._node(via),) if via else planes
        port = PROXY_PORT if proxied else API_PORT
        refusals = []
        for node in nodes:
            try:
                return self.access.ask(node, port, path, caller=caller, planes=planes)
            except ClusterError as error:
                refusals.append(error.message)
        raise ClusterError("; ".join(refusals))

    def ask_kubelet(self, node: str, path: str, *, caller: Caller = Caller.ADMIN) -> Answer:
        """Get a path of a node's kubelet."""
        plane = self.spec.control_planes[0]
        return self.access.ask_kubelet(self._node(node), KUBELET_PORT, path, caller=caller, plane=plane)

    def ask_etcd(self, server: str, *, caller: Caller = Caller.ADMIN) -> Answer:
        """Get the health of a member of etcd."""
        return self.access.ask_etcd(self._node(server), caller=caller)

    def running(self, component: Component, server: str) -> bool:
        """Return whether a component runs on a server."""
        done = self._dc.servers[server].run(["systemctl", "is-active", component], check=False)
        return done.stdout.strip() == "active"

    def stop(self, component: Component, server: str) -> None:
        """Stop a component on a server."""
        self._dc.servers[server].run(["systemctl", "stop", component], timeout=60.0)

    def start(self, component: Component, server: str) -> None:
        """Start a component on a server; does not wait for it."""
        self._dc.servers[server].run(["systemctl", "start", "--no-block", component])

    def sysctls(self, server: str, names: Sequence[str]) -> Mapping[str, str]:
        """Return kernel settings of a server."""
        return self._settings(server, guest.sysctls_script(names))

    def first_sysctls(self, server: str) -> Mapping[str, str]:
        """Return kernel settings of a server as they were before the first component was started."""
        return self._settings(server, guest.first_sysctls_script())

    def join(self, machine: Machine) -> None:
        """Make a server a node, or a node again."""
        lifecycle.join(self._dc, self.access, machine)

    def remove(self, name: str) -> None:
        """Take a node out of the cluster."""
        lifecycle.remove(self._dc, self.access, name)

    def promote(self, name: str) -> None:
        """Make a worker a control-plane node, and wait until it serves."""
        lifecycle.promote(self._dc, self.access, name)
        self.wait_serving(members=[name])

    def replace(self, name: str) -> None:
        """Give a node whose server is lost a new root disk, and wait until it is Ready again."""
        lifecycle.replace_node(self._dc, self.access, name)
        self.wait_nodes_ready([name])

    def _settings(self, server: str, script: str) -> Mapping[str, str]:
        said = self._dc.servers[server].run(["sh", "-s"], stdin=script).stdout
        pairs = (line.partition("=") for line in said.splitlines())
        return {name.replace("/", "."): value for name, _, value in pairs}

    def _api(self, via: str | None = None) -> Api:
        return self.access.api((self._node(via),) if via else self.spec.control_planes)

    def _node(self, name: str) -> Node:
        try:
            return self.spec.node(name)
        except KeyError as error:
            raise ClusterError(str(error.args[0])) from None
