"""Fabrics and floors of data-centre size that `vdc bench` measures with. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from vdc.model.expand import expand
from vdc.model.load import parse
from vdc.model.topology import Topology
from vdc.plan.plan import Plan
from vdc.plan.resources.network import Loopback, Namespace, Plug, Veth

SIZES: Final = ((4, 32), (8, 128), (16, 256))
"""Spines and ToRs."""

MOONSHOT: Final = (16, 1000)

PATIENCE: Final = 240
"""Seconds of hold time in the moonshot: with 500 BIRDs on a core, keepalives come later than the usual time allows."""

_CLOS: Final = """\
name: clos
fabric: {{borders: 0, spines: {spines}, tors: 1, mtu: 1500}}
racks: [{{count: {tors}}}]
external: {{clients: 0}}
routing: {{hold: {hold}s, bfd: {{enabled: {bfd}}}}}
pools: {{link: 10.32.0.0/13, loopback: 10.1.0.0/20, segment: 10.40.0.0/13}}
"""

_RACKS: Final = """\
name: racks
fabric: {{borders: 2, spines: 4, tors: 2, mtu: 1500}}
racks: [{{count: {racks}, servers: {{cs: 18, ss: 2}}}}]
roles: {{cs: {{memory: 1GiB}}, ss: {{memory: 1GiB}}}}
pools: {{link: 10.32.0.0/13, loopback: 10.1.0.0/19, segment: 10.40.0.0/13, node: 10.64.0.0/14}}
"""


def clos(spines: int, tors: int, *, bfd: bool = False, hold: int = 9) -> Topology:
    """Return a fabric of so many spines and racks, each of one ToR, without servers; `hold` is in seconds."""
    text = _CLOS.format(spines=spines, tors=tors, bfd=str(bfd).lower(), hold=hold)
    return expand(parse(text, file="clos.yml"))


def racks(count: int) -> str:
    """Return a topology file of racks with 20 servers each."""
    return _RACKS.format(racks=count)


def bare_script(plan: Plan) -> Iterator[tuple[Sequence[str], str]]:
    """Yield the calls of `ip`, with what each reads, that wire a plan as a plain script would."""
    own = [each.name for each in plan.resources if isinstance(each, Namespace)]
    veths = [each for each in plan.resources if isinstance(each, Veth)]
    yield ["ip", "-batch", "-"], "".join(f"netns add {name}\n" for name in own)
    yield ["ip", "-batch", "-"], "".join(map(_pair, veths))
    lines = {name: ["link set lo up"] for name in own}
    for loopback in (each for each in plan.resources if isinstance(each, Loopback)):
        lines[loopback.netns] += [f"addr add {address} dev lo" for address in loopback.addresses]
    for plug in (end for veth in veths for end in (veth.a, veth.b)):
        lines[plug.netns] += [f"addr add {address} dev {plug.name}" for address in plug.addresses]
        lines[plug.netns].append(f"link set {plug.name} up")
    for name, batch in lines.items():
        yield ["ip", "-n", name, "-batch", "-"], "\n".join(batch) + "\n"


def _pair(veth: Veth) -> str:
    return f"link add {_end(veth.a)} type veth peer {_end(veth.b)}\n"


def _end(plug: Plug) -> str:
    mac = f" address {plug.mac}" if plug.mac else ""
    return f"name {plug.name} netns {plug.netns} mtu {plug.mtu}{mac}"
