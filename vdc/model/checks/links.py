"""Rules of links: patterns match a wire, and impairments make sense."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import translate
from typing import Final

from vdc.model.checks.base import Finding, Survey
from vdc.model.spec import LinkSpec
from vdc.model.words import suggest
from vdc.model.yamltree import Path

_IMPAIRMENTS: Final = ("delay", "jitter", "loss", "rate")
_SAID: Final = ("mtu", "addresses", *_IMPAIRMENTS)
_FABRIC: Final[tuple[Path, ...]] = (("fabric",), ("racks",), ("devices",), ("networks",))


def patterns(survey: Survey) -> Iterator[Finding]:
    """Each pattern matches something, and both together a wire."""
    known: frozenset[str] = survey.devices | survey.networks if survey.spec.links else frozenset()
    for number, link in enumerate(survey.spec.links):
        path: Path = ("links", number, "between")
        sides = [_matching(pattern, known) for pattern in link.between]
        for side, pattern in enumerate(link.between):
            if not sides[side]:
                hint = suggest(pattern, known) if "*" not in pattern else ""
                message = f'nothing is called "{pattern}"{hint}'
                yield Finding(path=(*path, side), message=message, because=_FABRIC)
        if all(sides):
            yield from _wires(survey, link, sides, ("links", number))


def _matching(pattern: str, names: frozenset[str]) -> frozenset[str]:
    if not any(sign in pattern for sign in "*?["):
        return names & {pattern}
    match = re.compile(translate(pattern)).match
    return frozenset(name for name in names if match(name))


def _wires(survey: Survey, link: LinkSpec, sides: list[frozenset[str]], path: Path) -> Iterator[Finding]:
    first, second = link.between
    links = _between(survey.links(), sides)
    if link.addresses is None:
        if next(links, None) is None and next(_between(survey.cables(), sides), None) is None:
            message = f'there is no wire between "{first}" and "{second}"'
            yield Finding(path=(*path, "between"), message=message, because=_FABRIC)
        return
    count = sum(1 for _ in links)
    if count != 1:
        message = f"addresses are those of one link between routers; there are {count} between {first} and {second}"
        yield Finding(path=(*path, "addresses"), message=message, because=(*_FABRIC, (*path, "between")))
    yield from _twice(survey, link, sides, path)
    if survey.fabric.links == "unnumbered":
        message = "links have no addresses: `fabric.links` says so"
        yield Finding(path=(*path, "addresses"), message=message, because=(("fabric", "links"),), at_key=True)


def _twice(survey: Survey, link: LinkSpec, sides: list[frozenset[str]], path: Path) -> Iterator[Finding]:
    version = link.addresses[0].version if link.addresses is not None else 0
    for name, device in survey.spec.devices.items():
        for number, each in enumerate(device.interfaces):
            given = any(address.version == version for address in each.addresses or ())
            if given and each.link is not None and any(_between(iter([(each.link, name)]), sides)):
                place: Path = ("devices", name, "interfaces", number, "addresses")
                message = f"{name} gives addresses to this link already"
                yield Finding(path=(*path, "addresses"), message=message, because=(place,), at_key=True)


def _between(wires: Iterator[tuple[str, str]], sides: list[frozenset[str]]) -> Iterator[tuple[str, str]]:
    one, other = sides
    yield from ((a, b) for a, b in wires if (a in one and b in other) or (b in one and a in other))


def properties(survey: Survey) -> Iterator[Finding]:
    """What is said of a link is something, and is possible."""
    for number, link in enumerate(survey.spec.links):
        path: Path = ("links", number)
        if all(getattr(link, key) is None for key in _SAID):
            because = tuple((*path, key) for key in _SAID)
            yield Finding(path=path, message=f"says nothing; there are {', '.join(_SAID)}", because=because)
        if link.jitter is not None and link.jitter > (link.delay or 0.0):
            message = "is more than the delay that varies by it"
            yield Finding(path=(*path, "jitter"), message=message, because=((*path, "delay"),))
        if link.towards is not None:
            yield from _towards(link, path)


def _towards(link: LinkSpec, path: Path) -> Iterator[Finding]:
    if link.towards not in link.between:
        shown = " or ".join(f'"{each}"' for each in link.between)
        message = f'must be {shown}, not "{link.towards}"'
        yield Finding(path=(*path, "towards"), message=message, because=((*path, "between"),))
    if all(getattr(link, key) is None for key in _IMPAIRMENTS):
        because = tuple((*path, key) for key in _IMPAIRMENTS)
        message = f"is the direction of an impairment, and there is none ({', '.join(_IMPAIRMENTS)})"
        yield Finding(path=(*path, "towards"), message=message, because=because, at_key=True)


def mtus(survey: Survey) -> Iterator[Finding]:
    """A cable to a network is not wider than the network."""
    known: frozenset[str] = survey.devices | survey.networks if survey.spec.links else frozenset()
    for number, link in enumerate(survey.spec.links):
        if link.mtu is None:
            continue
        sides = [_matching(pattern, known) for pattern in link.between]
        for name in sorted({network for _, network in _between(survey.cables(), sides)}):
            because: Path = ("networks", name, "mtu")
            flat = survey.spec.networks.get(name)
            widest = flat.mtu if flat is not None else None
            if widest is None:
                widest, because = survey.fabric.mtu, ("fabric", "mtu")
            if widest is not None and link.mtu > widest:
                message = f"{link.mtu} is more than the network {name} carries, {widest}"
                yield Finding(path=("links", number, "mtu"), message=message, because=(because,))
                break
