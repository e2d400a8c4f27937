"""What a scenario, a fault or a deployer may ask of a running data centre: small protocols, no implementation.

`vdc.datacenter` implements them on the real host; `vdc.testing` implements them in memory, for tests of scenarios.
All durations are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process
from typing import IO, Protocol

from vdc.datacenter.disks import Disk
from vdc.history import Recorder
from vdc.model.announcing import Change
from vdc.model.disturbance import Disturbance
from vdc.model.flight import Flight, Salvo
from vdc.model.ip import Address, Prefix
from vdc.model.topology import Router as RouterSpec
from vdc.model.topology import Server as ServerSpec
from vdc.model.topology import Session, Topology
from vdc.shell import Completed
from vdc.steps import Steps

Routes = Mapping[Prefix, frozenset[Address]]
"""Prefix to the set of next hops in the kernel's table."""


class Power(StrEnum):
    """The power state of a server. Off is no process, no memory and no carrier."""

    ON = "on"
    OFF = "off"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """A BGP session as its speaker sees it. `bgp` is BIRD's word ("Established", …); `bfd` is "Up", "Down", …

    `bfd` is None where BIRD has no BFD session for the peer.
    """

    name: str
    peer: Address
    bgp: str
    bfd: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program: the version that it says, and the SHA-256 of the bytes that are executed, in hex.

    `since` tells its starts apart, in words; another start does not make it another program.
    """

    version: str
    digest: str
    since: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """What a server has started by.

    `vendor` and `version` are what it has told the guest (SMBIOS, type 0), and `uefi` is whether the guest was started
    by it as UEFI starts something. `digest` is the SHA-256 of the code that the hypervisor executes, in hex.
    """

    vendor: str
    version: str
    uefi: bool
    digest: str


class Runner(Protocol):
    """Something in the data centre that runs commands."""

    @property
    def name(self) -> str:
        """The device's name in the topology."""

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        """Run a command there to its end. Raises CommandError (with `check`), WaitTimeout."""


class Spawner(Runner, Protocol):
    """A runner on this host (a client's namespace), which can also keep a process running."""

    def start(self, argv: Sequence[str], *, output: IO[bytes]) -> Popen[bytes]:
        """Start a command there, with both its outputs in `output`; it dies with this process."""


class Speaker(Runner, Protocol):
    """A device that speaks BGP."""

    def sessions(self) -> tuple[SessionState, ...]:
        """Return the state of each of its BGP sessions, as BIRD reports it."""

    def routes(self) -> Routes:
        """Return the BGP routes in its kernel table."""

    def routing(self) -> tuple[tuple[SessionState, ...], Routes]:
        """Return its sessions and its routes, which a guest is asked for at once."""


class Powered(Protocol):
    """A device with a power switch. Every verb is idempotent and returns when the state is reached."""

    def power(self) -> Power:
        """Return the power state."""

    def power_on(self) -> None:
        """Start it from cold; returns when it runs, not when it answers."""

    def power_off(self) -> None:
        """Cut the power: memory is lost, neighbours lose the carrier."""


class Machine(Speaker, Powered, Protocol):
    """A server."""

    @property
    def spec(self) -> ServerSpec:
        """What the topology says of it."""

    @property
    def release(self) -> str:
        """The release its root disk was made from."""

    def boot_id(self) -> str:
        """Return the kernel's boot ID (random(4)): another one proves a reboot."""

    def wait_answering(self, *, unlike_boot: str | None = None) -> str:
        """Wait until the guest agent answers, with another boot ID than `unlike_boot`; return the boot ID.

        Raises WaitTimeout with the tail of the console.
        """

    def shutdown(self) -> None:
        """Ask the guest to power itself off (ACPI) and wait until it has."""

    def reset(self) -> None:
        """Press the reset button."""

    def reboot(self) -> None:
        """Ask the guest to restart itself; returns at once."""

    def hold_reset(self) -> None:
        """Press the reset button and hold it: memory is lost. `power_on` lets it go, and the server boots."""

    def pause(self) -> None:
        """Let it stand still, its memory kept; `power_on` lets it go on."""

    def crash(self) -> None:
        """Make the guest's kernel panic; it stays down until reset or powered off and on."""

    def send_nmi(self) -> None:
        """Send it an NMI of unknown reason, at which its kernel is set to panic; it stays down as after `crash`."""

    def lacks_steal(self) -> str | None:
        """Return why its CPU time cannot be taken from it, or None."""

    def steal(self, key: str, share: float) -> None:
        """Take this share of its CPU time from it; `key` says whose doing it is. Raises BuildError."""

    def give_back(self, key: str) -> None:
        """Undo what `steal` did with this key; if nothing was done that is fine. Raises BuildError."""

    def throttled(self, key: str) -> int:
        """Return how often what `steal` did with this key kept CPU time from it; 0 if nothing was done."""

    def cpu_seconds(self) -> float:
        """Return how many seconds of CPU time the host has given it. Raises ProcessLookupError: it is off."""

    def cpu_waited(self) -> float:
        """Return for how many seconds it was ready to run while the host had no CPU for it, whoever had them.

        Raises ProcessLookupError: it is off.
        """

    def set_link(self, interface: str, *, up: bool) -> None:
        """Plug or unplug the cable of a NIC, named as in the guest."""

    def link_is_up(self, interface: str) -> bool:
        """Return whether the cable of a NIC is plugged in."""

    def disk(self, name: str) -> Disk:
        """Return its data disk (`data`) or a volume. Raises InputError: it has none of that name, or is not ours."""

    def reimage(self, release: str) -> None:
        """Give the (powered-off) server a fresh root disk of `release`; its data disk is kept."""

    def flash(self, release: str) -> None:
        """Give the (powered-off) server the firmware of `release`: it starts by that from now on.

        The variables of a UEFI are kept where the new firmware has them in the same place; one without UEFI has none.
        Raises InputError: it runs, or that is no release of firmware. HostError: it cannot be had.
        """

    def firmware(self) -> Firmware:
        """Return what it has started by, as the guest and the host see it. Raises CommandError, WaitTimeout."""

    def firmware_of(self, release: str) -> str:
        """Return the SHA-256 of the firmware of a release, in hex. Raises as `flash`."""

    def renew(self) -> None:
        """Put another server in the place of this (powered-off) one: of the same release, with an empty data disk.

        Further volumes of its hardware stay as they are.
        """

    def insert(self, release: str) -> None:
        """Plug the root disk of a release into the running server, to be read: a disk whose serial number is `release`.

        One of another release is pulled out before. Raises BuildError, WaitTimeout.
        """

    def eject(self) -> None:
        """Pull it out, and wait until the server has let it go; if there is none that is fine. Raises WaitTimeout."""

    def clock(self) -> float:
        """Return the time of its wall clock, in seconds since 1970, as soon as can be. Raises CommandError."""

    def versions(self) -> Mapping[str, str]:
        """Return what runs there: "os", "kernel", "bird" and "etcd" (where installed) to version."""


class Router(Speaker, Powered, Protocol):
    """A router: a namespace with BIRD."""

    @property
    def spec(self) -> RouterSpec:
        """What the topology says of it."""

    def set_link(self, interface: str, *, up: bool) -> None:
        """Plug or unplug the cable of an interface: both ends lose the carrier."""

    def link_is_up(self, interface: str) -> bool:
        """Return whether the interface has a carrier."""

    def carrier_changes(self, interface: str) -> int:
        """Return how often an interface has got or lost its carrier since it was made."""

    def kill_bird(self) -> None:
        """Kill its BIRD (SIGKILL): its routes stay in its kernel, and nobody starts it again."""

    def freeze_bird(self) -> None:
        """Stop its BIRD where it is (SIGSTOP): its connections stay, and it says nothing any more."""

    def start_bird(self) -> None:
        """Let a frozen BIRD go on, and start one where none runs: with the kernel's routes, if it restarts gracefully.

        Raises CommandError: it does not start.
        """

    def give_bird(self, release: str) -> None:
        """Let it run the BIRD of a release whenever one is started from now on; the one that runs is left alone.

        Raises InputError: there is no such release, or it has no BIRD. HostError: that cannot be had.
        """

    def program(self) -> Program:
        """Return which BIRD runs, by what it says and what is executed. Raises CommandError: none does."""

    def program_of(self, release: str) -> Program:
        """Return which BIRD a release has. Raises as `give_bird`."""

    def set_session(self, session: Session, *, up: bool) -> None:
        """Shut a BGP session of its, or open it again. Raises CommandError."""

    def announce(self, key: str, change: Change) -> None:
        """Announce more or less than the topology says; `key` is whose doing it is, and an empty change undoes it.

        Raises CommandError.
        """


class Wire(Protocol):
    """A cable, seen from the device at one of its ends: what that sends is outgoing."""

    @property
    def mtu(self) -> int:
        """The largest IP packet that it carries, in bytes."""

    def lacks(self) -> str | None:
        """Return why its packets cannot be disturbed, or None."""

    def disturb(self, key: str, *, outgoing: Disturbance, incoming: Disturbance) -> None:
        """Disturb its packets; `key` says whose disturbance it is. Raises BuildError."""

    def restore(self, key: str) -> None:
        """Undo the disturbance of this key; without one that is fine. Packets go as before once it returns."""

    def expect_restored(self, key: str) -> None:
        """Return if nothing is left of what `restore` has undone; raises NotYet otherwise."""

    def fly(self, salvo: Salvo) -> tuple[Flight, Flight]:
        """Send numbered packets over it both ways, and return what came of the outgoing and of the incoming ones."""


class DataCenter(Protocol):
    """A running instance of a topology."""

    @property
    def name(self) -> str:
        """The instance name."""

    @property
    def topology(self) -> Topology:
        """What it was built from."""

    @property
    def servers(self) -> Mapping[str, Machine]:
        """Every server, by name."""

    @property
    def routers(self) -> Mapping[str, Router]:
        """Every router, by name."""

    @property
    def externals(self) -> Mapping[str, Spawner]:
        """Every client outside the border, by name."""

    def drop(self, key: str, lost: Mapping[str, Sequence[Address]]) -> None:
        """Lose all that devices send to these addresses; `key` says whose doing it is. Raises BuildError."""

    def undrop(self, key: str, devices: Sequence[str]) -> None:
        """Undo what `drop` did with this key; if nothing was done that is fine."""

    def heard(self, pairs: Sequence[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """Send packets from the first to the second of each pair of devices; return those pairs of which one came.

        What becomes of answers does not matter.
        """

    def leftovers(self) -> tuple[str, ...]:
        """Return what faults have put in effect on the host and nobody has undone yet, each with its place."""

    def netns(self, device: str) -> str:
        """Return the network namespace of this host that a router or a client outside is."""

    def wire(self, device: str, interface: str) -> Wire:
        """Return the cable of an interface. Raises InputError: there is no such device or interface."""

    @property
    def slowness(self) -> float:
        """How slow this host is, measured: 1.0 boots a small kernel in 2.5 s. Deadlines are multiplied by it."""

    @property
    def steps(self) -> Steps:
        """Opens named steps, which go to the person watching and to the history."""

    @property
    def recorder(self) -> Recorder:
        """The history of this run."""

    @property
    def run_directory(self) -> Path:
        """Where its consoles, logs and secrets are."""

    def mark_dirty(self, reason: str) -> None:
        """Remember that the data centre is not what it should be."""

    def dirty(self) -> str | None:
        """Return why the data centre must not be trusted any more, or None."""


def device_of(dc: DataCenter, name: str) -> Machine | Router:
    """Return a router or a server. Raises KeyError: there is none of that name."""
    return dc.routers[name] if name in dc.routers else dc.servers[name]
