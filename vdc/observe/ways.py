"""Which way packets take between two devices, asked of the kernels on it: ip-route(8), `route get`.

Where a table has several ways of equal cost the kernel chooses by a hash of addresses and ports (ip-sysctl,
fib_multipath_hash_policy 1), whose seed is known to nobody else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final

from vdc.datacenter.api import DataCenter, Runner
from vdc.model.ip import Address
from vdc.model.topology import Topology
from vdc.observe.flows import Flow, Hop

_LONGEST: Final = 8  # hops
_FAILED: Final = re.compile(r"Command failed -:(\d+)")


@dataclass(slots=True, kw_only=True)
class _Walk:
    """A datagram from `port` on its way: `device` has it, from `interface`, or has made it."""

    flow: Flow
    port: int
    device: str
    interface: str = ""
    hops: list[Hop] = field(default_factory=list)
    over: bool = False


def ways(
    dc: DataCenter, flows: Sequence[Flow], sources: Sequence[int], target: int
) -> Mapping[Flow, Mapping[int, tuple[Hop, ...]]]:
    """Return for each flow and each of the ports `sources` the hops that datagrams to the port `target` take.

    A way ends where a device has no route, or cannot be asked.
    """
    walks = [_Walk(flow=flow, port=port, device=flow.source) for flow in flows for port in sources]
    beyond = _Beyond.of(dc.topology)
    for _ in range(_LONGEST):
        under_way: dict[str, list[_Walk]] = {}
        for walk in (each for each in walks if not each.over):
            under_way.setdefault(walk.device, []).append(walk)
        for device, mine in under_way.items():
            _step(_runner(dc, device), mine, target, beyond)
    found: dict[Flow, dict[int, tuple[Hop, ...]]] = {flow: {} for flow in flows}
    for walk in walks:
        found[walk.flow][walk.port] = tuple(walk.hops)
    return found


def _runner(dc: DataCenter, device: str) -> Runner | None:
    return dc.routers.get(device) or dc.externals.get(device)


def _step(device: Runner | None, walks: Sequence[_Walk], target: int, beyond: _Beyond) -> None:
    answers = _asked(device, [_question(walk, target) for walk in walks]) if device is not None else {}
    for at, walk in enumerate(walks):
        answer = answers.get(at, {})
        out = answer.get("dev")
        if out is None or answer.get("type") == "local":
            walk.over = True
            continue
        walk.hops.append((walk.device, out))
        gateway = answer.get("gateway") or answer.get("via", {}).get("host") or str(walk.flow.far)
        following = beyond.next(walk.device, out, ip_address(gateway))
        if following is None:
            walk.over = True
        else:
            walk.device, walk.interface = following


def _question(walk: _Walk, target: int) -> str:
    arrived = f" iif {walk.interface}" if walk.interface else ""
    ports = f"ipproto udp sport {walk.port} dport {target}"
    return f"route get {walk.flow.far} from {walk.flow.near}{arrived} {ports}"


def _asked(device: Runner, questions: Sequence[str]) -> Mapping[int, Mapping[str, Any]]:
    """Return the answers of a kernel by the place of the question; it may have none."""
    done = device.run(["ip", "-json", "-force", "-batch", "-"], stdin="\n".join(questions) + "\n", check=False)
    failed = {int(line) - 1 for line in _FAILED.findall(done.stderr)}
    answered = (at for at in range(len(questions)) if at not in failed)
    return {at: json.loads(line)[0] for at, line in zip(answered, filter(None, done.stdout.splitlines()), strict=False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beyond:
    """Who is at the other end of a cable, or on a segment has an address."""

    cables: Mapping[Hop, Hop]
    owners: Mapping[Address, Hop]

    @classmethod
    def of(cls, topology: Topology) -> _Beyond:
        return cls(cables=dict(_cables(topology)), owners=dict(_owners(topology)))

    def next(self, device: str, out: str, gateway: Address) -> Hop | None:
        return self.cables.get((device, out)) or self.owners.get(gateway)


def _cables(topology: Topology) -> Iterator[tuple[Hop, Hop]]:
    for link in topology.links:
        a, b = (link.a.device, link.a.interface), (link.b.device, link.b.interface)
        yield a, b
        yield b, a


def _owners(topology: Topology) -> Iterator[tuple[Address, Hop]]:
    for segment in topology.segments:
        for end in segment.ports:
            for address in end.addresses:
                yield address.ip, (end.device, end.interface)
