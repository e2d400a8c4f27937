"""A plan as a page for people, as readable for a thousand racks as for two. Pure: data in, text out."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Final

from vdc.cli.render import table
from vdc.inventory import known_addresses
from vdc.model.ip import Interface
from vdc.model.texts import asns_text, count_text, hardware_text, size_text
from vdc.model.topology import External, Router, Server, Topology

if TYPE_CHECKING:
    from vdc.plan.plan import Plan

DEVICES: Final = 100
"""The most devices that are listed one by one, with all resources; of more, equal racks are told together."""

_NAMES_WIDTH: Final = 90
_PAGE: Final = 110

Row = tuple[str, ...]


def plan_text(plan: Plan) -> str:
    """Return a plan as a page: what it needs, what there will be, each device, every resource by kind."""
    topology = plan.topology
    few = len(topology.routers) + len(topology.servers) + len(topology.externals) <= DEVICES
    kinds = Counter(item.id.partition(":")[0] for item in plan.resources)
    totals = (
        f"{plan.instance}: topology {topology.name}, release {topology.release}, {_family(topology)}\n"
        f"needs {size_text(plan.memory)} memory, {count_text(plan.vcpus, 'vCPU')}, {size_text(plan.disk)} disk "
        f"({plan.context.accelerator})\n"
        f"makes {_counts(topology)}, {count_text(kinds['namespace'], 'namespace')}; "
        f"{count_text(len(plan.resources), 'resource')}, digest {plan.digest[:12]}"
    )
    if few:
        devices = table(("device", "rack", "kind", "address", "ASN", "hardware"), list(_devices(topology)))
        return "\n\n".join((totals, devices, table(("resource", "names"), list(_resources(plan, kinds)))))
    tiers = table(("devices", "kind", "addresses", "ASN"), list(_tiers(topology)))
    racks = table(("racks", "ToRs", "servers", "each", "addresses", "ASN"), list(_racks(topology)))
    counted = textwrap.fill(", ".join(f"{kind} x{count:,}" for kind, count in kinds.items()), width=_PAGE)
    return "\n\n".join((totals, tiers, racks, counted, "`--json` prints every device and resource by name"))


def _family(topology: Topology) -> str:
    return {"ipv4": "IPv4", "ipv6": "IPv6", "dual": "IPv4 and IPv6"}[topology.family]


def _counts(topology: Topology) -> str:
    racks = {each.rack for each in topology.routers} | {each.rack for each in topology.servers}
    counts = (
        (len(topology.routers), "router"),
        (len(topology.links), "link"),
        (len(racks - {None}), "rack"),
        (len(topology.servers), "server"),
        (len(topology.externals), "client"),
        (len(topology.segments), "network"),
    )
    return ", ".join(count_text(number, what) for number, what in counts)


def _devices(topology: Topology) -> Iterator[Row]:
    for router in topology.routers:
        yield router.name, _number(router.rack), router.tier.value, _known(router.loopbacks), str(router.asn), ""
    for server in topology.servers:
        asn = str(server.asn) if server.sessions else ""
        where = _known(known_addresses(server))
        yield server.name, _number(server.rack), f"server ({server.role})", where, asn, hardware_text(server)
    for client in topology.externals:
        yield client.name, "", "client", _known(client.addresses), "", ""


def _tiers(topology: Topology) -> Iterator[Row]:
    """Yield a row for all routers of a tier that stand in no rack, and for the servers and clients outside racks."""
    outside = [router for router in topology.routers if router.rack is None]
    for tier, group in groupby(outside, key=lambda router: router.tier):
        routers = list(group)
        yield _span(routers), tier.value, _first_last(routers), asns_text([router.asn for router in routers])
    for server in topology.servers:
        if server.rack is None:
            yield server.name, f"server ({server.role})", hardware_text(server), ""
    if topology.externals:
        yield _span(topology.externals), "client", _known(topology.externals[0].addresses), ""


def _racks(topology: Topology) -> Iterator[Row]:
    """Yield a row for each run of racks that have as many ToRs, and the same servers."""
    tors: dict[int, list[Router]] = {}
    servers: dict[int, list[Server]] = {}
    for router in topology.routers:
        if router.rack is not None:
            tors.setdefault(router.rack, []).append(router)
    for server in topology.servers:
        if server.rack is not None:
            servers.setdefault(server.rack, []).append(server)
    numbers = sorted(tors.keys() | servers.keys())
    shapes = {number: (len(tors.get(number, ())), _shape(servers.get(number, ()))) for number in numbers}
    for (count, shape), run in groupby(numbers, key=shapes.__getitem__):
        racks = list(run)
        name = f"rack{racks[0]}" if len(racks) == 1 else f"rack{racks[0]} … rack{racks[-1]} ({len(racks):,})"
        there = [server for rack in racks for server in servers.get(rack, ())]
        yield (
            name,
            str(count),
            ", ".join(f"{number} {role}" for (role, _), number in shape) or "none",
            "; ".join(dict.fromkeys(hardware for (_, hardware), _ in shape)),
            _first_last(there) if there else "",
            asns_text([there[0].asn, there[-1].asn]).replace("–", " … ") if there else "",
        )


def _shape(servers: Iterable[Server]) -> tuple[tuple[tuple[str, str], int], ...]:
    return tuple(Counter((server.role, hardware_text(server)) for server in servers).items())


def _resources(plan: Plan, kinds: Iterable[str]) -> Iterator[Row]:
    names: dict[str, list[str]] = {kind: [] for kind in kinds}
    for item in plan.resources:
        kind, _, name = item.id.partition(":")
        names[kind].append(name or "-")
    for kind, every in names.items():
        # names have dashes, at which a line must not break
        lines = textwrap.wrap(" ".join(every), width=_NAMES_WIDTH, break_on_hyphens=False)
        for at, line in enumerate(lines):
            yield (f"{kind} x{len(every)}" if at == 0 else "", line)


def _known(addresses: Iterable[Interface]) -> str:
    return " ".join(str(address.ip) for address in addresses)


def _span(devices: Sequence[Router | External]) -> str:
    first, last = devices[0].name, devices[-1].name
    return first if len(devices) == 1 else f"{first} … {last} ({len(devices):,})"


def _first_last(devices: Sequence[Router | Server]) -> str:
    """Return the lowest and the highest address of devices, of each family."""
    ends = []
    every = [known_addresses(device) if isinstance(device, Server) else device.loopbacks for device in devices]
    for family in range(max(map(len, every))):
        addresses = sorted(each[family].ip for each in every if family < len(each))
        ends.append(str(addresses[0]) if len(addresses) == 1 else f"{addresses[0]} … {addresses[-1]}")
    return " ".join(ends)


def _number(rack: int | None) -> str:
    return "" if rack is None else str(rack)
