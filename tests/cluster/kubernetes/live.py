"""A data centre whose servers only note what they are told, and a control plane in memory."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import Api, RefusedError
from vdc.cluster.kubernetes.members import Members, Status, peer_url
from vdc.cluster.kubernetes.pki import Pki
from vdc.cluster.kubernetes.record import directory
from vdc.cluster.kubernetes.spec import Node
from vdc.datacenter.api import DataCenter, Power
from vdc.errors import CommandError
from vdc.model.topology import Server, Topology
from vdc.shell import Completed
from vdc.steps import Listener, Steps

VERSIONS = {"kubernetes": "1.20.2", "etcd": "3.4.23", "containerd": "1.6.20", "runc": "1.1.5"}


class Machine:
    """Notes scripts; has a power switch, marks of components, and a journal."""

    def __init__(self, spec: Server) -> None:
        self.spec, self.name = spec, spec.name
        self.scripts: list[str] = []
        self.marks: dict[str, str] = {}
        self.etcd_data = False
        self.broken = ""
        self.on = True
        self.reimaged: list[str] = []
        self.starting: Callable[[str], None] = lambda _: None

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        del timeout
        out = self._answer(tuple(argv), stdin or "")
        if self.broken and stdin and "tar -xz" in stdin:
            if check:
                raise CommandError(self.name, argv, 1, self.broken)
            return Completed(argv=tuple(argv), status=1, stdout="", stderr=self.broken)
        return Completed(argv=tuple(argv), status=0, stdout=out, stderr="")

    def _answer(self, argv: tuple[str, ...], script: str) -> str:
        if argv[0] == "cat":
            return json.dumps({"components": VERSIONS})
        if argv[0] == "journalctl":
            return f"{argv[2]} of {self.name} said this last\n"
        self._note(script)
        if script.startswith("states="):
            return "".join(map(self._look, script.splitlines()[0].split("is-active ")[1].split(")")[0].split()))
        if "echo yes" in script:
            return "yes\n" if self.etcd_data else ""
        return ""

    def _note(self, script: str) -> None:
        self.scripts += [script] if script else []
        if "is-active $1" in script:  # a start
            for component, mark in re.findall(r"^start (\S+) (\w+) ", script, re.M):
                self.starting(component)
                self.marks[component] = mark
        if "kubepods.slice" in script:  # an end
            self.marks.clear()

    def _look(self, unit: str) -> str:
        return f"{unit} {'active' if unit in self.marks else 'inactive'} {self.marks.get(unit, '')}\n"

    def power(self) -> Power:
        return Power.ON if self.on else Power.OFF

    def power_off(self) -> None:
        self.on = False

    def power_on(self) -> None:
        self.on = True

    def reimage(self, release: str) -> None:
        self.reimaged.append(release)
        self.marks.clear()

    def wait_answering(self, *, unlike_boot: str | None = None) -> str:
        del unlike_boot
        return "boot"


class Listening:
    """Notes the steps."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, name: str, depth: int) -> None:
        del depth
        self.names.append(name)

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """Nothing to note."""


class Lab:
    """Implements what a deployer asks of a data centre."""

    slowness = 0.0

    def __init__(self, topology: Topology, run_directory: Path, *, name: str = "lab") -> None:
        self.name, self.topology, self.run_directory = name, topology, run_directory
        self.servers = {server.name: Machine(server) for server in topology.servers}
        self.externals = {"external": object()}
        self.listening = Listening()
        listener: Listener = self.listening
        self.steps = Steps(None, (listener,))


@dataclass
class Kept(Api):
    """The API in memory: of nodes it knows what is registered, of other objects that they were applied."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    applied: list[Manifest] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    pods: list[dict[str, Any]] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def get(self, path: str, **query: str) -> Any:
        if path == "/api/v1/nodes":
            return {"items": [self._node(name) for name in self.nodes]}
        if path == "/api/v1/pods":
            return {"items": [each for each in self.pods if f"spec.nodeName={each['node']}" == query["fieldSelector"]]}
        raise AssertionError(path)

    def apply(self, manifest: Manifest) -> Manifest:
        with self.lock:
            self.applied.append(manifest)
        return manifest

    def delete(self, kind: str, name: str, namespace: str = "") -> str:
        del namespace
        self.deleted.append(f"{kind} {name}")
        self.nodes.pop(name, None)
        return ""

    def exists(self, kind: str, name: str, namespace: str = "") -> bool:
        del kind, namespace
        return name in self.nodes

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> str:
        del query, content
        name = path.split("/")[4] if path.startswith("/api/v1/nodes/") else ""
        match method:
            case "PATCH" if name not in self.nodes:
                raise RefusedError(404, f"no node {name}")
            case "PATCH":
                self.nodes[name].update(body)
            case "POST" if path.endswith("/eviction"):
                self.evicted.append(body["metadata"]["name"])
                self.pods = [each for each in self.pods if each["metadata"]["name"] != body["metadata"]["name"]]
            case "POST":
                self.nodes[body["metadata"]["name"]] = dict(body)
            case _:
                self.asked.append(path)
        return ""

    def _node(self, name: str) -> dict[str, Any]:
        ready = {"type": "Ready", "status": "False" if name in self.dead else "True", "message": "it has no network"}
        return {**self.nodes[name], "status": {"conditions": [ready]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum(Members):
    """The members of etcd in memory: peer URL to id."""

    urls: dict[str, str]
    calls: list[str]

    def status(self, node: Node) -> Status:
        return Status(member=node.name, leader="m0", version="3.4.23", errors=())

    def ids(self, via: Sequence[Node]) -> Mapping[str, str]:
        assert via
        return dict(self.urls)

    def add(self, node: Node, via: Sequence[Node]) -> None:
        assert node not in via
        self.calls.append(f"add {node.name}")
        self.urls[peer_url(node)] = f"id of {node.name}"

    def remove(self, member: str, via: Sequence[Node]) -> None:
        assert via
        self.calls.append(f"remove {member}")
        for url in [url for url, known in self.urls.items() if known == member]:
            del self.urls[url]


class Reached(Access):
    """The ways to that control plane."""

    def __init__(self, dc: DataCenter, *, name: str, kept: Kept, quorum: Quorum) -> None:
        super().__init__(pki=Pki(directory(dc), name=name), folder=directory(dc), netns=None, timeout=1.0)
        self.kept = kept
        self.__dict__["members"] = quorum

    def api(self, nodes: Sequence[Node]) -> Api:
        assert nodes
        return self.kept
