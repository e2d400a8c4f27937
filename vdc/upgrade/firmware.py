"""The way by which servers get other firmware: it is flashed while they are off, and they start by it.

Disks are as before, so what ran on them starts again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter, Firmware, Machine, Power
from vdc.datacenter.convergence import wait_converged
from vdc.errors import CommandError, InputError, WaitTimeout
from vdc.model.releases import release as find_release
from vdc.rolling.queue import Node, nodes_of
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.reimage import expect_off
from vdc.upgrade.way import Step

_VENDORS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"seabios": ("SeaBIOS",), "ovmf": ("EDK II", "EFI Development Kit II")}
)
"""Component to words one of which it has in its tables as the vendor (SMBIOS, type 0)."""

_NONE: Final = "0.0.0"
_TELLS: Final = "2023"
"""OVMF tells that version, which is none at all, where its own begins with less (EDK II, OvmfPkg/SmbiosPlatformDxe)."""


class Flashing:
    """Gives servers other firmware, one after the other. Implements `vdc.upgrade.way.Way`."""

    def __init__(self, dc: DataCenter, cluster: Cluster, path: UpgradePath) -> None:
        """Raises InputError: one of its releases says more than what servers start by, or nothing of that."""
        self._dc = dc
        self._cluster = cluster
        self._path = path
        for name in (path.origin, path.target):
            if find_release(name).firmware is None:
                raise InputError(f"{path.name}: release {name} is not one of firmware")

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The members of the cluster."""
        return tuple(node for node in nodes_of(self._dc.topology) if node.name in self._cluster.members)

    def at(self, node: str) -> str:
        """Return the release whose firmware a server has started by: so it told its kernel, and so QEMU executes it.

        A build that is of neither release counts by the version that it tells, if it tells one.
        """
        machine = self._dc.servers[node]
        if machine.power() is not Power.ON:
            return f"nothing: it is {machine.power()}"
        try:
            has = machine.firmware()
        except (CommandError, WaitTimeout) as error:
            return f"what it does not tell: {error}"
        known = {machine.firmware_of(release): release for release in (self._path.target, self._path.origin)}
        executed = known.get(has.digest)
        said = [release for release in (self._path.origin, self._path.target) if says(has, release)]
        if executed in said:
            return executed
        if executed is None and len(said) == 1 and has.version != _NONE:
            return said[0]
        return f"{_told(has)}, while QEMU executes {executed or f'a build with the SHA-256 {has.digest[:12]}…'}"

    def forward(self, node: str) -> tuple[Step, ...]:
        """Shut down, flash, power on."""
        return self._steps(self._dc.servers[node], self._path.target)

    def back(self, node: str) -> tuple[Step, ...]:
        """Do the same with the old firmware."""
        return self._steps(self._dc.servers[node], self._path.origin)

    def no_return(self) -> str | None:
        """Return None: a server can be flashed with anything. Variables of a UEFI are gone without one."""
        return None

    def _steps(self, machine: Machine, release: str) -> tuple[Step, ...]:
        return (
            Step("shut down", machine.shutdown, partial(expect_off, machine)),
            Step("flash", partial(machine.flash, release), partial(expect_off, machine)),
            Step("power on", machine.power_on, partial(self._wait_whole, machine)),
        )

    def _wait_whole(self, machine: Machine) -> None:
        machine.wait_answering()
        wait_converged(self._dc)
        self._cluster.wait_serving()


def says(has: Firmware, release: str) -> bool:
    """Return whether what firmware tells fits a release of firmware. Raises InputError: there is no such release."""
    component = find_release(release).firmware
    if component is None or has.uefi != (component.name == "ovmf"):
        return False
    fits = f"{has.version}.".startswith((f"{component.version}.", f"{component.version}-"))
    silent = component.name == "ovmf" and component.version < _TELLS and has.version == _NONE
    return (fits or silent) and any(vendor in has.vendor for vendor in _VENDORS[component.name])


def _told(has: Firmware) -> str:
    return f"{has.vendor} {has.version}{'' if has.uefi else ', which is no UEFI'}"
