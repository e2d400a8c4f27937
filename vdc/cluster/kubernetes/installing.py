"""Putting a node's files on its server and starting its components, through the guest agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from vdc.cluster.kubernetes import guest
from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.agent_files import agent_files
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.files import SYSCTLS, affected, is_private, node_files
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.kubernetes.units import units
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError, CommandError, WaitTimeout

WORKERS: Final = 4
"""How many nodes are worked on at a time."""

_SCRIPT_SECONDS: Final = 120.0
_ALIVE: Final = frozenset({"active", "activating", "reloading"})


@dataclass(frozen=True, kw_only=True)
class Installer:
    """Installs a cluster on the servers of a data centre."""

    dc: DataCenter
    cluster: ClusterSpec
    access: Access

    def everywhere(self, nodes: Sequence[Node], script: Callable[[Node], str], *, what: str) -> Mapping[str, str]:
        """Run a script on each node, on several at a time; return what each printed, by name. Raises ClusterError."""
        with ThreadPoolExecutor(WORKERS) as pool:
            said = pool.map(lambda node: self.run(node, script(node), what=what), nodes)
            return dict(zip((node.name for node in nodes), said, strict=True))

    def run(self, node: Node, script: str, *, what: str) -> str:
        """Run a script on a node and return what it prints. Raises ClusterError, with what was to be done."""
        try:
            return self.dc.servers[node.name].run(["sh", "-s"], stdin=script, timeout=_SCRIPT_SECONDS).stdout
        except CommandError as error:
            raise ClusterError(f"{what}: {node.name}: {error.output.strip()[-500:]}") from error
        except WaitTimeout as error:
            raise ClusterError(f"{what}: {node.name}: {error.message}") from error

    def files(self, node: Node, *, joining: bool) -> Mapping[str, str]:
        """Return every file of a node."""
        credentials = self.access.pki.of(self.cluster, node)
        return {
            **node_files(self.cluster, node, credentials, joining=joining),
            **agent_files(self.cluster, node),
        }

    def running(self, nodes: Sequence[Node]) -> frozenset[str]:
        """Return the nodes all of whose components run, with the files that they are to have."""

        def whole(node: Node) -> bool:
            marks = component_marks(node, self.files(node, joining=False))
            said = self.run(node, guest.look_script(tuple(marks)), what="see what runs")
            return all(_runs(line, marks) for line in said.splitlines())

        with ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(whole, nodes))
        return frozenset(node.name for node, is_whole in zip(nodes, found, strict=True) if is_whole)

    def install(self, nodes: Sequence[Node], *, joining: frozenset[str] = frozenset()) -> None:
        """Put all files in place. `joining` are those whose member joins an etcd that is there already."""

        def script(node: Node) -> str:
            files = self.files(node, joining=node.name in joining)
            return guest.install_script(files, private=filter(is_private, files), settings=SYSCTLS)

        self.everywhere(nodes, script, what="install files")

    def start(self, nodes: Sequence[Node], components: Iterable[Component]) -> None:
        """Start those of `components` that a node has, but for those that run with the files they are to have."""
        wanted = frozenset(components)

        def script(node: Node) -> str:
            marks = component_marks(node, self.files(node, joining=False))
            return guest.start_script({each: mark for each, mark in marks.items() if each in wanted})

        self.everywhere(nodes, script, what=f"start {', '.join(sorted(wanted))}")

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


def _runs(line: str, marks: Mapping[Component, str]) -> bool:
    unit, state, *mark = line.split()
    return state in _ALIVE and mark == [marks[Component(unit)]]
