"""A router, live: a namespace with BIRD in it. A client outside the border is a namespace without."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process
from typing import IO

from vdc import shell
from vdc.datacenter.api import Machine, Power, Program, Routes, SessionState
from vdc.datacenter.machine import session_states
from vdc.errors import CommandError, InputError
from vdc.history import Recorder
from vdc.host import bird, changing, debian, engine, fib, netlink, processes
from vdc.host.artifacts import packages
from vdc.host.locks import exclusive
from vdc.model import topology
from vdc.model.announcing import Change, from_comments, to_comments, together
from vdc.model.release import ROUTING, Unpacked
from vdc.model.releases import release as find_release
from vdc.plan.resources.network import DefaultRoute
from vdc.plan.resources.processes import Bird
from vdc.shell import Completed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LiveClient:
    """Implements `vdc.datacenter.api.Spawner`: something that runs commands in a namespace of this host."""

    name: str
    netns: str

    def __repr__(self) -> str:
        return f"<client {self.name}>"

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        """Run a command in the namespace to its end."""
        command = shell.in_namespace(self.netns, argv)
        return shell.run(command, timeout=timeout, check=check, stdin=stdin, where=self.name)

    def start(self, argv: Sequence[str], *, output: IO[bytes]) -> Popen[bytes]:
        """Start a command in the namespace; it dies with this process."""
        return shell.start(shell.in_namespace(self.netns, argv), output=output)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LiveRouter:
    """Implements `vdc.datacenter.api.Router`.

    Its `servers` are those with a NIC on its segment: they lose their carrier when it loses its power, as on a
    real wire, although a bridge of this host is between them. Its `default_route` leads to the internet. `configure`
    makes the configuration of a BIRD that announces more or less. `unpack` returns where Debian packages are unpacked.
    """

    spec: topology.Router
    daemon: Bird
    recorder: Recorder
    servers: Callable[[], Mapping[str, Machine]]
    configure: Callable[[Change], str]
    unpack: Callable[[Unpacked], Path]
    default_route: DefaultRoute | None = None

    def __repr__(self) -> str:
        return f"<router {self.name}>"

    @property
    def name(self) -> str:
        """The router's name."""
        return self.spec.name

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        """Run a command in the router's namespace to its end."""
        client = LiveClient(name=self.name, netns=self.daemon.netns)
        return client.run(argv, timeout=timeout, check=check, stdin=stdin)

    def ask_bird(self, command: str) -> str:
        """Send a command to the router's BIRD and return what it says."""
        return bird.ask(Path(self.daemon.control), command)

    def sessions(self) -> tuple[SessionState, ...]:
        """Return its BGP sessions as BIRD reports them."""
        return session_states(self.ask_bird("show protocols all"), bird.bfd_sessions(Path(self.daemon.control)))

    def routes(self) -> Routes:
        """Return the BGP routes in its kernel table."""
        return fib.from_bird(self.daemon.netns)

    def routing(self) -> tuple[tuple[SessionState, ...], Routes]:
        """Return its sessions and its routes."""
        return self.sessions(), self.routes()

    def power(self) -> Power:
        """Return OFF where neither BIRD runs nor an interface is up."""
        return Power.ON if self.birds() or any(netlink.carriers(self.daemon.netns).values()) else Power.OFF

    def power_off(self) -> None:
        """Kill BIRD and take every carrier away, also from the servers on its segment."""
        self.recorder.record("power", "harness", server=self.name, action="off")
        processes.end(self.birds())
        netlink.set_links(self.daemon.netns, None, up=False)
        self._set_server_links(up=False)

    def power_on(self) -> None:
        """Give the carriers back and start BIRD; one that died alone goes on gracefully, if that is its way."""
        self.recorder.record("power", "harness", server=self.name, action="on")
        recover = self.daemon.graceful and any(netlink.carriers(self.daemon.netns).values())
        netlink.set_links(self.daemon.netns, None, up=True)
        self._restore_link_locals([end.interface for end in self.spec.interfaces])
        if self.default_route:
            netlink.replace_default_routes([self.default_route])
        self._set_server_links(up=True)
        if not self.birds():
            self._start(recover=recover)

    def set_link(self, interface: str, *, up: bool) -> None:
        """Plug or unplug the cable of an interface."""
        netlink.set_links(self.daemon.netns, [interface], up=up)
        if up:
            self._restore_link_locals([interface])
            if self.default_route and f"veth:{self.daemon.netns}/{interface}" in self.default_route.after:
                netlink.replace_default_routes([self.default_route])

    def link_is_up(self, interface: str) -> bool:
        """Return whether the interface has a carrier."""
        return netlink.carriers(self.daemon.netns)[interface]

    def carrier_changes(self, interface: str) -> int:
        """Return how often an interface has got or lost its carrier."""
        return netlink.carrier_changes(self.daemon.netns, interface)

    def kill_bird(self) -> None:
        """Kill its BIRD."""
        processes.end(self.birds())

    def freeze_bird(self) -> None:
        """Stop its BIRD where it is."""
        processes.send(self.birds(), signal.SIGSTOP)

    def start_bird(self) -> None:
        """Let a frozen BIRD go on, and start one where none runs."""
        running = self.birds()
        processes.send(running, signal.SIGCONT)
        if not running:
            self._start(recover=self.daemon.graceful)

    def give_bird(self, release: str) -> None:
        """Note which release its BIRD is of from its next start on."""
        self.program_of(release)
        file = self._given
        part = file.with_suffix(".part")
        part.write_text(release, encoding="utf-8")
        part.rename(file)

    def program(self) -> Program:
        """Return which BIRD runs: its version by `show status`, its bytes by what the kernel executes."""
        said = self.ask_bird("show status")
        try:
            (pid,) = self.birds()
            code = Path("/proc", str(pid), "exe").read_bytes()
        except (ValueError, OSError) as error:
            raise CommandError(self.name, ["bird"], 1, f"not one BIRD runs here: {error}") from error
        version = said.split(maxsplit=2)[1]
        return Program(version=version, digest=hashlib.sha256(code).hexdigest(), since=f"process {pid}")

    def program_of(self, release: str) -> Program:
        """Return which BIRD a release has: unpacked from the packages of its Debian."""
        folder = self._unpacked(release)
        code = (folder / packages.ROOT / "usr/sbin/bird").read_bytes()
        version = debian.upstream(packages.versions(folder)[self._packages(release).packages[-1]])
        return Program(version=version, digest=hashlib.sha256(code).hexdigest())

    def _start(self, *, recover: bool) -> None:
        usr = self._unpacked(self._given.read_text()) / packages.ROOT / "usr" if self._given.exists() else None
        engine.start_bird(self.daemon, recover=recover, usr=usr)

    @property
    def _given(self) -> Path:
        """The file that names the release of its BIRD, where it is not this host's."""
        return Path(self.daemon.config_path).with_suffix(".release")

    def _unpacked(self, release: str) -> Path:
        return self.unpack(self._packages(release))

    @staticmethod
    def _packages(name: str) -> Unpacked:
        release = find_release(name)
        wanted = (release.unpacked(each) for each in release.components if each.name == ROUTING)
        if (found := next(wanted, None)) is None:
            raise InputError(
                f"release {name} is not one of routers", hint=f"one has the component {ROUTING} and no other"
            )
        return found

    def set_session(self, session: topology.Session, *, up: bool) -> None:
        """Shut a BGP session of its, or open it again (BIRD User's Guide, 4.1: `disable`, `enable`)."""
        self.ask_bird(f"{'enable' if up else 'disable'} {session.name}")

    def announce(self, key: str, change: Change) -> None:
        """Announce more or less than the topology says. What is in effect is told by comments of the configuration."""
        with exclusive(Path(self.daemon.config_path).with_suffix(".lock")):  # others may be at it with another key
            changes = {**self.announces(), key: change}
            wanted = {name: each for name, each in changes.items() if each}
            config = self.configure(together(wanted.values())) if wanted else self.daemon.config
            changing.reconfigure(replace(self.daemon, config=f"{to_comments(wanted)}{config}"))

    def announces(self) -> Mapping[str, Change]:
        """Return what it announces more or less than the topology says, by whose doing it is."""
        return from_comments(Path(self.daemon.config_path).read_text(encoding="utf-8"))

    def birds(self) -> list[int]:
        """Return the process ids of its BIRD: one, or none."""
        namespace = netlink.identity(self.daemon.netns)
        alive = processes.living({namespace}) if namespace is not None else ()
        return [pid for pid in alive if processes.command(pid) == "bird"]

    def _restore_link_locals(self, interfaces: Collection[str]) -> None:
        """Undo what the kernel does when an interface goes down: it forgets addresses that are local to the link."""
        ends = (end for end in self.spec.interfaces if end.interface in interfaces and end.link_local)
        netlink.restore_addresses(self.daemon.netns, {end.interface: f"{end.link_local}/64" for end in ends})

    def _set_server_links(self, *, up: bool) -> None:
        for server in self.servers().values():
            for port in server.spec.ports:
                if port.tor == self.name:
                    server.set_link(port.interface, up=up)
