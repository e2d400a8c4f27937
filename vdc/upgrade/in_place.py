"""The way by which components are upgraded in place: new files, and a restart of what runs them. Nobody reboots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from vdc.cluster import etcd_config
from vdc.cluster.api import Cluster, TellsVersion
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, CommandError, InputError, WaitTimeout
from vdc.model.release import Component
from vdc.model.releases import release as find_release
from vdc.rolling.queue import Node, nodes_of
from vdc.upgrade.delivery import deliver, restart_script, unit_states, units_script
from vdc.upgrade.looking import SCRIPT
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.reimage import newer
from vdc.upgrade.way import Step
from vdc.wait import NotYet, wait_for

PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"etcd": ("/usr/bin/etcd",), "containerd": ("/usr/bin/containerd",)}
)
"""Component to the programs of it that must run."""

UNITS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "etcd": MappingProxyType({"etcd": (etcd_config.UNIT,)}),
        "kubernetes": MappingProxyType({"containerd": ("containerd.service",)}),
    }
)
"""Kind of cluster and component to the units that run it."""

_SECONDS: Final = 120.0

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

    def __init__(self, dc: DataCenter, cluster: Cluster, path: UpgradePath) -> None:
        """Raises InputError: there is a component that nobody knows how to restart."""
        self._dc = dc
        self._cluster = cluster
        self._path = path
        self._before: dict[tuple[str, str], tuple[str, ...]] = {}
        self._units = {change.component: _units(path, change.component) for change in path.changes}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that the cluster runs on: of a Kubernetes, workers as well as its members."""
        cluster = self._cluster
        names = cluster.node_names if isinstance(cluster, KubernetesCluster) else cluster.members
        return tuple(node for node in nodes_of(self._dc.topology) if node.name in names)

    def at(self, node: str) -> str:
        """Return the release by what runs: processes whose program is the file that is installed, and its version.

        A process whose program was replaced under it counts as what it was.
        """
        machine = self._dc.servers[node]
        try:
            versions, told = machine.versions(), _glance(machine)
            seen = _running(told)
        except (CommandError, WaitTimeout, ValueError) as error:
            return f"what it does not tell: {error}"
        if _disk_left(told):
            return "what it may be at: the disk of a release is still plugged in"
        old, new = set[str](), set[str]()
        for change in self._path.changes:
            for program in PROGRAMS[change.component]:
                runs = [each for each in seen if each.executable == program]
                if not runs or any(each.deleted for each in runs):
                    return f"{program}, which was replaced and not restarted" if runs else f"no {program}"
            version = f"{versions.get(change.component, '?')}."
            (old if version.startswith(f"{change.old}.") else set()).add(change.component)
            (new if version.startswith(f"{change.new}.") else set()).add(change.component)
        components = {change.component for change in self._path.changes}
        if new == components:
            return self._path.target
        return self._path.origin if old == components else f"{dict(versions)}"

    def forward(self, node: str) -> tuple[Step, ...]:
        """Put the new files in place, then restart what runs them, component by component."""
        return self._steps(self._dc.servers[node], self._path.target)

    def back(self, node: str) -> tuple[Step, ...]:
        """Do the same with the old files."""
        return self._steps(self._dc.servers[node], self._path.origin)

    def no_return(self) -> str | None:
        """Return that the cluster speaks a version that the old etcd does not, where it is etcd that is upgraded."""
        old = next((change.old for change in self._path.changes if change.component == "etcd"), "")
        if not old or not isinstance(self._cluster, TellsVersion):
            return None
        return newer(self._cluster.cluster_version(), old)

    def _steps(self, machine: Machine, release: str) -> tuple[Step, ...]:
        components = tuple(each for each in find_release(release).components if each.name in self._units)
        put = partial(self._put, machine, release, components)
        restarts = (
            Step(
                f"restart {name}",
                partial(self._restart, machine, name, units),
                partial(self._wait_new, machine, name, units),
            )
            for name, units in self._units.items()
        )
        return (Step("put files in place", put, _nothing_to_wait_for), *restarts)

    def _put(self, machine: Machine, release: str, components: tuple[Component, ...]) -> None:
        """Bring the files, to a server that does not lead meanwhile: writing them keeps it from answering in time."""
        if self._path.cluster == "etcd":
            # one that leads all the same does so when it is stopped
            machine.run(["sh", "-s"], stdin=etcd_config.HAND_OVER, check=False, timeout=_SECONDS)
        deliver(machine, release, components, slowness=self._dc.slowness)

    def _restart(self, machine: Machine, component: str, units: tuple[str, ...]) -> None:
        """Ask for a restart, and note what is to be another one afterwards."""
        try:
            told = machine.run(["sh", "-s"], stdin=restart_script(component, units)).stdout
        except CommandError as error:
            raise ClusterError(f"{machine.name}: {component} could not be restarted: {error.output.strip()}") from error
        self._before[machine.name, component] = _invocations(told)

    def _wait_new(self, machine: Machine, component: str, units: tuple[str, ...]) -> None:
        """Wait until systemd has started the units again, the program that is in place runs, and all serve."""

        def runs() -> None:
            try:
                told = machine.run(["sh", "-s"], stdin=units_script(component, units)).stdout
                found = [each for each in _running(_glance(machine)) if each.executable in PROGRAMS[component]]
            except (CommandError, WaitTimeout, ValueError) as error:
                raise NotYet(str(error)) from error
            if set(_invocations(told)) & set(self._before.get((machine.name, component), ())):
                raise NotYet("it was not started again")
            if wrong := [state for state in unit_states(told) if state != {**state, **_WELL}]:
                raise NotYet(f"its units are {wrong}")
            if not found or any(each.deleted for each in found):
                raise NotYet("the old program still runs" if found else "it does not run")

        what = f"{machine.name} to run the {component} that is in place"
        wait_for(runs, what=what, timeout=deadline(self._dc, _SECONDS), interval=2.0)
        wait_converged(self._dc)
        self._cluster.wait_serving()
        if isinstance(self._cluster, KubernetesCluster):
            self._cluster.wait_nodes_ready()


def programs_of(path: UpgradePath) -> frozenset[str]:
    """Return the programs that a path in place renews."""
    return frozenset(program for change in path.changes for program in PROGRAMS.get(change.component, ()))


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


def _units(path: UpgradePath, component: str) -> tuple[str, ...]:
    known = UNITS.get(path.cluster, {})
    if component not in known or component not in PROGRAMS:
        raise InputError(
            f"{path.name}: nobody knows how to restart {component} of {path.cluster}",
            hint=f"there is {', '.join(known) or 'nothing for such a cluster'}; a row may have `upgrade:` hooks",
        )
    return known[component]


def _nothing_to_wait_for() -> None:
    """`deliver` returns when it is done, and changes nothing that runs."""
