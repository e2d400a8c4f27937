"""A data centre whose servers only note what they are told, and a control plane in memory."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import threading
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import pytest

from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import Api, RefusedError
from vdc.cluster.kubernetes.cluster import LiveKubernetes
from vdc.cluster.kubernetes.deployer import KubernetesDeployer
from vdc.cluster.kubernetes.installing import Installer
from vdc.cluster.kubernetes.members import NO_LEADER, Member, Members, Status, peer_url
from vdc.cluster.kubernetes.paths import FIRST_MEMBERS
from vdc.cluster.kubernetes.pki import Pki
from vdc.cluster.kubernetes.record import Record, directory
from vdc.cluster.kubernetes.spec import Node
from vdc.cluster.kubernetes.trust import Trust
from vdc.datacenter.api import DataCenter, Power
from vdc.errors import ClusterError, CommandError
from vdc.model.topology import Server, Topology
from vdc.shell import Completed
from vdc.steps import Listener, Steps

T = TypeVar("T")
R = TypeVar("R")

VERSIONS = {"kubernetes": "1.20.2", "etcd": "3.4.23", "containerd": "1.6.20", "runc": "1.1.5"}


class Killed(BaseException):
    """The harness is killed: nothing of it catches this."""


class Fuse:
    """Kills the harness when it is about to do something for the `left` + 1st time; never, as long as that is None."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.burnt = 0

    def burn(self) -> None:
        self.burnt += 1
        if self.left is None:
            return
        if self.left == 0:
            self.left = None
            raise Killed
        self.left -= 1


class InTurn:
    """A pool in which one thing is done after the other, so that what is cut off is the same each time."""

    def __init__(self, workers: int) -> None:
        """Of which there is only one."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody is left to wait for."""

    def map(self, call: Callable[[T], R], each: Iterable[T]) -> Iterator[R]:
        return iter([call(one) for one in each])


class Machine:
    """Notes scripts; has a power switch, files, marks of components, and a journal.

    `etcd_data` is the id of the member whose data is on its data disk. `killed_at`: the harness is killed when it says
    a script with this text, which is not run.
    """

    release = "kubernetes-1.20"

    def __init__(self, spec: Server, fuse: Fuse) -> None:
        self.spec, self.name, self.fuse = spec, spec.name, fuse
        self.scripts: list[str] = []
        self.files: dict[str, str] = {}
        self.marks: dict[str, str] = {}
        self.etcd_data = ""
        self.broken = ""
        self.killed_at = ""
        self.on = True
        self.reimaged: list[str] = []
        self.starting: Callable[[str], None] = lambda _: None
        self.founding: Callable[[Machine], None] = lambda _: None

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        del timeout
        if not self.on:
            raise CommandError(self.name, argv, 1, "the server is off")
        if stdin:
            self.fuse.burn()
        if self.killed_at and self.killed_at in (stdin or ""):
            self.killed_at = ""
            raise Killed
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
            units = script.splitlines()[0].split("is-active ")[1].split(")")[0].split()
            return "".join(map(self._look, units)) + ("data\n" if self.etcd_data else "")
        return ""

    def _note(self, script: str) -> None:
        self.scripts += [script] if script else []
        self._put(script)
        if "is-active $1" in script:  # a start
            for component, mark in re.findall(r"^start (\S+) (\w+) ", script, re.M):
                self._start(component, mark)
        if stops := re.match(r"systemctl stop ([^\n]*?)( 2>|\n)", script):
            for component in stops[1].split():
                self.marks.pop(component, None)
        if "rm -rf --one-file-system /data/etcd\n" in script:
            self.etcd_data = ""
        if "kubepods.slice" in script:  # an end
            self._clear()
            self.etcd_data = ""

    def _put(self, script: str) -> None:
        if found := re.search(r"tar -xz.*\n(.*)\nEND", script):
            with tarfile.open(fileobj=io.BytesIO(b64decode(found[1]))) as archive:
                for each in archive:
                    content = archive.extractfile(each)
                    assert content is not None
                    self.files[f"/{each.name}"] = content.read().decode()
        elif found := re.search(r"cat >(\S+) <<END\n(.*)\nEND", script, re.DOTALL):
            self.files[found[1]] = found[2]

    def _start(self, component: str, mark: str) -> None:
        if self.marks.get(component) != mark:
            self.starting(component)
        self.marks[component] = mark
        if component == "etcd":
            self.founding(self)

    def _clear(self) -> None:
        self.marks.clear()
        self.files.clear()

    def _look(self, unit: str) -> str:
        return f"{unit} {'active' if unit in self.marks else 'inactive'} {self.marks.get(unit, '')}\n"

    def power(self) -> Power:
        return Power.ON if self.on else Power.OFF

    def power_off(self) -> None:
        self.fuse.burn()
        self.on = False

    def power_on(self) -> None:
        self.fuse.burn()
        self.on = True

    def reimage(self, release: str) -> None:
        self.fuse.burn()
        assert not self.on
        self.reimaged.append(release)
        self._clear()

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
    bench: Bench

    def __init__(self, topology: Topology, run_directory: Path, *, name: str = "lab") -> None:
        self.name, self.topology, self.run_directory = name, topology, run_directory
        self.fuse = Fuse()
        self.servers = {server.name: Machine(server, self.fuse) for server in topology.servers}
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
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By their paths; where a token is taken away, a controller signs another one at once."""
    written: list[str] = field(default_factory=list)
    """Paths of secrets that were written as they are."""
    meanwhile: Callable[[dict[str, Any]], None] | None = None
    """What somebody else does to the node that is read next, before it is written."""
    quorum: Quorum | None = None

    def _expect_etcd(self) -> None:
        """What rests on an etcd without a quorum answers nobody."""
        if self.quorum is not None:
            self.quorum.fuse.burn()
            self.quorum.expect_quorum()

    def get(self, path: str, **query: str) -> Any:
        self._expect_etcd()
        if path == "/api/v1/nodes":
            return {"items": [self._node(name) for name in self.nodes]}
        if path.startswith("/api/v1/nodes/"):
            return self._read(path.split("/")[4])
        if path == "/api/v1/secrets":
            wanted = query.get("fieldSelector", "").removeprefix("type=")
            return {"items": [deepcopy(each) for each in self.secrets.values() if wanted in {"", each["type"]}]}
        if path == "/api/v1/pods":
            return {"items": [each for each in self.pods if f"spec.nodeName={each['node']}" == query["fieldSelector"]]}
        raise AssertionError(path)

    def apply(self, manifest: Manifest) -> Manifest:
        self._expect_etcd()
        with self.lock:
            self.applied.append(manifest)
        return manifest

    def delete(self, kind: str, name: str, namespace: str = "", *, grace: int | None = None) -> str:
        del namespace, grace
        self._expect_etcd()
        self.deleted.append(f"{kind} {name}")
        self.nodes.pop(name, None)
        return ""

    def exists(self, kind: str, name: str, namespace: str = "") -> bool:
        del kind, namespace
        self._expect_etcd()
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
        self._expect_etcd()
        if path in self.secrets:
            return self._secret(method, path, body)
        name = path.split("/")[4] if path.startswith("/api/v1/nodes/") else ""
        match method:
            case "PATCH" if name not in self.nodes:
                raise RefusedError(404, f"no node {name}")
            case "PATCH":
                self._patch(self.nodes[name], body)
            case "POST" if path.endswith("/eviction"):
                self.evicted.append(body["metadata"]["name"])
                self.pods = [each for each in self.pods if each["metadata"]["name"] != body["metadata"]["name"]]
            case "POST":
                made = self.nodes[body["metadata"]["name"]] = deepcopy(body)
                made["metadata"]["resourceVersion"] = "1"
            case _:
                self.asked.append(path)
        return ""

    def _read(self, name: str) -> dict[str, Any]:
        if name not in self.nodes:
            raise RefusedError(404, f"no node {name}")
        found = deepcopy(self.nodes[name])
        if self.meanwhile is not None:
            self._patch(self.nodes[name], {})
            self.meanwhile(self.nodes[name])
            self.meanwhile = None
        return found

    def _patch(self, node: dict[str, Any], body: Any) -> None:
        """As the API: fields are merged, a list such as that of taints is replaced."""
        before = node["metadata"]["resourceVersion"]
        if body.get("metadata", {}).get("resourceVersion", before) != before:
            raise RefusedError(409, "the object has been modified")
        _merge(node, body)
        node["metadata"]["resourceVersion"] = str(int(before) + 1)

    def _secret(self, method: str, path: str, body: Any) -> str:
        if method == "PUT":
            assert body["kind"] == "Secret"
            self.written.append(path)
        else:
            assert body == {"data": {"token": None}}
            self.secrets[path]["data"]["token"] += " anew"
        return ""

    def _node(self, name: str) -> dict[str, Any]:
        ready = {"type": "Ready", "status": "False" if name in self.dead else "True", "message": "it has no network"}
        return {**self.nodes[name], "status": {"conditions": [ready]}}


def _merge(there: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for name, value in patch.items():
        if isinstance(value, dict):
            _merge(there.setdefault(name, {}), value)
        elif value is None:
            there.pop(name, None)
        else:
            there[name] = deepcopy(value)


def _initial(machine: Machine) -> tuple[str, dict[str, str]]:
    """What a member reads while it keeps nothing: the state, and URLs to names."""
    said = dict(line.split("=", 1) for line in machine.files[FIRST_MEMBERS].splitlines())
    pairs = (each.split("=", 1) for each in said["ETCD_INITIAL_CLUSTER"].split(","))
    return said["ETCD_INITIAL_CLUSTER_STATE"], {url: name for name, url in pairs}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum(Members):
    """The members of etcd in memory, as its documentation has them: a change needs most of those that have a vote.

    A member runs where its server is on, its unit was started, and its data is that of the member that the others know.
    """

    machines: dict[str, Machine]
    members: dict[str, Member]
    """By peer URL."""
    calls: list[str]
    fuse: Fuse

    def begin(self, machine: Machine) -> None:
        """An etcd was started on a machine: where it keeps nothing, it does what it finds in its environment."""
        url = self._url(machine)
        if machine.etcd_data:
            return
        state, initial = _initial(machine)
        if state == "new" and not self.members:
            self.members.update(
                {each: Member(id=f"id of {name}", url=each, name=name, learner=False) for each, name in initial.items()}
            )
            machine.etcd_data = self.members[url].id
        elif state == "new":
            known = self.members.get(url)
            # it may only be one that begins together with the others
            assert known is not None, f"a second etcd was founded on {machine.name}"
            assert initial.keys() == self.members.keys(), f"a second etcd was founded on {machine.name}"
            machine.etcd_data = known.id
        elif initial.keys() == self.members.keys():  # else it ends: "member count is unequal"
            self.members[url] = replace(self.members[url], name=machine.name)
            machine.etcd_data = self.members[url].id

    def expect_quorum(self) -> None:
        voters = [each for each in self.members.values() if not each.learner]
        running = [each.name for each in voters if self._runs(each)]
        if 2 * len(running) <= len(voters):
            raise ClusterError(f"etcdserver: request timed out: of {len(voters)} members only {running} run")

    def status(self, node: Node) -> Status:
        known = self.members.get(peer_url(node))
        if known is None or not self._runs(known):
            raise ClusterError(f"etcd on {node.name}: connection refused")
        try:
            self.expect_quorum()
        except ClusterError:
            return Status(member=known.id, leader=NO_LEADER, version="3.4.23", errors=())
        return Status(member=known.id, leader=self._leader().id, version="3.4.23", errors=())

    def list(self, via: Sequence[Node]) -> tuple[Member, ...]:
        self._answered(via)
        return tuple(self.members.values())

    def add_learner(self, node: Node, via: Sequence[Node]) -> None:
        self.fuse.burn()
        assert node not in via
        self._answered(via)
        self.expect_quorum()
        assert peer_url(node) not in self.members, "Peer URLs already exists"
        if any(each.learner for each in self.members.values()):
            raise ClusterError("too many learner members in cluster")
        self.calls.append(f"add {node.name}")
        number = sum(call == f"add {node.name}" for call in self.calls)
        made = Member(id=f"id {number} of {node.name}", url=peer_url(node), name="", learner=True)
        self.members[peer_url(node)] = made

    def promote(self, member: str, via: Sequence[Node]) -> None:
        self.fuse.burn()
        self._answered(via)
        self.expect_quorum()
        found = next(each for each in self.members.values() if each.id == member)
        assert found.learner
        if not self._runs(found):
            raise ClusterError("can only promote a learner member which is in sync with leader")
        self.calls.append(f"promote {found.name}")
        self.members[found.url] = replace(found, learner=False)

    def remove(self, member: str, via: Sequence[Node]) -> None:
        self.fuse.burn()
        self._answered(via)
        self.expect_quorum()
        self.calls.append(f"remove {member}")
        for url in [url for url, known in self.members.items() if known.id == member]:
            del self.members[url]

    def move_leader(self, leader: Node, member: str) -> None:
        self.fuse.burn()
        assert self.members[peer_url(leader)].id == self._leader().id
        self.calls.append(f"lead {member}")

    def read(self, node: Node) -> None:
        assert not self.members[peer_url(node)].learner, "not supported for learner"
        self.expect_quorum()

    def _leader(self) -> Member:
        return next(each for each in self.members.values() if not each.learner and self._runs(each))

    def _answered(self, via: Sequence[Node]) -> None:
        assert via
        if not any(peer_url(node) in self.members and self._runs(self.members[peer_url(node)]) for node in via):
            raise ClusterError(f"no member of etcd answers: {[node.name for node in via]}")

    def _runs(self, member: Member) -> bool:
        return any(
            machine.on and "etcd" in machine.marks and machine.etcd_data == member.id
            for machine in self.machines.values()
        )

    def _url(self, machine: Machine) -> str:
        return peer_url(Node(server=machine.spec, control_plane=True))


class Reached(Access):
    """The ways to that control plane."""

    def __init__(self, bench: Bench, *, name: str) -> None:
        folder = directory(bench.dc)
        super().__init__(pki=Pki(folder, name=name), folder=folder, netns=None, timeout=1.0)
        self.kept = bench.kept
        self.__dict__["members"] = bench.quorum

    def api(self, nodes: Sequence[Node]) -> Api:
        assert nodes
        return self.kept


class Bench:
    """A data centre, the control plane in memory, and a deployer that meets both."""

    def __init__(self, topology: Topology, directory: Path) -> None:
        self.lab = Lab(topology, directory)
        self.lab.bench = self
        nowhere = Trust(ca=Path("/"))
        self.quorum = Quorum(
            trust=nowhere, netns=None, timeout=1.0, machines=self.lab.servers, members={}, calls=[], fuse=self.lab.fuse
        )
        self.kept = Kept(quorum=self.quorum)
        for machine in self.lab.servers.values():
            machine.founding = self.quorum.begin

    @property
    def dc(self) -> DataCenter:
        return cast(DataCenter, self.lab)

    @property
    def record(self) -> Record:
        return Record.load(self.dc)

    def copy(self, directory: Path) -> Bench:
        """Another one in the same state, whose files are in `directory`."""
        made = Bench(self.lab.topology, directory)
        shutil.copytree(self.lab.run_directory, directory)
        for name, machine in self.lab.servers.items():
            other = made.lab.servers[name]
            other.files, other.marks = dict(machine.files), dict(machine.marks)
            other.etcd_data, other.on = machine.etcd_data, machine.on
        made.quorum.members.update(self.quorum.members)
        made.kept.nodes.update(deepcopy(self.kept.nodes))
        made.kept.secrets.update(deepcopy(self.kept.secrets))
        return made

    def deploy(self, *, retain: bool = False) -> LiveKubernetes:
        return KubernetesDeployer().deploy(self.dc, retain=retain)

    def moments(self, verb: Callable[[Bench], object], directory: Path, *, most: int) -> Sequence[int]:
        """How much is done before each of the moments at which a verb can be killed, of `most` of them."""
        tried = self.copy(directory)
        verb(tried)
        return range(0, tried.lab.fuse.burnt, max(1, tried.lab.fuse.burnt // most))

    def killed(self, verb: Callable[[], object], *, at: Machine, text: str) -> None:
        """Kill the harness in a verb, when it is about to tell a server a script with this text."""
        at.killed_at = text
        with pytest.raises(Killed):
            verb()

    def expect_whole(self) -> None:
        """The servers that are to be nodes are, with one etcd of all that are to be members; nothing is left over."""
        cluster = self.record.cluster(self.dc)
        names = {node.name for node in cluster.nodes}
        assert self.record.joined == names
        assert not self.record.changing
        self.quorum.expect_quorum()
        assert {each.name for each in self.quorum.members.values()} == {node.name for node in cluster.control_planes}
        assert not [each for each in self.quorum.members.values() if each.learner]
        seen = Installer(dc=self.dc, cluster=cluster, access=Reached(self, name="lab")).look(cluster.nodes)
        assert [name for name, each in seen.items() if not each.whole] == []
        assert self.kept.nodes.keys() == names
        assert [name for name, node in self.kept.nodes.items() if node["spec"].get("unschedulable")] == []
        assert [name for name, machine in self.lab.servers.items() if name not in names and machine.marks] == []

    def forget(self) -> None:
        """Forget what was said to servers so far."""
        for machine in self.lab.servers.values():
            machine.scripts.clear()

    def told(self, text: str) -> list[str]:
        """The servers that were told a script with this text."""
        return [name for name, machine in self.lab.servers.items() if any(text in each for each in machine.scripts)]

    def machine(self, name: str) -> Machine:
        return self.lab.servers[name]
