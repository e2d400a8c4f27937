"""Putting a node's files on its server and starting its components, through the guest agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from vdc.cluster.kubernetes import guest
from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.agent_files import agent_files
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.files import SYSCTLS, affected, is_private, node_files
from vdc.cluster.kubernetes.guest import HAS_DATA
from vdc.cluster.kubernetes.serving import with_journals
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.kubernetes.units import units
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, CommandError, WaitTimeout
from vdc.wait import wait_for

WORKERS: Final = 4
"""How many nodes are worked on at a time."""

_SCRIPT_SECONDS: Final = 120.0
_ALONE: Final = ("flock", "-o", "/run/vdc-changing", "sh", "-s")
_ALIVE: Final = frozenset({"active", "activating", "reloading"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was found on a node: `alive` is what runs. `whole`: all does, with the files that it is to have.

    `data`: a member of etcd keeps something there.
    """

    alive: frozenset[Component]
    whole: bool
    data: bool


NOTHING: Final = Seen(alive=frozenset(), whole=False, data=False)
"""What is found on a server that nothing was done to."""


@dataclass(frozen=True, kw_only=True)
class Installer:
    """Installs a cluster on the servers of a data centre."""

    dc: DataCenter
    cluster: ClusterSpec
    access: Access
    _files: dict[tuple[str, bool], Mapping[str, str]] = field(default_factory=dict, compare=False)

    def everywhere(self, nodes: Sequence[Node], script: Callable[[Node], str], *, what: str) -> Mapping[str, str]:
        """Run a script on each node, on several at a time; return what each printed, by name. Raises ClusterError."""
        with ThreadPoolExecutor(WORKERS) as pool:
            said = pool.map(lambda node: self.run(node, script(node), what=what), nodes)
            return dict(zip((node.name for node in nodes), said, strict=True))

    def run(self, node: Node, script: str, *, what: str) -> str:
        """Run a script on a node and return what it prints. Raises ClusterError, with what was to be done.

        It waits for one that a harness which was killed has left running there.
        """
        try:
            return self.dc.servers[node.name].run(_ALONE, stdin=script, timeout=_SCRIPT_SECONDS).stdout
        except CommandError as error:
            raise ClusterError(f"{what}: {node.name}: {error.output.strip()[-500:]}") from error
        except WaitTimeout as error:
            raise ClusterError(f"{what}: {node.name}: {error.message}") from error

    def files(self, node: Node, *, joining: bool) -> Mapping[str, str]:
        """Return every file of a node: the same ones, as long as this lives."""
        if (found := self._files.get((node.name, joining))) is None:
            credentials = self.access.pki.of(self.cluster, node)
            own = node_files(self.cluster, node, credentials, joining=joining)
            found = self._files[node.name, joining] = {**own, **agent_files(self.cluster, node)}
        return found

    def look(self, nodes: Sequence[Node]) -> Mapping[str, Seen]:
        """Return what runs on nodes, by name."""

        def seen(node: Node) -> Seen:
            said = self.run(node, guest.look_script(units(node)), what="see what runs")
            return _seen(said.splitlines(), component_marks(node, self.files(node, joining=False)))

        with ThreadPoolExecutor(WORKERS) as pool:
            return dict(zip((node.name for node in nodes), pool.map(seen, nodes), strict=True))

    def install(self, nodes: Sequence[Node], *, joining: bool = False) -> None:
        """Put all files in place. `joining`: a member of etcd that begins is one more of those there are."""

        def script(node: Node) -> str:
            files = self.files(node, joining=joining)
            return guest.install_script(files, private=filter(is_private, files), settings=SYSCTLS)

        self.everywhere(nodes, script, what="install files")

    def start(self, nodes: Sequence[Node], components: Iterable[Component]) -> None:
        """Start those of `components` that a node has, but for those that run with the files they are to have."""
        wanted = frozenset(components)

        def script(node: Node) -> str:
            marks = component_marks(node, self.files(node, joining=False))
            return guest.start_script({each: mark for each, mark in marks.items() if each in wanted})

        self.everywhere(nodes, script, what=f"start {', '.join(sorted(wanted))}")

    def wait(self, check: Callable[[], None], node: Node, component: Component, *, what: str, seconds: float) -> None:
        """Wait for a fact of a component, at most `seconds` on a host of slowness 1.0.

        Raises WaitTimeout: with the component's last lines.
        """
        patience = deadline(self.dc, seconds)
        try:
            wait_for(check, what=f"{component} on {node.name} {what}", timeout=patience, interval=0.3)
        except WaitTimeout as error:
            raise with_journals(error, self.dc, [node.name], component) from error

    def stop(self, node: Node, components: Iterable[Component]) -> None:
        """Stop components of a node, and wait until they have."""
        self.run(node, guest.stop_script(components), what="stop")

    def tear_down(self, nodes: Sequence[Node]) -> None:
        """Stop and remove all that nodes were given, with what their etcd keeps."""

        def script(node: Node) -> str:
            return guest.teardown_script(units(node), self.files(node, joining=False))

        self.everywhere(nodes, script, what="take back what was installed")


def component_marks(node: Node, files: Mapping[str, str]) -> Mapping[Component, str]:
    """Return a digest of the files that each component of a node reads when it starts, in the order of starting."""
    own: dict[Component, dict[str, str]] = {component: {} for component in units(node)}
    for path, text in files.items():
        for component in affected(node, [path]):
            own[component][path] = text
    return {component: guest.digest(its) for component, its in own.items()}


def _seen(lines: Sequence[str], marks: Mapping[Component, str]) -> Seen:
    alive, right = set(), set()
    for line in lines:
        name, *rest = line.split()
        if rest and rest[0] in _ALIVE:
            alive.add(Component(name))
            right |= {Component(name)} if rest[1:] == [marks[Component(name)]] else set()
    return Seen(alive=frozenset(alive), whole=right >= marks.keys(), data=HAS_DATA in lines)
