"""Faults of the network between servers: who no longer hears whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, permutations
from random import Random

from vdc.datacenter.api import DataCenter
from vdc.datacenter.reachability import expect_cut_off, expect_reaches
from vdc.faults.base import Fault
from vdc.faults.shapes import Blocked, Parties, blocked, parties
from vdc.model.ip import Address
from vdc.model.topology import Topology
from vdc.wait import NotYet


@dataclass(frozen=True, slots=True)
class Isolated(Fault):
    """A server is cut off from other servers, in both directions; clients and routers still reach it.

    It is done with nftables in the guest, which drops what comes from or goes to any address of the others.
    The guest agent needs no network, so the fault can always be healed. Without `peers`, all other members of
    the cluster are meant.
    """

    needs = "a server of a release of ours, which has nftables, and others that it could reach"

    server: str
    peers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`SERVER cut off from …`."""
        return f"{self.server} cut off from {', '.join(self.peers) or 'its peers'}"

    def missing(self, dc: DataCenter) -> str | None:
        """Return who is not there, or cannot be asked, or that there is nobody to be cut off from."""
        for name in (self.server, *self.peers):
            if name not in dc.servers:
                return f"there is no server {name}"
            if not dc.topology.server(name).managed:
                return f"{name} has an image of the user's: nobody can ask it"
        if not self._others(dc):
            return f"{self.server} has no peers to be cut off from"
        return None

    def inject(self, dc: DataCenter) -> None:
        """Drop all packets from and to the peers."""
        dc.servers[self.server].run(["nft", "-f", "-"], stdin=ruleset(self._blocked(dc), self._table))

    def bites(self, dc: DataCenter) -> None:
        """The server does not reach its peers, its peers do not reach it, and clients outside do."""
        server = dc.topology.server(self.server)
        for peer in self._peers(dc):
            expect_cut_off(dc.servers[peer], server.node.ip)
            expect_cut_off(dc.servers[self.server], dc.topology.server(peer).node.ip)
        for client in dc.externals.values():
            expect_reaches(client, server.node.ip)

    def heal(self, dc: DataCenter) -> None:
        """Remove the rules."""
        # Adding first makes the removal idempotent.
        dc.servers[self.server].run(["nft", "-f", "-"], stdin=f"add table {self._table}\ndelete table {self._table}\n")

    def healed(self, dc: DataCenter) -> None:
        """The server and its peers reach one another again."""
        server = dc.topology.server(self.server)
        for peer in self._peers(dc):
            expect_reaches(dc.servers[peer], server.node.ip)
            expect_reaches(dc.servers[self.server], dc.topology.server(peer).node.ip)

    @property
    def _table(self) -> str:
        """Return a table of its own: another partition of the same server may be in effect at the same time."""
        return f"inet vdc_partition_{self.key}"

    def _peers(self, dc: DataCenter) -> tuple[str, ...]:
        others = self._others(dc)
        assert others, f"{self.server} has no peers to be cut off from"
        return others

    def _others(self, dc: DataCenter) -> tuple[str, ...]:
        return self.peers or tuple(each.name for each in dc.topology.members if each.name != self.server)

    def _blocked(self, dc: DataCenter) -> tuple[Address, ...]:
        servers = [dc.topology.server(peer) for peer in self._peers(dc)]
        ports = [address for server in servers for port in server.ports for address in port.addresses]
        own = [address for server in servers for address in (*server.nodes, *server.announces)]
        return tuple(dict.fromkeys(address.ip for address in (*own, *ports)))


@dataclass(frozen=True, slots=True)
class Partitioned(Fault):
    """Groups of devices no longer reach one another: halves, a majority ring, a bridge …

    What a device sends to an address of another party is lost on the host, just outside the device; what goes through
    it is not. `cut` are pairs of `parties`, by their places: packets of the first to the second are lost.
    """

    heal_seconds = 180.0
    """Sessions that were lost must come back, and their routes."""

    shape: str
    parties: Parties
    cut: Blocked

    def __post_init__(self) -> None:
        if not self.cut:
            raise ValueError("nobody is cut off from anybody")

    @property
    def name(self) -> str:
        """`partition SHAPE: rack0-tor0, … | rack1-tor0, …`."""
        return f"partition {self.shape}: {' | '.join(map(_party, self.parties))}"

    def silences(self, dc: DataCenter) -> tuple[str, ...]:
        """Return all that are cut off from somebody."""
        return tuple(name for place in {place for pair in self.cut for place in pair} for name in self.parties[place])

    def inject(self, dc: DataCenter) -> None:
        """Lose the packets."""
        dc.drop(self.key, self._lost(dc.topology))

    def bites(self, dc: DataCenter) -> None:
        """Of each ordered pair of parties, packets of the first come to the second if they should, and else do not.

        Where routers lose sessions by it others may lose their routes, so that only what is cut is proven.
        """
        whole = () if self._severs(dc.topology) else self._whole()
        _expect_heard(dc, tuple(self._pairs(whole)), tuple(self._pairs(self.cut)))

    def heal(self, dc: DataCenter) -> None:
        """Let them pass."""
        dc.undrop(self.key, tuple(self._lost(dc.topology)))

    def healed(self, dc: DataCenter) -> None:
        """Each party hears each other."""
        _expect_heard(dc, tuple(self._pairs((*self.cut, *self._whole()))), ())

    def _lost(self, topology: Topology) -> Mapping[str, tuple[Address, ...]]:
        """Return, for each device that sends over a cut, the addresses of all whom it does not reach."""
        found: dict[str, tuple[Address, ...]] = {}
        for a, b in self.cut:
            theirs = tuple(address for name in self.parties[b] for address in addresses_of(topology, name))
            for name in self.parties[a]:
                found[name] = (*found.get(name, ()), *theirs)
        return found

    def _whole(self) -> Blocked:
        return tuple(pair for pair in permutations(range(len(self.parties)), 2) if pair not in self.cut)

    def _severs(self, topology: Topology) -> bool:
        """Return whether routers lose sessions by it, so that others may lose their routes."""
        place = {name: number for number, party in enumerate(self.parties) for name in party}
        return any(
            (place.get(session.device), place.get(session.peer_device)) in self.cut
            for router in topology.routers
            for session in router.sessions
        )

    def _pairs(self, of: Blocked) -> Iterator[tuple[str, str]]:
        """Yield pairs of devices in which each device of both parties has its turn."""
        for a, b in of:
            ours, theirs = self.parties[a], self.parties[b]
            yield from islice(zip(cycle(ours), cycle(theirs), strict=False), max(len(ours), len(theirs)))


def partition(topology: Topology, shape: str, of: str, dice: Random) -> Partitioned:
    """Return the fault in which the racks, tiers, roles or servers of a topology are parted in this shape.

    Raises InputError: there is no such shape or grouping, or there are too few parties.
    """
    found = parties(topology, of)
    return Partitioned(shape, found, blocked(shape, len(found), dice))


def addresses_of(topology: Topology, device: str) -> tuple[Address, ...]:
    """Return every address of a server or a router."""
    if topology.has_server(device):
        server = topology.server(device)
        ports = (address for port in server.ports for address in port.addresses)
        own = (*server.nodes, *server.announces, *ports)
    else:
        router = topology.router(device)
        own = (*router.loopbacks, *(address for end in router.interfaces for address in end.addresses))
    return tuple(dict.fromkeys(each.ip for each in own))


def _party(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else "")


_SHOWN = 3


def _expect_heard(dc: DataCenter, whole: Sequence[tuple[str, str]], cut: Sequence[tuple[str, str]]) -> None:
    """Return if of these ordered pairs of devices the second hears the first, and of those not; raises NotYet."""
    heard = dc.heard((*whole, *cut))
    wrong = [f"{b} does not hear {a}" for a, b in whole if (a, b) not in heard]
    wrong += [f"{b} still hears {a}" for a, b in cut if (a, b) in heard]
    if wrong:
        raise NotYet("; ".join(wrong[:_TOLD]) + (f" and {len(wrong) - _TOLD} more" if wrong[_TOLD:] else ""))


_TOLD = 4


def ruleset(addresses: tuple[Address, ...], table: str) -> str:
    """Return the nftables rules (nft(8)) that drop everything from and to these addresses."""
    return (
        f"table {table} {{\n"
        f"  chain input {{ type filter hook input priority -300; {_drops('saddr', addresses)}}}\n"
        f"  chain output {{ type filter hook output priority -300; {_drops('daddr', addresses)}}}\n"
        "}\n"
    )


def _drops(field: str, addresses: tuple[Address, ...]) -> str:
    by_family = {
        word: ", ".join(str(each) for each in addresses if each.version == version)
        for word, version in (("ip", 4), ("ip6", 6))
    }
    return "".join(f"{word} {field} {{ {listed} }} drop; " for word, listed in by_family.items() if listed)
