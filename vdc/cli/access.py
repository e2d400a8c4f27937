"""`vdc exec`, `console`, `ssh`, `logs` and `power`: acting on one device of a running data centre."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from vdc.cli.context import need_root, pick
from vdc.cli.lifecycle import Instance
from vdc.errors import HostError, InputError

if TYPE_CHECKING:
    from vdc.datacenter.api import DataCenter, Machine, Runner
    from vdc.model.topology import Server as Spec
    from vdc.model.topology import Topology

Server = Annotated[str, typer.Argument(metavar="SERVER", help="A server of the data centre.")]
Device = Annotated[str, typer.Argument(metavar="SERVER", help="A server, a router or an external client.")]
MaybeDevice = Annotated[
    str | None, typer.Argument(metavar="[DEVICE]", help="A server or a router; by default list the logs.")
]
Command = Annotated[list[str], typer.Argument(metavar="-- CMD…", help="The command and its arguments.")]
MaybeCommand = Annotated[list[str] | None, typer.Argument(metavar="[-- CMD…]", help="The command; by default a shell.")]
Timeout = Annotated[float, typer.Option(help="Seconds after which to give up.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what is added, until Ctrl-C.")]
Stdin = Annotated[bool, typer.Option("--stdin", "-i", help="Pass standard input on to the command.")]


class PowerAction(StrEnum):
    """What can be done to a server's power: `shutdown` asks the guest, the others don't."""

    ON = "on"
    OFF = "off"
    RESET = "reset"
    SHUTDOWN = "shutdown"


_ACTIONS: Mapping[PowerAction, Callable[[Machine], None]] = {
    PowerAction.ON: lambda machine: machine.power_on(),
    PowerAction.OFF: lambda machine: machine.power_off(),
    PowerAction.RESET: lambda machine: machine.reset(),
    PowerAction.SHUTDOWN: lambda machine: machine.shutdown(),
}


def exec_(
    context: typer.Context,
    name: Instance,
    device: Device,
    command: Command,
    timeout: Timeout = 60.0,
    stdin: Stdin = False,
) -> None:
    """Run a command on a device; exit with its status."""
    dc = _attached(context, name)
    done = find_runner(dc, device).run(
        plain(command), timeout=timeout, check=False, stdin=sys.stdin.read() if stdin else None
    )
    typer.echo(done.stdout, nl=False)
    typer.echo(done.stderr, nl=False, err=True)
    raise typer.Exit(done.status)


def console(context: typer.Context, name: Instance, server: Server) -> None:
    """Attach to the console of a server; Ctrl-] leaves it, and what runs on it goes on."""
    dc = _attached(context, name)
    from vdc.cli.terminal import attach

    path = dc.run_directory / "consoles" / f"{pick('server', server, _servers(dc))}.sock"
    typer.echo(f"console of {server}; leave with Ctrl-]", err=True)
    ended = attach(path)
    typer.echo(f"\r\n{ended}", err=True)


def ssh(context: typer.Context, name: Instance, server: Server, command: MaybeCommand = None) -> None:
    """Log into a server as root, from outside the border.

    `exit` or Ctrl-D leaves; where the server no longer answers, the keys Enter ~ . do.
    """
    dc = _attached(context, name)
    from vdc.host.preflight import install_hint
    from vdc.shell import find, replace

    pick("server", server, _servers(dc))
    if find("ssh") is None:
        raise HostError("ssh is missing", hint=install_hint(["ssh"]))
    replace(ssh_argv(dc, server, plain(command or [])))


def logs(context: typer.Context, name: Instance, device: MaybeDevice = None, follow: Follow = False) -> None:
    """Print the console of a server or the log of a router.

    Each line has its time. Without a device: list the logs.
    """
    dc = _attached(context, name)
    from vdc.cli.logs import files, lines

    there = files(dc)
    if device is None:
        for each, path in there.items():
            typer.echo(f"{each}\t{path}")
        return
    for line in lines(there[pick("device with a log", device, there)], follow=follow):
        typer.echo(line, nl=False)


def power(context: typer.Context, name: Instance, server: Server, action: PowerAction) -> None:
    """Switch a server on, off, or reset it.

    `off` cuts the power; `shutdown` asks the guest and waits until it is off.
    """
    dc = _attached(context, name)
    machine = dc.servers[pick("server", server, _servers(dc))]
    _ACTIONS[action](machine)
    typer.echo(f"{server} is {machine.power()}")


def find_runner(dc: DataCenter, device: str) -> Runner:
    """Return the device of any kind; servers are asked for only if it is one, since that takes libvirt."""
    kinds: Mapping[str, Callable[[], Runner]] = {
        **{each.name: lambda: dc.servers[device] for each in dc.topology.servers},
        **{each.name: lambda: dc.routers[device] for each in dc.topology.routers},
        **{each.name: lambda: dc.externals[device] for each in dc.topology.externals},
    }
    return kinds[pick("device", device, kinds)]()


def ssh_argv(dc: DataCenter, server: str, command: Sequence[str]) -> list[str]:
    """Return the ssh(1) that logs into a server from a place from where it can be reached.

    What a guest of a user's image lets in is its own affair: the keys are the user's, and so is what is known of it.

    Raises InputError: it has no address, or there is no place to come from.
    """
    from vdc.host.secrets import Secrets
    from vdc.shell import in_namespace

    keys = Secrets(directory=dc.run_directory / "secrets")
    spec = dc.topology.server(server)
    place = next(_places(dc.topology, spec), None)
    if spec.address is None or place is None:
        raise InputError(f"{server} cannot be reached", hint=f"vdc console {dc.name} {server}")
    ours = (
        f"IdentityFile={keys.login_key}",
        f"UserKnownHostsFile={keys.known_hosts}",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
    )
    theirs = ("UserKnownHostsFile=/dev/null", "StrictHostKeyChecking=no", "LogLevel=ERROR")
    return in_namespace(
        f"vdc-{dc.name}.{place}",
        [
            "ssh",
            *(word for option in (ours if spec.managed else theirs) for word in ("-o", option)),
            f"root@{spec.address}",
            *((shlex.join(command),) if command else ()),
        ],
    )


def _places(topology: Topology, server: Spec) -> Iterator[str]:
    """Yield the clients and routers to come from: outside where a server announces its address, else beside it."""
    from vdc.model.topology import Tier

    clients = [client.name for client in topology.externals]
    if server.managed and server.nodes:
        yield from (*clients, *(router.name for router in topology.tier(Tier.BORDER)))
    known = {*clients, *(router.name for router in topology.routers)}
    nets = {port.segment for port in server.ports}
    for segment in topology.segments:
        if segment.name in nets:
            yield from (end.device for end in segment.ports if end.device in known)


def plain(command: Sequence[str]) -> Sequence[str]:
    """Return a command without the `--` before it, which is left in where options are passed on."""
    return command[1:] if command[:1] == ["--"] else command


def _servers(dc: DataCenter) -> list[str]:
    return [server.name for server in dc.topology.servers]


def _attached(context: typer.Context, name: str) -> DataCenter:
    settings = need_root(context)
    from vdc.datacenter.lifecycle import attach
    from vdc.steps import Steps

    return attach(name, settings, Steps())
