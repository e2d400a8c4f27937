"""Routers that announce more, or less, than their topology says: what that makes of the data centre. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network
from itertools import chain
from typing import Final

from vdc.model.ip import Prefix
from vdc.model.topology import Router, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The prefixes that a router announces, though they are not its own, and those of its own that it does not."""

    more: tuple[Prefix, ...] = ()
    less: tuple[Prefix, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.more or self.less)


NO_CHANGE: Final = Change()


def together(changes: Iterable[Change]) -> Change:
    """Return what several changes of one router come to; what one of them withholds is not announced."""
    known = tuple(changes)
    less = _once(chain.from_iterable(each.less for each in known))
    more = _once(chain.from_iterable(each.more for each in known))
    return Change(more=tuple(prefix for prefix in more if prefix not in less), less=less)


def altered(topology: Topology, changes: Mapping[str, Change]) -> Topology:
    """Return the topology in which these routers originate what they announce. Only for `vdc.model.routing`."""
    return replace(
        topology, routers=tuple(_altered(each, changes.get(each.name, NO_CHANGE)) for each in topology.routers)
    )


def own(router: Router) -> tuple[Prefix, ...]:
    """Return what a router announces of its own."""
    return (*(each.network for each in router.loopbacks), *router.originates)


def to_comments(changes: Mapping[str, Change]) -> str:
    """Return changes as comments of a configuration, by key."""
    return "".join(
        f"{_MARK}{key} {' '.join([*(f'+{prefix}' for prefix in each.more), *(f'-{prefix}' for prefix in each.less)])}\n"
        for key, each in changes.items()
    )


def from_comments(text: str) -> Mapping[str, Change]:
    """Return what `to_comments` wrote into a configuration."""
    found = {}
    for line in text.splitlines():
        if line.startswith(_MARK):
            key, *words = line.removeprefix(_MARK).split()
            found[key] = Change(more=_signed("+", words), less=_signed("-", words))
    return found


_MARK = "# announced by fault "


def _altered(router: Router, change: Change) -> Router:
    kept = tuple(prefix for prefix in router.originates if prefix not in change.less)
    return replace(
        router,
        loopbacks=tuple(each for each in router.loopbacks if each.network not in change.less),
        originates=(*kept, *(prefix for prefix in change.more if prefix not in kept)),
    )


def _signed(sign: str, words: Iterable[str]) -> tuple[Prefix, ...]:
    return tuple(ip_network(word[1:]) for word in words if word.startswith(sign))


def _once(prefixes: Iterable[Prefix]) -> tuple[Prefix, ...]:
    return tuple(dict.fromkeys(prefixes))
