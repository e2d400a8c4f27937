"""What BIRD is told: the configuration of routers and of servers, to the semantics of `vdc.model.routing`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vdc.model.announcing import NO_CHANGE, Change, own
from vdc.model.ip import Address, Interface, Prefix
from vdc.model.topology import Router, Server, Session, Topology
from vdc.plan.context import PlanContext
from vdc.plan.render import render
from vdc.plan.timers import between_routers, to_servers

SERVICE_FILES: Final = "/run/vdc-agent*/services.conf"
"""The file that a node's agent writes for its BIRD, static routes: gone after a boot, as is what ran there. With a
pattern, BIRD starts also where the folder is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One IP `version` of a BIRD: what it announces of its own, and the address that its packets come from.

    What is in `unreachable` prefixes is refused by the kernel unless there is a longer route. Addresses in `services`
    are of a cluster's services: servers announce them as they come and go. For what is in `virtual` prefixes a server's
    kernel has a route only so that connections of its own begin at all; before they leave, they are sent elsewhere.
    What is `claimed` is somebody else's: it is announced, and packets to it are lost.
    """

    version: int
    originated: tuple[Prefix, ...]
    source: Address | None
    unreachable: tuple[Prefix, ...] = ()
    services: tuple[Prefix, ...] = ()
    virtual: tuple[Prefix, ...] = ()
    claimed: tuple[Prefix, ...] = ()

    @property
    def single_services(self) -> tuple[str, ...]:
        """The addresses of services, each by itself, as patterns of BIRD."""
        return tuple(map(_each_address, self.services))

    @property
    def name(self) -> str:
        """What BIRD calls it."""
        return f"ipv{self.version}"


def router_config(router: Router, topology: Topology, context: PlanContext, change: Change = NO_CHANGE) -> str:
    """Return the bird.conf of a router, which may announce more or less than it should."""
    routing = topology.routing
    fabric = [session for session in router.sessions if not session.peer_is_server]
    servers = [session for session in router.sessions if session.peer_is_server]
    between, towards = between_routers(routing, len(topology.links)), to_servers(routing, context.slowness)
    internet = topology.internet
    return render(
        "bird-router.conf.j2",
        router=router,
        routing=routing,
        log=context.bird_file(router.name, "log"),
        channels=_router_channels(router, topology, change),
        interfaces=["lo", *_originating(router)],
        default_via=internet.gateway.ip if internet and internet.border == router.name else None,
        exposed=any(session.exposed for session in fabric),
        unnumbered=any(session.peer.version == 6 for session in fabric),
        fabric=fabric,
        fabric_timers=between,
        servers=[(session, _accepted(topology.server(session.peer_device), topology)) for session in servers],
        server_timers=towards,
        internal=any(session.internal for session in servers),
        refusing_asn=_shared_asn(fabric),
        bfd=bool((fabric and between.bfd_interval) or (servers and towards.bfd_interval)),
    )


def server_config(server: Server, topology: Topology, context: PlanContext) -> str:
    """Return the bird.conf of a server."""
    own = _own(server)
    services = announced_services(server, topology)
    virtual = topology.kubernetes.services if topology.kubernetes and server.member else ()
    return render(
        "bird-server.conf.j2",
        server=server,
        routing=topology.routing,
        channels=[
            Channel(
                version=version,
                originated=own[version],
                source=_first(server.nodes, version),
                unreachable=_of(server.pods, version),
                services=_of(services, version),
                virtual=_of(virtual, version),
            )
            for version in topology.versions
        ],
        service_files=SERVICE_FILES if services else None,
        timers=to_servers(topology.routing, context.slowness),
    )


def announced_services(server: Server, topology: Topology) -> tuple[Prefix, ...]:
    """Return the pools of which a node of the cluster may announce single addresses."""
    return topology.kubernetes.load_balancers if topology.kubernetes and server.member else ()


def _router_channels(router: Router, topology: Topology, change: Change) -> list[Channel]:
    announced = (*(prefix for prefix in own(router) if prefix not in change.less), *change.more)
    return [
        Channel(
            version=version,
            originated=_of(announced, version),
            source=_first(router.loopbacks, version),
            unreachable=_of(router.aggregates, version),
            claimed=_of(change.more, version),
        )
        for version in topology.versions
    ]


def _originating(router: Router) -> list[str]:
    """Return the interfaces whose prefixes a router announces, as long as they have a carrier."""
    announced = set(router.originates)
    return [end.interface for end in router.interfaces if not announced.isdisjoint(a.network for a in end.addresses)]


def _shared_asn(sessions: Sequence[Session]) -> int | None:
    """Return the AS number of all these neighbours, if they share one: they refuse every path with it in it."""
    found = {session.peer_asn for session in sessions}
    return found.pop() if len(found) == 1 < len(sessions) else None


def _own(server: Server) -> Mapping[int, tuple[Prefix, ...]]:
    """Return all that a server may announce, by IP version."""
    prefixes = (*(address.network for address in (*server.nodes, *server.announces)), *server.pods)
    return {version: _of(prefixes, version) for version in (4, 6)}


def _accepted(server: Server, topology: Topology) -> Mapping[int, tuple[str, ...]]:
    """Return what a ToR accepts from a server, by IP version, as patterns of BIRD."""
    services, own = announced_services(server, topology), _own(server)
    return {
        version: (
            *map(str, own[version]),
            *map(_each_address, _of(services, version)),
        )
        for version in (4, 6)
    }


def _each_address(pool: Prefix) -> str:
    """Return what matches the addresses of a pool in BIRD, and no prefix that has several (User's Guide, 5.2)."""
    return f"{pool}{{{pool.max_prefixlen},{pool.max_prefixlen}}}"


def _of(prefixes: Iterable[Prefix], version: int) -> tuple[Prefix, ...]:
    return tuple(prefix for prefix in prefixes if prefix.version == version)


def _first(addresses: Iterable[Interface], version: int) -> Address | None:
    return next((address.ip for address in addresses if address.version == version), None)
