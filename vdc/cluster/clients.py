"""The client outside from which a cluster is asked: over the whole fabric, as its users are."""

from __future__ import annotations

from vdc.datacenter.api import DataCenter, Spawner
from vdc.errors import HostError
from vdc.model.topology import SegmentKind, Topology


def check_reachable(topology: Topology) -> None:
    """Pass if the clients outside reach servers. Raises HostError."""
    if topology.routing.exposed:
        raise HostError(
            f"{topology.name}: clients outside reach no server: borders learn nothing but exposed prefixes",
            hint="a topology without `routing: {exposed: true}` can have a cluster",
        )
    if not {client.name for client in topology.externals} - _beside(topology):
        raise _no_client(topology)


def client_of(dc: DataCenter) -> Spawner:
    """Return the first client outside that the fabric leads to. Raises HostError."""
    check_reachable(dc.topology)
    beside = _beside(dc.topology)
    for name, client in dc.externals.items():
        if name not in beside:
            return client
    raise _no_client(dc.topology)


def _beside(topology: Topology) -> frozenset[str]:
    """Return the clients on networks that no border is on for its clients' sake."""
    flat = {segment.name for segment in topology.segments if segment.kind is SegmentKind.FLAT}
    return frozenset(client.name for client in topology.externals if client.segment in flat)


def _no_client(topology: Topology) -> HostError:
    return HostError(
        f"{topology.name}: no external client, so nowhere to ask a cluster from",
        hint="give the topology `external: {clients: 1}`",
    )
