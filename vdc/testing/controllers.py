"""The controllers and the scheduler of a Kubernetes in memory: objects become pods at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from vdc.cluster.kubernetes.api import Pod
from vdc.cluster.kubernetes.versions import CONTROL_PLANE_KEY
from vdc.cluster.kubernetes.workloads import READY_FILE, READY_PATH, VOLUME
from vdc.model.topology import Topology
from vdc.testing.lies import Lie
from vdc.testing.objects import Object, Objects

_HOSTNAME = "kubernetes.io/hostname"


@dataclass(kw_only=True)
class FakePod:
    """A pod. `volume` are the files of what is mounted at VOLUME, by path; `gated` is one that may be not ready."""

    owner: tuple[str, str]
    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    node: str
    address: str
    gated: bool
    volume: dict[str, str]
    files: dict[str, str] = field(default_factory=lambda: {READY_FILE: ""})
    restarts: int = 0

    @property
    def ready(self) -> bool:
        """Whether its probe passes."""
        return bool(self.node) and (not self.gated or READY_FILE in self.files)

    def holder(self, path: str) -> dict[str, str]:
        """Return the files among which one of that path is."""
        return self.volume if path.startswith(f"{VOLUME}/") else self.files

    def shown(self) -> Pod:
        """Return it as the API has it."""
        return Pod(
            namespace=self.namespace,
            name=self.name,
            uid=self.uid,
            node=self.node,
            address=self.address,
            ready=self.ready,
            restarts=self.restarts,
            app=self.labels.get("app", ""),
            owner=self.owner[0],
            waiting="" if self.node else "no node is such as it must be",
        )


class Controllers:
    """Make pods of what owns them, on `nodes`, which may change."""

    def __init__(self, topology: Topology, objects: Objects, lies: frozenset[Lie]) -> None:
        self._topology = topology
        self._objects = objects
        self._lies = lies
        self._volumes: dict[str, dict[str, str]] = {}
        self._refused: set[str] = set()
        self._made = 0
        self.nodes = [server.name for server in topology.members]
        self.control_planes = list(topology.kubernetes.control_planes) if topology.kubernetes else []
        self.pods: list[FakePod] = []

    def reconcile(self) -> None:
        """Make the pods that should be, and remove those that should not."""
        wanted = {wish: owner for owner in self._owners() for wish in self._wishes(owner)}
        # one that found no node is looked at again
        self.pods = [pod for pod in self.pods if (pod.owner, pod.name) in wanted and pod.node in self.nodes]
        there = {(pod.owner, pod.name) for pod in self.pods}
        for (owner, name), manifest in wanted.items():
            if (owner, name) not in there:
                self.pods.append(self._pod(owner, name, manifest))

    def _owners(self) -> tuple[Object, ...]:
        return self._objects.of("DaemonSet", "Deployment", "StatefulSet")

    def _wishes(self, owner: Object) -> Iterator[tuple[tuple[str, str], str]]:
        name = owner["metadata"]["name"]
        known = (str(owner["kind"]), str(name))
        if owner["kind"] != "DaemonSet":
            yield from ((known, f"{name}-{number}") for number in range(owner["spec"].get("replicas", 1)))
            return
        nodes = self._allowed(owner["spec"]["template"]["spec"])
        for node in nodes[:-1] if Lie.POD_MISSING in self._lies else nodes:
            yield known, f"{name}-{node}"

    def _pod(self, owner: tuple[str, str], name: str, manifest: Object) -> FakePod:
        template = manifest["spec"]["template"]
        spec, namespace = template["spec"], manifest["metadata"]["namespace"]
        labels = template["metadata"]["labels"]
        claims = [
            self._objects.get("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"], namespace)
            for volume in spec.get("volumes", ())
        ]
        daemon = owner[0] == "DaemonSet"
        node = name.removeprefix(f"{owner[1]}-") if daemon else self._scheduled(spec, labels, claims)
        self._made += 1
        return FakePod(
            owner=owner,
            namespace=namespace,
            name=name,
            uid=f"uid-{self._made}",
            labels=labels,
            node=node,
            address=str(self._topology.server(node).pods[0][self._made % 60 + 1]) if node else "",
            gated=any(container["readinessProbe"]["httpGet"]["path"] == READY_PATH for container in spec["containers"]),
            volume=self._volume(name) if claims else {},
        )

    def _volume(self, pod: str) -> dict[str, str]:
        return {} if Lie.VOLUME_LOST in self._lies else self._volumes.setdefault(pod, {})

    def _scheduled(self, spec: Object, labels: Mapping[str, str], claims: Sequence[Object]) -> str:
        """Return the node for a pod; an empty text where there is none."""
        places = [self._places(claim["spec"]["storageClassName"]) for claim in claims]
        allowed = tuple(node for node in self._allowed(spec) if all(node in place for place in places))
        zones = any("zone" in each.get("topologyKey", "") for each in spec.get("topologySpreadConstraints", ()))
        alike = [pod.node for pod in self.pods if pod.labels == labels and pod.node]
        racks = [self._rack(node) for node in alike]
        fewest = min((racks.count(self._rack(node)) for node in allowed), default=0)
        nodes = tuple(node for node in allowed if not self._cordoned(node))
        if zones and Lie.SPREAD_IGNORED in self._lies:
            return nodes[0]
        if zones and Lie.SPREAD_BY_CHANCE not in self._lies:
            nodes = tuple(node for node in nodes if racks.count(self._rack(node)) == fewest)
        return min(nodes, key=lambda node: (racks.count(self._rack(node)), alike.count(node)), default="")

    def _rack(self, node: str) -> int | None:
        return self._topology.server(node).rack

    def _cordoned(self, node: str) -> bool:
        """Return whether the scheduler gives a node no more pods."""
        said = any(
            each["metadata"]["name"] == node and each.get("spec", {}).get("unschedulable")
            for each in self._objects.of("Node")
        )
        if said and Lie.FAULT_WITHOUT_EFFECT not in self._lies:
            self._refused.add(node)
        elif not said and Lie.NEVER_HEALS not in self._lies:
            self._refused.discard(node)
        return node in self._refused

    def _allowed(self, spec: Object) -> tuple[str, ...]:
        """Return the nodes whose taints and labels a pod goes with."""
        tolerant = any(each.get("key") in {None, CONTROL_PLANE_KEY} for each in spec.get("tolerations", ()))
        pinned = spec.get("nodeSelector", {}).get(_HOSTNAME)
        return tuple(
            node for node in self.nodes if (tolerant or node not in self.control_planes) and pinned in {None, node}
        )

    def _places(self, storage_class: str) -> frozenset[str]:
        """Return the nodes where volumes of a class are."""
        return frozenset(
            value
            for volume in self._objects.of("PersistentVolume")
            if volume["spec"]["storageClassName"] == storage_class
            for term in volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
            for expression in term["matchExpressions"]
            for value in expression["values"]
        )
