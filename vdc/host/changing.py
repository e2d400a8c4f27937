"""Changes resources in place while they are in use: what `vdc.plan.reshape` allows to differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from vdc.host import bird, engine, impairments, netlink
from vdc.host.engine import Build
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk
from vdc.plan.resources.network import Bridge, DefaultRoute, Impairment, Plug, Tap, Veth
from vdc.plan.resources.processes import Bird
from vdc.wait import NotYet, wait_for

_CONFIGURE_SECONDS: Final = 30.0


def change(resources: Iterable[Resource], build: Build) -> None:
    """Make resources that exist already what they are here. Those that are so already stay as they are.

    Raises:
        BuildError, CommandError: naming the resource, and why it could not be changed.
        WaitTimeout: a BIRD is still busy with its new configuration.
    """
    for kind, group in groupby(sorted(resources, key=_order), key=type):
        CHANGERS[kind](list(group), build)


def reconfigure(daemon: Bird) -> None:
    """Give a running BIRD its configuration; sessions that are the same in the old and the new one stay up.

    Returns when BIRD is done with it (BIRD User's Guide, 4.1: `configure`).

    Raises:
        CommandError: it does not run, or refuses the configuration; it goes on with the old one then.
        WaitTimeout: it is still busy.
    """
    Path(daemon.config_path).write_text(daemon.config, encoding="utf-8")
    bird.ask(Path(daemon.control), "configure")

    def done() -> None:
        if "econfiguration in progress" in (said := bird.ask(Path(daemon.control), "show status")):
            raise NotYet(said.splitlines()[-1])

    wait_for(done, what=f"{daemon.id} to be reconfigured", timeout=_CONFIGURE_SECONDS, interval=0.02)


def _birds(daemons: Sequence[Bird], _build: Build) -> None:
    for daemon in daemons:
        if Path(daemon.config_path).read_text(encoding="utf-8") != daemon.config:
            reconfigure(daemon)


def _mtus(resources: Sequence[Bridge | Tap | Veth], _build: Build) -> None:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for each in resources:
        for end in _ends(each):
            found[end.netns][end.name] = end.mtu
    for netns, mtus in found.items():
        netlink.set_mtus(netns, mtus)


def _ends(resource: Bridge | Tap | Veth) -> tuple[Bridge | Tap | Plug, ...]:
    return (resource.a, resource.b) if isinstance(resource, Veth) else (resource,)


CHANGERS: Final[Mapping[type[Resource], Callable[[Sequence[Any], Build], None]]] = MappingProxyType(
    {
        Veth: _mtus,
        Tap: _mtus,
        # a bridge has the MTU of its smallest port until it is told another
        Bridge: _mtus,
        Impairment: lambda wires, _: impairments.impose(wires),
        DefaultRoute: lambda routes, _: netlink.replace_default_routes(routes),
        ConfigDisk: engine.EXECUTORS[ConfigDisk],
        Bird: _birds,
    }
)
"""How each kind of resource is changed: a function from a batch of them. In this order: links before who uses them."""

_RANK: Final = {kind: rank for rank, kind in enumerate(CHANGERS)}


def _order(resource: Resource) -> int:
    return _RANK[type(resource)]
