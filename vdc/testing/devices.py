"""Servers, routers and clients in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from subprocess import Popen  # noqa: TID251 - the type only; nothing is started
from typing import IO

from vdc.datacenter.api import Firmware, Power, Program, Routes, SessionState
from vdc.datacenter.disks import Operation
from vdc.errors import CommandError, WaitTimeout
from vdc.model.announcing import Change
from vdc.model.topology import Router as RouterSpec
from vdc.model.topology import Server as ServerSpec
from vdc.model.topology import Session
from vdc.shell import Completed
from vdc.testing.birds import program_of
from vdc.testing.disks import FakeDisk
from vdc.testing.flashes import digest_of
from vdc.testing.installed import LOOK
from vdc.testing.lies import Lie
from vdc.testing.world import World, addresses_in
from vdc.upgrade.bringing import SNATCH
from vdc.upgrade.delivery import INSTALL, RESTART, UNITS, VERSIONS
from vdc.upgrade.reimage import RELEASE_FILE


class FakeDevice:
    """Something that runs commands: it knows ping(8), nft(8) and the world's programs, and does all else wordlessly."""

    def __init__(self, name: str, world: World) -> None:
        self._name = name
        self._world = world

    @property
    def name(self) -> str:
        """The name in the topology."""
        return self._name

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        """Run a command; raises WaitTimeout if the device is down, CommandError if the command failed."""
        if self.name in self._world.down:
            raise WaitTimeout(f"`{' '.join(argv)}` on {self.name}", deadline=timeout, last="no answer")
        done = self._do(tuple(argv), stdin or "")
        if check and done.status != 0:
            raise CommandError(self.name, argv, done.status, done.stdout)
        return done

    def _do(self, argv: tuple[str, ...], stdin: str) -> Completed:
        if argv[0] == "ping" and not self._world.reaches(self.name, ip_address(argv[-1])):
            return Completed(argv=argv, status=1, stdout="1 packets transmitted, 100% packet loss", stderr="")
        if argv[0] == "nft" and argv[-1] == "-":
            self._world.block(self.name, addresses_in(stdin))
        if (done := self._world.inside.run(self.name, argv, stdin)) is not None:
            return done
        if argv[0] in self._world.programs:
            return self._world.programs[argv[0]](self.name, argv)
        return Completed(argv=argv, status=0, stdout="", stderr="")


class FakeClient(FakeDevice):
    """A client outside; it cannot keep real processes, since there is no network for them to be in."""

    def start(self, argv: Sequence[str], *, output: IO[bytes]) -> Popen[bytes]:
        """Raise CommandError."""
        output.flush()
        raise CommandError(self.name, argv, 1, "a client in memory starts no process; use FakeProbe")


class FakeSpeaker(FakeDevice):
    """A device with BGP sessions, a power switch and cables."""

    def sessions(self) -> tuple[SessionState, ...]:
        """Return what the routing model implies; raises WaitTimeout if the device is down."""
        self.run(["birdc"])
        if self.name in self._world.silent:
            raise CommandError(self.name, ["birdc"], 1, "BIRD does not answer")
        return self._world.sessions(self.name)

    def routes(self) -> Routes:
        """Return what the routing model implies; raises WaitTimeout if the device is down."""
        self.run(["ip", "route"])
        return self._world.routes(self.name)

    def routing(self) -> tuple[tuple[SessionState, ...], Routes]:
        """Return both."""
        return self.sessions(), self.routes()

    def power(self) -> Power:
        """Return the state of the switch."""
        return self._world.claimed_power[self.name]

    def power_on(self) -> None:
        """Switch on."""
        self._world.switch_on(self.name)

    def power_off(self) -> None:
        """Switch off."""
        self._world.switch_off(self.name)

    def set_link(self, interface: str, *, up: bool) -> None:
        """Plug or unplug a cable."""
        self._world.set_link(self.name, interface, up=up)

    def link_is_up(self, interface: str) -> bool:
        """Return whether a cable is plugged in."""
        return (self.name, interface) not in self._world.claimed_cut


class FakeRouter(FakeSpeaker):
    """A router."""

    @property
    def spec(self) -> RouterSpec:
        """What the topology says of it."""
        return self._world.topology.router(self.name)

    def carrier_changes(self, interface: str) -> int:
        """Return how often any cable was plugged or unplugged."""
        del interface
        return self._world.flips

    def kill_bird(self) -> None:
        """Say nothing any more."""
        self._world.birds.kill(self.name)
        self._world.silence(self.name, silent=True)

    def freeze_bird(self) -> None:
        """Say nothing any more."""
        self._world.silence(self.name, silent=True)

    def start_bird(self) -> None:
        """Go on."""
        self._world.birds.start(self.name)
        self._world.silence(self.name, silent=False)

    def give_bird(self, release: str) -> None:
        """Run another one from the next start on."""
        self._world.birds.give(self.name, release)

    def program(self) -> Program:
        """Return which runs; raises CommandError, WaitTimeout if none answers."""
        self.sessions()
        return self._world.birds.program(self.name)

    def program_of(self, release: str) -> Program:
        """Return the one of a release."""
        return program_of(release)

    def set_session(self, session: Session, *, up: bool) -> None:
        """Shut a session, or open it again."""
        self._world.shut_session(self.name, session.interface, shut=not up)

    def announce(self, key: str, change: Change) -> None:
        """Announce more or less."""
        self._world.announce(self.name, key, change)


class FakeMachine(FakeSpeaker):
    """A server. Restarts take no time."""

    @property
    def spec(self) -> ServerSpec:
        """What the topology says of it."""
        return self._world.topology.server(self.name)

    @property
    def release(self) -> str:
        """The release of its root disk."""
        return self._world.releases[self.name]

    def _do(self, argv: tuple[str, ...], stdin: str) -> Completed:
        if argv == ("cat", RELEASE_FILE):
            return Completed(argv=argv, status=0, stdout=self._world.installed.said(self.name), stderr="")
        if argv[0] == "sha256sum":
            return Completed(argv=argv, status=0, stdout=self._world.installed.digests(self.name, argv[1:]), stderr="")
        if stdin.startswith(SNATCH) and Lie.FAULT_WITHOUT_EFFECT not in self._world.lies:
            self._world.snatched.add(self.name)
        if stdin.startswith((INSTALL, RESTART, UNITS, VERSIONS)):
            return self._upgrade(argv, stdin.splitlines()[0])
        if (said := self._world.flashes.variable(self.name, argv, stdin)) is not None:
            return Completed(argv=argv, status=0, stdout=said, stderr="")
        if stdin.startswith(LOOK):
            disk = "=== disk\n/sys/block/vdd/serial\n" if self.name in self._world.inserted else ""
            told = self._world.installed.look(self.name)
            return Completed(argv=argv, status=0, stdout=f"{disk}{told}", stderr="")
        return super()._do(argv, stdin)

    def _upgrade(self, argv: tuple[str, ...], line: str) -> Completed:
        """Do what the first line of a script of `vdc.upgrade.delivery` says."""
        if line.startswith((RESTART, UNITS)):
            parts = line.rpartition(" ")[2].split(",")
            told = self._world.installed.units(self.name, parts)
            if line.startswith(RESTART):
                self._world.installed.restart(self.name, parts)
            return Completed(argv=argv, status=0, stdout=told, stderr="")
        if line.startswith(VERSIONS):
            told = self._world.installed.programs(self.name, line.removeprefix(VERSIONS).split())
            return Completed(argv=argv, status=0, stdout=told, stderr="")
        release, *components = line.removeprefix(INSTALL).split()
        if self._world.inserted.get(self.name) != release:
            return Completed(argv=argv, status=75, stdout="the disk is not there yet", stderr="")
        for interrupt in self._world.interrupts:
            interrupt(self.name)
        gone = "Input/output error" if self.name in self._world.snatched else ""
        why = gone or self.disk("root").trial(Operation.GROW).error
        if why:
            self._world.snatched.discard(self.name)
            said = self._world.installed.break_off(self.name, f"cp: error: {why}")
            return Completed(argv=argv, status=1 if said else 0, stdout="", stderr=said)
        self._world.installed.install(self.name, release, components)
        return Completed(argv=argv, status=0, stdout="", stderr="")

    def boot_id(self) -> str:
        """Return the boot ID; raises WaitTimeout if the server is down."""
        self.run(["cat", "/proc/sys/kernel/random/boot_id"])
        return self._world.boot_id(self.name)

    def wait_answering(self, *, unlike_boot: str | None = None) -> str:
        """Return the boot ID; raises WaitTimeout at once if it will never be another."""
        boot = self.boot_id()
        if boot == unlike_boot:
            raise WaitTimeout(f"{self.name} to restart", deadline=0.0, last=f"boot ID is still {boot}")
        return boot

    def power_on(self) -> None:
        """Switch on."""
        if self.power() is Power.OFF:
            self._world.journals.act(self.name, "on")
        super().power_on()

    def power_off(self) -> None:
        """Switch off."""
        if self.power() is not Power.OFF:
            self._world.journals.act(self.name, "off")
        super().power_off()

    def shutdown(self) -> None:
        """Power itself off."""
        self._world.journals.act(self.name, "shutdown")
        self._world.switch_off(self.name)

    def reset(self) -> None:
        """Restart."""
        self._world.journals.act(self.name, "reset")
        self._world.restart(self.name)

    def reboot(self) -> None:
        """Restart."""
        self._world.journals.act(self.name, "reboot")
        self._world.restart(self.name)

    def hold_reset(self) -> None:
        """Stop, and start afresh when it gets power."""
        self._world.halt(self.name, forgets=True)

    def pause(self) -> None:
        """Stop, and go on when it gets power."""
        self._world.halt(self.name, forgets=False)

    def crash(self) -> None:
        """Stop, with the power on."""
        self._world.journals.act(self.name, "crash")
        self._world.crash(self.name)

    def lacks_steal(self) -> str | None:
        """Return None."""
        return None

    def steal(self, key: str, share: float) -> None:
        """Have less."""
        self._world.inside.steal(self.name, key, share)

    def give_back(self, key: str) -> None:
        """Have all again."""
        self._world.inside.steal(self.name, key, 0.0)

    def throttled(self, key: str) -> int:
        """Return a figure that grows while some is taken."""
        return self._world.inside.throttled(self.name, key)

    def cpu_seconds(self) -> float:
        """Return that it is always busy."""
        return self._world.inside.cpu_seconds(self.name, self.spec.cpu)

    def cpu_waited(self) -> float:
        """Return a figure that grows while other work is preferred on the host."""
        return self._world.inside.cpu_waited()

    def send_nmi(self) -> None:
        """Stop, with the power on."""
        self._world.journals.act(self.name, "NMI")
        self._world.crash(self.name)

    def disk(self, name: str) -> FakeDisk:
        """Return a disk; that there is one is not looked at."""
        return FakeDisk(self.name, name, self._world)

    def reimage(self, release: str) -> None:
        """Change the release; raises CommandError if the server runs."""
        if self.power() is not Power.OFF:
            raise CommandError(self.name, ["reimage", release], 1, "the server runs")
        self._world.smashed.discard(self.name)
        self._world.journals.act(self.name, f"reimage {release}")
        self._world.releases[self.name] = release
        self._world.reimaged.add(self.name)

    def flash(self, release: str) -> None:
        """Have other firmware; raises CommandError if the server runs."""
        if self.power() is not Power.OFF:
            raise CommandError(self.name, ["flash", release], 1, "the server runs")
        self._world.journals.act(self.name, f"flash {release}")
        self._world.flashes.flash(self.name, release)

    def firmware(self) -> Firmware:
        """Return what it has started by; raises WaitTimeout if the server is down."""
        self.run(["cat", "/sys/class/dmi/id/bios_vendor"])
        return self._world.flashes.told(self.name)

    def firmware_of(self, release: str) -> str:
        """Return a digest."""
        return digest_of(release)

    def insert(self, release: str) -> None:
        """Have the disk of a release."""
        self._world.inserted[self.name] = release

    def eject(self) -> None:
        """Have none."""
        self._world.inserted.pop(self.name, None)

    def renew(self) -> None:
        """Be another one; raises CommandError if the server runs."""
        self.reimage(self.release)
        self._world.strangers.add(self.name)

    def clock(self) -> float:
        """Return the time of this host, unless a fault has changed it; raises WaitTimeout if the server is down."""
        self.run(["date"])
        return time.time() + self._world.inside.ahead(self.name)

    def versions(self) -> Mapping[str, str]:
        """Return what is installed."""
        return self._world.installed.versions(self.name)
