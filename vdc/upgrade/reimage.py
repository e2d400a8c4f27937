"""The way by which an operating system is upgraded: a new root disk and a reboot; the data disk is kept."""

from __future__ import annotations

import json
from functools import partial

from vdc.cluster.api import Cluster, TellsVersion
from vdc.datacenter.api import DataCenter, Machine, Power
from vdc.datacenter.convergence import wait_converged
from vdc.errors import ClusterError, CommandError, WaitTimeout
from vdc.rolling.queue import Node, nodes_of
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.way import Step

RELEASE_FILE = "/usr/lib/vdc/release.json"
"""Where a guest says what it is made of."""


class Reimaging:
    """Gives servers a new root disk, one after the other. Implements `vdc.upgrade.way.Way`."""

    def __init__(self, dc: DataCenter, cluster: Cluster, path: UpgradePath) -> None:
        self._dc = dc
        self._cluster = cluster
        self._path = path

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The members of the cluster."""
        return tuple(node for node in nodes_of(self._dc.topology) if node.name in self._cluster.members)

    def at(self, node: str) -> str:
        """Return the release that a server's disk is made from, where the server says so, too."""
        machine = self._dc.servers[node]
        if machine.power() is not Power.ON:
            return f"nothing: it is {machine.power()}"
        try:
            said = json.loads(machine.run(["cat", RELEASE_FILE]).stdout)["name"]
        except (CommandError, WaitTimeout, ValueError, KeyError) as error:
            return f"what it does not tell: {error}"
        return machine.release if said == machine.release else f"{said} on a disk of {machine.release}"

    def forward(self, node: str) -> tuple[Step, ...]:
        """Shut down, new root disk, power on, join."""
        return self._steps(self._dc.servers[node], self._path.target)

    def back(self, node: str) -> tuple[Step, ...]:
        """Do the same with a root disk of the old release."""
        return self._steps(self._dc.servers[node], self._path.origin)

    def no_return(self) -> str | None:
        """Return that the cluster speaks a version that the old release does not.

        An etcd does so from the moment that its last member is of the new minor version, and then refuses older ones
        (https://etcd.io/docs/v3.5/upgrades/upgrade_3_5/).
        """
        old = next((change.old for change in self._path.changes if change.component == "etcd"), "")
        if not old or not isinstance(self._cluster, TellsVersion):
            return None
        return newer(self._cluster.cluster_version(), old)

    def _steps(self, machine: Machine, release: str) -> tuple[Step, ...]:
        return (
            Step("shut down", machine.shutdown, partial(expect_off, machine)),
            Step("new root disk", partial(_reimage, machine, release), partial(_expect_release, machine, release)),
            Step("power on", machine.power_on, partial(_wait_answering, machine)),
            Step("join", partial(self._cluster.join, machine), self._wait_whole),
        )

    def _wait_whole(self) -> None:
        wait_converged(self._dc)
        self._cluster.wait_serving()


def newer(cluster: str, old: str) -> str | None:
    """Return that the version of a cluster is newer than the members of an old release, or None."""
    if _minor(cluster) <= _minor(old):
        return None
    return f"the cluster version is {cluster}, and members of {old} are refused"


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def expect_off(machine: Machine) -> None:
    """Raise ClusterError if a server still runs: nobody else shares its disk with it."""
    if (state := machine.power()) is not Power.OFF:
        raise ClusterError(f"{machine.name} was shut down, and is {state}")


def _reimage(machine: Machine, release: str) -> None:
    machine.reimage(release)


def _expect_release(machine: Machine, release: str) -> None:
    if machine.release != release:
        raise ClusterError(f"{machine.name} got a root disk of {release}, and has one of {machine.release}")


def _wait_answering(machine: Machine) -> None:
    machine.wait_answering()
