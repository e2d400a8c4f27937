"""Whom to strike: devices picked from the data centre, or from what the cluster says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vdc.cluster.api import Cluster
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.model.topology import Tier
from vdc.wait import NotYet, wait_for

_ELECTION_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """The devices of one rack, by name; `routers` are its ToRs."""

    routers: tuple[str, ...]
    servers: tuple[str, ...]

    @property
    def devices(self) -> tuple[str, ...]:
        """All of them, ToRs first."""
        return (*self.routers, *self.servers)


def rack(dc: DataCenter, number: int) -> Rack:
    """Return what stands in a rack; raises KeyError naming the racks there are."""
    if number not in dc.topology.racks:
        raise KeyError(f"no rack {number}; there are {', '.join(map(str, dc.topology.racks))}")
    return Rack(
        routers=tuple(router.name for router in dc.topology.routers if router.rack == number),
        servers=tuple(server.name for server in dc.topology.servers if server.rack == number),
    )


def rack_of(dc: DataCenter, server: str) -> int:
    """Return the number of the rack a server stands in; raises KeyError if it stands in none."""
    found = dc.topology.server(server).rack
    if found is None:
        raise KeyError(f"{server} stands in no rack")
    return found


def tors(dc: DataCenter, index: int) -> tuple[str, ...]:
    """Return the ToR with this index of every rack; raises KeyError if a rack has none."""
    found = tuple(router.name for router in dc.topology.tier(Tier.TOR) if router.index == index)
    if len(found) != len(dc.topology.racks):
        raise KeyError(f"not every rack has a ToR {index}")
    return found


def spine(dc: DataCenter, index: int) -> str:
    """Return a spine; raises KeyError if there is none with this index."""
    for router in dc.topology.tier(Tier.SPINE):
        if router.index == index:
            return router.name
    raise KeyError(f"no spine {index}")


def uplink(dc: DataCenter, router: str) -> tuple[str, str]:
    """Return a router and the interface of the first cable that joins it to another; raises KeyError: it has none."""
    for link in dc.topology.links:
        for end in (link.a, link.b):
            if end.device == router:
                return router, end.interface
    raise KeyError(f"no cable of {router}")


def planned_members(dc: DataCenter, cluster: Cluster) -> frozenset[str]:
    """Return the servers that should be members of the cluster: of a Kubernetes its control planes, or else all."""
    kubernetes = dc.topology.kubernetes
    if kubernetes is not None and isinstance(cluster, KubernetesCluster):
        return frozenset(kubernetes.control_planes)
    return frozenset(server.name for server in dc.topology.members)


def leader(dc: DataCenter, cluster: Cluster) -> str:
    """Wait until exactly one healthy member says that it leads, and return its server; raises WaitTimeout."""
    return _wait(dc, lambda: _leader(cluster), what="a leader")


def follower(dc: DataCenter, cluster: Cluster) -> str:
    """Wait until there is a leader and a healthy server that does not lead, and return the first of those.

    Raises WaitTimeout.
    """
    return _wait(dc, lambda: _follower(cluster), what="a healthy follower")


def wait_other_leader(dc: DataCenter, cluster: Cluster, *, than: str) -> str:
    """Wait until a server other than `than` leads, and return it; raises WaitTimeout."""

    def check() -> str:
        found = _leader(cluster)
        if found == than:
            raise NotYet(f"{than} still leads")
        return found

    return _wait(dc, check, what=f"a leader other than {than}")


def _leader(cluster: Cluster) -> str:
    leaders = [member.server for member in cluster.state() if member.leader and member.healthy]
    if len(leaders) != 1:
        raise NotYet(f"{len(leaders)} leaders: {', '.join(leaders) or 'none'}")
    return leaders[0]


def _follower(cluster: Cluster) -> str:
    states = cluster.state()
    # Without a leader every member is "not leading", also the one that leads a moment later.
    if not any(member.healthy and member.leader for member in states):
        raise NotYet("no leader, so no follower either")
    for member in states:
        if member.healthy and not member.leader:
            return member.server
    raise NotYet("no healthy follower")


def _wait(dc: DataCenter, check: Callable[[], str], *, what: str) -> str:
    return wait_for(check, what=what, timeout=deadline(dc, _ELECTION_SECONDS), interval=0.5)
