"""Faults of the network between servers: who no longer hears whom."""

from __future__ import annotations

from dataclasses import dataclass

from vdc.datacenter.api import DataCenter
from vdc.datacenter.reachability import expect_cut_off, expect_reaches
from vdc.faults.base import Fault
from vdc.model.topology import Address

_TABLE = "inet vdc_partition"


@dataclass(frozen=True, slots=True)
class Isolated(Fault):
    """A server is cut off from other servers, in both directions; clients and routers still reach it.

    It is done with nftables in the guest, which drops what comes from or goes to any address of the others.
    The guest agent needs no network, so the fault can always be healed. Without `peers`, all other members of
    the cluster are meant.
    """

    server: str
    peers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`SERVER cut off from …`."""
        return f"{self.server} cut off from {', '.join(self.peers) or 'its peers'}"

    def inject(self, dc: DataCenter) -> None:
        """Drop all packets from and to the peers."""
        dc.servers[self.server].run(["nft", "-f", "-"], stdin=ruleset(self._blocked(dc)))

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
        dc.servers[self.server].run(["nft", "-f", "-"], stdin=f"add table {_TABLE}\ndelete table {_TABLE}\n")

    def healed(self, dc: DataCenter) -> None:
        """The server and its peers reach one another again."""
        server = dc.topology.server(self.server)
        for peer in self._peers(dc):
            expect_reaches(dc.servers[peer], server.node.ip)
            expect_reaches(dc.servers[self.server], dc.topology.server(peer).node.ip)

    def _peers(self, dc: DataCenter) -> tuple[str, ...]:
        others = self.peers or tuple(each.name for each in dc.topology.members if each.name != self.server)
        assert others, f"{self.server} has no peers to be cut off from"
        return others

    def _blocked(self, dc: DataCenter) -> tuple[Address, ...]:
        servers = [dc.topology.server(peer) for peer in self._peers(dc)]
        ports = [address for server in servers for port in server.ports for address in port.addresses]
        own = [address for server in servers for address in (*server.nodes, *server.announces)]
        return tuple(dict.fromkeys(address.ip for address in (*own, *ports)))


def ruleset(blocked: tuple[Address, ...]) -> str:
    """Return the nftables rules (nft(8)) that drop everything from and to these addresses."""
    return (
        f"table {_TABLE} {{\n"
        f"  chain input {{ type filter hook input priority -300; {_drops('saddr', blocked)}}}\n"
        f"  chain output {{ type filter hook output priority -300; {_drops('daddr', blocked)}}}\n"
        "}\n"
    )


def _drops(field: str, blocked: tuple[Address, ...]) -> str:
    by_family = {
        word: ", ".join(str(each) for each in blocked if each.version == version)
        for word, version in (("ip", 4), ("ip6", 6))
    }
    return "".join(f"{word} {field} {{ {listed} }} drop; " for word, listed in by_family.items() if listed)
