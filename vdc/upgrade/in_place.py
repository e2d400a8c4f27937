"""The way by which components are upgraded in place: new files, and a restart of what runs them. Nobody reboots."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from vdc.cluster import etcd_config
from vdc.cluster.api import Cluster, TellsVersion
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, CommandError, WaitTimeout
from vdc.model.release import KUBERNETES, Component
from vdc.model.releases import release as find_release
from vdc.rolling.queue import Node, nodes_of
from vdc.upgrade.delivery import deliver, listening_script, restart_script, unit_states, units_script, versions_script
from vdc.upgrade.looking import SCRIPT
from vdc.upgrade.parts import Part, Round
from vdc.upgrade.path import Change, UpgradePath
from vdc.upgrade.reimage import newer
from vdc.upgrade.way import Step
from vdc.wait import NotYet, wait_for

_SECONDS: Final = 120.0

_SYSTEM: Final = "kube-system"
"""The namespace of what Kubernetes itself keeps (https://kubernetes.io/docs/concepts/architecture/leases/)."""

_WELL: Final = {"ActiveState": "active", "NeedDaemonReload": "no"}

_GLANCE: Final = f"""\
{SCRIPT.splitlines()[0]}
echo '=== disk'; grep -lx release /sys/block/vd*/serial
echo '=== mark'; ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's|.* /proc/\\([0-9]*\\)/exe -> \\(.*\\)$|\\1 \\2\\||p'
echo '=== end'
"""
"""What tells which programs run, and nothing else: it takes a guest a tenth of the time that a whole look does."""


_DELETED: Final = " (deleted)"


@dataclass(frozen=True, slots=True)
class _Runs:
    """A process: what it executes, and whether that file was replaced under it."""

    executable: str
    deleted: bool


class InPlace:
    """Upgrades components in place, server by server. Implements `vdc.upgrade.way.Way`."""

    def __init__(self, dc: DataCenter, cluster: Cluster, path: UpgradePath, work: Round) -> None:
        self._dc = dc
        self._cluster = cluster
        self._path = path
        self._work = work
        self._before: dict[tuple[str, str], tuple[str, ...]] = {}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that the cluster runs on, where not only its members matter: workers of a Kubernetes, too."""
        cluster = self._cluster
        names = cluster.members
        if isinstance(cluster, KubernetesCluster) and not self._work.voters:
            names = cluster.node_names
        return tuple(node for node in nodes_of(self._dc.topology) if node.name in names)

    def at(self, node: str) -> str:
        """Return the release by what runs: processes whose program is the file that is installed, and its version.

        A process whose program was replaced under it counts as what it was.
        """
        machine = self._dc.servers[node]
        try:
            versions, told = self._versions(machine), _glance(machine)
            seen = _running(told)
        except (CommandError, WaitTimeout, ValueError) as error:
            return f"what it does not tell: {error}"
        if _disk_left(told):
            return "what it may be at: the disk of a release is still plugged in"
        if why := next((why for program in versions if (why := _lacks(program, seen))), ""):
            return why
        changes = {part.component: change for part, change in self._parts()}
        of = {program: changes[part.component] for part, _ in self._parts() for program in part.programs}
        if all(_begins(version, of[program].new) for program, version in versions.items()):
            return self._path.after
        old = all(_begins(version, of[program].old) for program, version in versions.items())
        return self._path.before if old else f"{versions}"

    def forward(self, node: str) -> tuple[Step, ...]:
        """Put the new files in place, then restart what runs them, part by part."""
        return self._steps(self._dc.servers[node], self._path.target, forward=True)

    def back(self, node: str) -> tuple[Step, ...]:
        """Do the same with the old files."""
        return self._steps(self._dc.servers[node], self._path.origin, forward=False)

    def no_return(self) -> str | None:
        """Return that the cluster speaks a version that the old etcd does not, where it is etcd that is upgraded."""
        old = next((change.old for part, change in self._parts() if part.component == "etcd"), "")
        if not old or not isinstance(self._cluster, TellsVersion):
            return None
        return newer(self._cluster.cluster_version(), old)

    def _parts(self) -> Iterator[tuple[Part, Change]]:
        """Yield each part with how its version changes."""
        changes = {change.component: change for change in self._path.changes}
        for part in self._work.parts:
            yield part, changes[part.component]

    def _versions(self, machine: Machine) -> Mapping[str, str]:
        """Return the version of each program of the parts. Raises CommandError, WaitTimeout."""
        asked = [program for part in self._work.parts if part.component == KUBERNETES for program in part.programs]
        found = _told(machine.run(["sh", "-s"], stdin=versions_script(asked)).stdout) if asked else {}
        said = machine.versions() if any(part.component != KUBERNETES for part in self._work.parts) else {}
        return {
            program: found.get(program, "?") if part.component == KUBERNETES else said.get(part.component, "?")
            for part in self._work.parts
            for program in part.programs
        }

    def _steps(self, machine: Machine, release: str, *, forward: bool) -> tuple[Step, ...]:
        named = {part.component for part in self._work.parts}
        components = tuple(each for each in find_release(release).components if each.name in named)
        put = partial(self._put, machine, release, components, self._only(machine.name, forward=forward))
        what = f"put {self._work.name or 'files'} in place"
        restarts = (
            Step(f"restart {part.name}", partial(self._restart, machine, part), partial(self._wait_new, machine, part))
            for part in self._work.parts
        )
        return (Step(what, put, _nothing_to_wait_for), *restarts)

    def _only(self, node: str, *, forward: bool) -> tuple[str, ...]:
        """Return the files that a node gets in this round, none if all: those of others run on, and may have to start.

        Of a component that rounds share the last one that the node goes brings what is left of it.
        """
        last = self._work.ends if forward else self._work.begins or node not in self._cluster.members
        if last or not self._work.shared:
            return ()
        return tuple(program for part in self._work.parts for program in part.programs)

    def _put(self, machine: Machine, release: str, components: tuple[Component, ...], only: tuple[str, ...]) -> None:
        """Bring the files, to a server that does not lead meanwhile: writing them keeps it from answering in time."""
        if self._path.cluster == "etcd":
            # one that leads all the same does so when it is stopped
            machine.run(["sh", "-s"], stdin=etcd_config.HAND_OVER, check=False, timeout=_SECONDS)
        deliver(machine, release, components, slowness=self._dc.slowness, only=only)

    def _restart(self, machine: Machine, part: Part) -> None:
        """Ask for a restart, and note what is to be another one afterwards."""
        try:
            told = machine.run(["sh", "-s"], stdin=restart_script(part.label, part.units)).stdout
        except CommandError as error:
            raise ClusterError(f"{machine.name}: {part.name} could not be restarted: {error.output.strip()}") from error
        self._before[machine.name, part.name] = _invocations(told)

    def _wait_new(self, machine: Machine, part: Part) -> None:
        """Wait until systemd has started the units again, the programs that are in place run, and all serve."""

        def runs() -> None:
            try:
                told = machine.run(["sh", "-s"], stdin=units_script(part.label, part.units)).stdout
                seen = _running(_glance(machine))
            except (CommandError, WaitTimeout, ValueError) as error:
                raise NotYet(str(error)) from error
            if set(_invocations(told)) & set(self._before.get((machine.name, part.name), ())):
                raise NotYet("it was not started again")
            if wrong := [state for state in unit_states(told) if state != {**state, **_WELL}]:
                raise NotYet(f"its units are {wrong}")
            if why := next((why for program in part.programs if (why := _lacks(program, seen))), ""):
                raise NotYet(why)

        what = f"{machine.name} to run the {part.name} that is in place"
        wait_for(runs, what=what, timeout=deadline(self._dc, _SECONDS), interval=2.0)
        wait_converged(self._dc)
        self._cluster.wait_serving()
        if isinstance(self._cluster, KubernetesCluster):
            self._cluster.wait_nodes_ready()
            self._wait_listening(machine, part)
            # one that is alone needs no lease
            for name in part.leads if len(self._cluster.members) > 1 else ():
                self._wait_led(self._cluster, name)

    def _wait_listening(self, machine: Machine, part: Part) -> None:
        """Wait until somebody listens on all ports of a part."""

        def listens() -> None:
            try:
                silent = machine.run(["sh", "-s"], stdin=listening_script(part.ports)).stdout.split()
            except (CommandError, WaitTimeout) as error:
                raise NotYet(str(error)) from error
            if silent:
                raise NotYet(f"nobody listens on {', '.join(silent)}")

        if part.ports:
            what = f"{part.name} of {machine.name} to listen"
            wait_for(listens, what=what, timeout=deadline(self._dc, _SECONDS), interval=1.0)

    def _wait_led(self, kubernetes: KubernetesCluster, name: str) -> None:
        """Wait until somebody works under a lease: it is renewed again from now on."""

        def renewed() -> str:
            try:
                return str(kubernetes.get("Lease", name, namespace=_SYSTEM).get("spec", {}).get("renewTime"))
            except ClusterError as error:
                raise NotYet(error.message) from error

        first = wait_for(renewed, what=f"the lease {name} to be read", timeout=deadline(self._dc, _SECONDS))

        def again() -> None:
            if renewed() == first:
                raise NotYet(f"it was renewed at {first} last")

        wait_for(again, what=f"the lease {name} to be renewed", timeout=deadline(self._dc, _SECONDS), interval=1.0)


def _glance(machine: Machine) -> str:
    """Return what a server tells of what runs there. Raises CommandError, WaitTimeout."""
    return machine.run(["sh", "-s"], stdin=_GLANCE, timeout=_SECONDS, check=False).stdout


def _running(told: str) -> tuple[_Runs, ...]:
    """Return what runs. Raises ValueError: it did not tell to its end."""
    marks, end, _ = told.partition("=== mark\n")[2].partition("=== ")
    if not end:
        raise ValueError(f"it told no more than {told.strip()[-200:]!r}")
    executables = (line.partition(" ")[2].rpartition("|")[0] for line in marks.splitlines())
    return tuple(_Runs(each.removesuffix(_DELETED), deleted=each.endswith(_DELETED)) for each in executables)


def _disk_left(told: str) -> bool:
    """Return whether somebody has left the disk of a release."""
    return told.partition("=== disk\n")[2].startswith("/sys/")


def _invocations(told: str) -> tuple[str, ...]:
    """Return what tells the starts of units apart (systemd.exec(5), $INVOCATION_ID)."""
    return tuple(state.get("InvocationID", "") for state in unit_states(told))


def _lacks(program: str, seen: Iterable[_Runs]) -> str:
    """Return why a program does not run from the file that is installed, or an empty text."""
    runs = [each for each in seen if each.executable == program]
    if not runs:
        return f"no {program}"
    return f"{program}, which was replaced and not restarted" if any(each.deleted for each in runs) else ""


def _told(text: str) -> Mapping[str, str]:
    """Return the version of each program, as the script told them."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {program: version for program, _, version in pairs if version}


def _begins(version: str, beginning: str) -> bool:
    """Return whether a version is what a release asks for: 1.6.20 is 1.6, and 1.60 is not."""
    return f"{version}.".startswith(f"{beginning}.")


def _nothing_to_wait_for() -> None:
    """`deliver` returns when it is done, and changes nothing that runs."""
