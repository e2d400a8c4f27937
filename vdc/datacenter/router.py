"""A router, live: a namespace with BIRD in it. A client outside the border is a namespace without."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process
from typing import IO

from vdc import shell
from vdc.datacenter.api import Machine, Power, Routes, SessionState
from vdc.datacenter.machine import session_states
from vdc.history import Recorder
from vdc.host import bird, changing, engine, fib, netlink, processes
from vdc.host.locks import exclusive
from vdc.model import topology
from vdc.model.announcing import Change, from_comments, to_comments, together
from vdc.plan.resources import Bird, DefaultRoute
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
    makes the configuration of a BIRD that announces more or less.
    """

    spec: topology.Router
    daemon: Bird
    recorder: Recorder
    servers: Callable[[], Mapping[str, Machine]]
    configure: Callable[[Change], str]
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
            engine.start_bird(self.daemon, recover=recover)

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
            engine.start_bird(self.daemon, recover=self.daemon.graceful)

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
