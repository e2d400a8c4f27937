"""All that is known of a device, a link or a network, as lines: what a picture shows when it is pointed at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vdc.model.texts import count_text, hardware_text, impairment_text, size_text
from vdc.model.topology import End, External, Impairment, Internet, Link, Router, Segment, Server


def router_details(router: Router) -> str:
    """Return what a router is, announces, and is connected to."""
    return "\n".join(
        (
            f"{router.name}: {router.tier}{_place(router.pod, 'pod')}{_place(router.rack, 'rack')}",
            f"AS {router.asn}, router ID {router.router_id}",
            *_listed("loopback", router.loopbacks),
            *_listed("announces", router.originates),
            *_listed("aggregates", router.aggregates),
            *(f"{end.interface}: {_ends(end)}" for end in router.interfaces),
        )
    )


def server_details(server: Server) -> str:
    """Return what a server is, has, announces, and is connected to."""
    return "\n".join(
        (
            f"{server.name}: server, role {server.role}{_place(server.rack, 'rack')}",
            *((f"AS {server.asn}",) if server.sessions else ()),
            *_listed("node", server.nodes),
            f"{hardware_text(server)}, data disk {size_text(server.data)}",
            *(f"volume {each.name}: {each.kind}, {each.bus}" for each in server.hardware.volumes),
            *_listed("announces", (*server.announces, *server.pods)),
            *(
                f"{port.interface} ({port.mac}) on {port.segment}: {_joined(port.addresses) or 'no address'}"
                for port in server.ports
            ),
        )
    )


def client_details(client: External) -> str:
    """Return where a client is and how it routes."""
    return "\n".join(
        (
            f"{client.name}: client on {client.segment}",
            f"{client.interface}: {_joined(client.addresses)}",
            *(f"{end.interface}: {_ends(end)}" for end in client.further),
            *_listed("gateways", client.gateways),
        )
    )


def link_details(link: Link) -> str:
    """Return both ends of a link and what is particular about it."""
    return "\n".join(
        (
            f"{link.a.device} – {link.b.device}",
            *(f"{end.device} {end.interface}: {_ends(end)}" for end in (link.a, link.b)),
            f"mtu {link.mtu}",
            *(
                f"to {end.device}: {impairment_text(what)}"
                for end, what in ((link.b, link.to_b), (link.a, link.to_a))
                if what is not None
            ),
        )
    )


def segment_details(segment: Segment) -> str:
    """Return what a network is and how much is on it."""
    return "\n".join(
        (
            f"{segment.name}: {segment.kind} network",
            *_listed("prefix", segment.prefixes),
            f"mtu {segment.mtu}, {count_text(len(segment.ports), 'port')}",
        )
    )


def internet_details(internet: Internet) -> str:
    """Return who reaches the internet, and over what."""
    return "\n".join(
        (
            f"internet, by NAT over {internet.border}",
            f"{internet.border} {internet.interface}: {internet.address}, gateway {internet.gateway.ip}",
            *_listed("for", internet.sources),
        )
    )


def odd_text(mtu: int, usual: int, to_a: Impairment | None, to_b: Impairment | None) -> str:
    """Return what is not standard about a wire, as one line; empty if all is."""
    parts = [f"mtu {mtu}"] if mtu != usual else []
    if to_a == to_b:
        parts += [impairment_text(to_a)] if to_a is not None else []
    else:
        parts += [f"{arrow} {impairment_text(what)}" for arrow, what in (("↓", to_b), ("↑", to_a)) if what is not None]
    return ", ".join(part for part in parts if part)


def _ends(end: End) -> str:
    link_local = (str(end.link_local),) if end.link_local is not None else ()
    return ", ".join((*map(str, end.addresses), *link_local)) or "no address"


def _place(number: int | None, what: str) -> str:
    return "" if number is None else f", {what} {number}"


def _listed(what: str, values: Iterable[object]) -> Iterator[str]:
    if text := _joined(values):
        yield f"{what} {text}"


def _joined(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
