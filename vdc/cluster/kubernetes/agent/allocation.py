"""Which service gets which address: a pure function, so that two allocators with the same knowledge agree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from .objects import Service

Record = Mapping[IPv4Address, str]
"""Which service, by uid, an address belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a service gets no address: `reason` is a word as events have it."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The new record, and who goes without, by uid."""

    record: Record
    refused: Mapping[str, Refusal]

    def address_of(self, service: Service) -> tuple[IPv4Address, ...]:
        """Return the address that a service has now, if it has one."""
        return tuple(address for address, uid in self.record.items() if uid == service.uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where addresses come from: `networks` without their first and last address, and without what is `taken`."""

    networks: tuple[IPv4Network, ...]
    taken: frozenset[IPv4Address] = frozenset()

    def __contains__(self, address: IPv4Address) -> bool:
        """Return whether a service may have an address."""
        return address not in self.taken and any(
            address in network and (network.prefixlen > 30 or address not in (network[0], network[-1]))
            for network in self.networks
        )

    def __iter__(self) -> Iterator[IPv4Address]:
        """Yield the addresses, lowest first of each network."""
        return (address for network in self.networks for address in network.hosts() if address not in self.taken)

    def __str__(self) -> str:
        """The networks."""
        return ", ".join(map(str, self.networks))


def allocate(services: Collection[Service], record: Record, pool: Pool) -> Allocation:
    """Return who has which address, after a `record` of who had: whoever has one that it may have keeps it.

    Then come those that ask for an address, or say that they have one, and then the others, each time the oldest
    first. What belonged to a service that is gone is free.
    """
    claims = sorted((each for each in services if each.balanced), key=lambda each: (each.created, each.key))
    held = _kept({each.uid: each for each in claims}, record, pool)
    refused: dict[str, Refusal] = {}
    for claim in _waiting(claims, held):
        asked = (claim.wanted,) if claim.wanted else claim.ingress
        address = next((each for each in asked if each in pool and each not in held), None)
        if address is not None:
            held[address] = claim.uid
        elif claim.wanted:
            refused[claim.uid] = _unavailable(claim.wanted, pool)
    fresh = (address for address in pool if address not in held)
    for claim in _waiting([each for each in claims if each.uid not in refused], held):
        address = next(fresh, None)
        if address is None:
            refused[claim.uid] = Refusal(reason="AddressesExhausted", message=f"no address is left in {pool}")
        else:
            held[address] = claim.uid
    return Allocation(record=held, refused=refused)


def needs_work(services: Collection[Service], pool: Pool) -> bool:
    """Return whether an allocator has anything to do, as far as the services themselves tell."""
    shown = [each.ingress for each in services if each.balanced]
    return (
        any(_unserved(each, pool) for each in services if each.balanced)
        or any(stale(each, pool) for each in services)
        or len(set(shown)) < len(shown)
    )


def stale(service: Service, pool: Pool) -> bool:
    """Return whether a service shows an address of the pool though it is balanced no more."""
    return not service.balanced and any(each in pool for each in service.ingress)


def _kept(by_uid: Mapping[str, Service], record: Record, pool: Pool) -> dict[IPv4Address, str]:
    kept: dict[IPv4Address, str] = {}
    for address, uid in record.items():
        wanted = by_uid[uid].wanted if uid in by_uid else None
        if uid in by_uid and uid not in kept.values() and address in pool and wanted in (None, address):
            kept[address] = uid
    return kept


def _unserved(claim: Service, pool: Pool) -> bool:
    address = claim.ingress[0] if len(claim.ingress) == 1 else None
    return address is None or address not in pool or claim.wanted not in (None, address)


def _waiting(claims: Sequence[Service], held: Record) -> list[Service]:
    served = set(held.values())
    return [each for each in claims if each.uid not in served]


def _unavailable(address: IPv4Address, pool: Pool) -> Refusal:
    why = "another service has it" if address in pool else f"it is none of {pool} that is free for services"
    return Refusal(reason="AddressUnavailable", message=f"{address} cannot be had: {why}")
