"""What `links:` of a file says of wires and cables: MTU, impairments, addresses of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate

from vdc.model.ip import Interface
from vdc.model.spec import LinkSpec
from vdc.model.topology import Impairment


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What is said of one wire between `one` and `other`: `addresses` are theirs, in that order, of each family."""

    mtu: int | None = None
    to_other: Impairment | None = None
    to_one: Impairment | None = None
    addresses: tuple[tuple[Interface, Interface], ...] = ()


PLAIN = Properties()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    spec: LinkSpec
    first: re.Pattern[str]
    second: re.Pattern[str]

    def directions(self, one: str, other: str) -> Iterator[bool]:
        """Yield whether `one` is the first pattern's, for each way in which the two names match."""
        if self.first.match(one) and self.second.match(other):
            yield True
        elif self.first.match(other) and self.second.match(one):
            yield False


@dataclass(frozen=True, slots=True)
class Wires:
    """All rules of a file; what is said later wins."""

    links: Sequence[LinkSpec]
    _rules: tuple[_Rule, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rules", tuple(_rules(self.links)))

    def properties(self, one: str, other: str) -> Properties:
        """Return what is said of the wire between two devices, or of the cable of a device to a network."""
        found = PLAIN
        if one == other:  # a ToR and its own segment: a cable of its own would be between all of its servers
            return found
        for rule in self._rules:
            for forward in rule.directions(one, other):
                found = _apply(found, rule.spec, forward=forward)
        return found


def _rules(links: Iterable[LinkSpec]) -> Iterator[_Rule]:
    for spec in links:
        first, second = (re.compile(translate(pattern)) for pattern in spec.between)
        yield _Rule(spec=spec, first=first, second=second)


def _apply(found: Properties, spec: LinkSpec, *, forward: bool) -> Properties:
    """Return `found` with what `spec` says; `forward` if the first of its patterns is `one`."""
    towards_first = spec.towards in (None, spec.between[0])
    towards_second = spec.towards in (None, spec.between[1])
    to_one, to_other = (towards_first, towards_second) if forward else (towards_second, towards_first)
    return Properties(
        mtu=spec.mtu or found.mtu,
        to_other=_impaired(found.to_other, spec) if to_other else found.to_other,
        to_one=_impaired(found.to_one, spec) if to_one else found.to_one,
        addresses=_addressed(found.addresses, spec.addresses, forward=forward),
    )


def _addressed(
    found: tuple[tuple[Interface, Interface], ...], said: tuple[Interface, Interface] | None, *, forward: bool
) -> tuple[tuple[Interface, Interface], ...]:
    if said is None:
        return found
    one, other = said if forward else said[::-1]
    return (*(pair for pair in found if pair[0].version != one.version), (one, other))


def _impaired(found: Impairment | None, spec: LinkSpec) -> Impairment | None:
    said = {key: value for key in ("delay", "jitter", "loss", "rate") if (value := getattr(spec, key)) is not None}
    return replace(found or Impairment(), **said) if said else found
