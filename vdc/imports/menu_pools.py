"""A menu's prefixes as pools: the same where they fit, and what differs where they do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, summarize_address_range
from typing import Final

from vdc.imports.menu_format import TORS, Menu, NetworkSpec, RackSpec
from vdc.imports.pools import OUT_OF_THE_WAY, free_prefix, moved
from vdc.model import addressing
from vdc.model.addressing import LEAST_SERVERS, LEAST_UPLINKS
from vdc.model.ip import Prefix
from vdc.model.spec import PoolsSpec
from vdc.model.topology import Tier
from vdc.model.yamltree import Path

_LINK_LENGTH: Final = 24
"""The length of the prefix for links, in bits, where it has room: links were never more than that."""

_COMMENTS: Final = {
    "link": "a /31 for each link between routers",
    "node": "a /32 for each server (node0)",
    "segment": "a prefix for each ToR and its servers (node1, node2) …",
    "segment_length": "… of this length",
    "external": "core and external",
    "operation": "core and operation",
    "oob": "management, of the BMCs",
    "internet": "core and host",
    "load_balancer": "exposed from here on",
}

POOL_FIELDS: Final[Mapping[str, Path]] = {
    "link": ("spine-tor",),
    "node": ("ipam-config",),
    "segment": ("ipam-config",),
    "segment_length": ("ipam-config",),
    "oob": ("ipam-config",),
    "external": ("core-external",),
    "operation": ("core-operation",),
    "internet": ("internet",),
    "pod": ("pod",),
    "load_balancer": ("exposed", "loadbalancer"),
    "bastion": ("exposed", "bastion"),
    "egress": ("exposed", "egress"),
    "global": ("exposed", "global"),
}
"""Which of a menu's fields a pool comes from."""


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """A prefix, and if need be what is different about it."""

    prefix: Prefix
    differs: str | None = None


@dataclass(frozen=True)
class Pools:
    """The pools that a menu means."""

    menu: Menu

    @property
    def comments(self) -> Mapping[str, str]:
        """What stands beside them."""
        return _COMMENTS | dict.fromkeys(self._moved, OUT_OF_THE_WAY)

    @cached_property
    def data(self) -> Mapping[str, object]:
        """The section `pools` of the topology."""
        own = {name: prefix for name, prefix in self._purposes.items() if prefix is not None}
        made = {"link": self._link.prefix, "node": self._node.prefix, "segment": self._segment}
        shown: dict[str, object] = {name: str(prefix) for name, prefix in (made | own).items()}
        shown["segment_length"] = self.menu.ipam.spec.node_ipv4_range_mask
        order = ("link", "node", "segment", "segment_length")
        ordered = {name: shown[name] for name in order} | {name: shown[name] for name in own}
        return ordered | dict(self._moved)

    @cached_property
    def _moved(self) -> Mapping[str, str]:
        """The pools that the menu says nothing of, but takes the usual prefixes of."""
        own = {name: prefix for name, prefix in self._purposes.items() if prefix is not None}
        taken = {*own.values(), self._link.prefix, self._node.prefix, self._segment}
        return moved(taken, chosen={*own, "link", "node", "segment"})

    @property
    def differences(self) -> Iterator[tuple[Path, str]]:
        """The menu's fields whose addresses are not those of before, and how."""
        link = self._link.prefix
        yield ("core-spine",), f"addresses differ: links of the border are numbered from the pool link too, {link}"
        if self._link.differs:
            yield ("spine-tor",), self._link.differs
        elif link.network_address == self._spec.spine_tor:
            yield ("spine-tor",), f"addresses differ: each router has a row of its own for its links, in {link}"
        if self._node.differs:
            yield ("ipam-config",), self._node.differs
        yield ("ipam-config",), self._nodes_differ()

    def _nodes_differ(self) -> str:
        before = self._base + self.menu.ipam.spec.node_index_offset
        return (
            f"addresses differ: node0 of all servers is in {self._node.prefix}, node1 and node2 are in "
            f"{self._segment}; node0 of boot-0 was {before}"
        )

    @property
    def _spec(self) -> NetworkSpec:
        return self.menu.network.spec.spec

    @property
    def _racks(self) -> tuple[RackSpec, ...]:
        return self.menu.inventory.spec.spec.rack

    @cached_property
    def _purposes(self) -> Mapping[str, IPv4Network | None]:
        spec = self._spec
        return {
            "external": spec.core_external,
            "operation": spec.core_operation,
            "oob": self.menu.ipam.spec.bmc_ipv4_pool,
            "internet": spec.internet,
            "pod": spec.pod,
            "load_balancer": spec.exposed.loadbalancer,
            "bastion": spec.exposed.bastion,
            "egress": spec.exposed.egress,
            "global": spec.exposed.global_,
        }

    @property
    def _base(self) -> IPv4Address:
        """Where addresses of nodes begin."""
        ipam = self.menu.ipam.spec
        return ipam.node_ipv4_pool.network_address + int(ipam.node_ipv4_offset or 0)

    @cached_property
    def _block(self) -> IPv4Network:
        """The largest prefix among the addresses of nodes."""
        whole = self.menu.ipam.spec.node_ipv4_pool
        if self._base not in whole:
            return whole
        return min(summarize_address_range(self._base, whole.broadcast_address), key=lambda prefix: prefix.prefixlen)

    @cached_property
    def _halves(self) -> tuple[IPv4Network, IPv4Network] | None:
        """The block in two, one for servers and one for segments, where both have room."""
        length = self.menu.ipam.spec.node_ipv4_range_mask
        if self._block.prefixlen >= length:
            return None
        nodes, segments = self._block.subnets()
        room = len(self._racks) * addressing.block(max(1 + rack.cs + rack.ss for rack in self._racks), LEAST_SERVERS)
        fits = addressing.host_capacity(nodes) >= room
        return (nodes, segments) if fits and segments.prefixlen <= length and self._fits(segments) else None

    def _fits(self, segments: IPv4Network) -> bool:
        length = self.menu.ipam.spec.node_ipv4_range_mask
        return addressing.segment_capacity(segments, length) >= TORS * len(self._racks)

    @property
    def _segment(self) -> IPv4Network:
        return self._block if self._halves is None else self._halves[1]

    @cached_property
    def _node(self) -> _Fit:
        if self._halves is not None:
            return _Fit(prefix=self._halves[0])
        taken = {self._block, *(prefix for prefix in self._purposes.values() if prefix is not None)}
        prefix = free_prefix(PoolsSpec().node, taken)
        return _Fit(prefix=prefix, differs=f"addresses differ: {self._block} has no room for node0, now in {prefix}")

    @cached_property
    def _link(self) -> _Fit:
        """The prefix that starts with the links of spines and ToRs, if it is free and one."""
        taken = {self._block, self._node.prefix, *(each for each in self._purposes.values() if each is not None)}
        length = min(_LINK_LENGTH, 32 - (self._links() - 1).bit_length())
        prefix = IPv4Network((self._spec.spine_tor, length), strict=False)
        if not any(prefix.overlaps(other) for other in taken if isinstance(other, IPv4Network)):
            return _Fit(prefix=prefix)
        other = free_prefix(IPv4Network((0, length)), taken)
        return _Fit(prefix=other, differs=f"addresses differ: {prefix} is not free, so links are in {other}")

    def _links(self) -> int:
        """Return for how many addresses of links there must be room: every router has a block of them."""
        spines, tors = self.menu.inventory.spec.spec.spine, TORS * len(self._racks)
        return 2 * addressing.block(spines, LEAST_UPLINKS) * (tors + len(Tier) * spines)
