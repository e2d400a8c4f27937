"""What wires do to packets: delay, jitter, loss and rate, by the kernel's traffic control (tc(8)) and nftables.

With netem (tc-netem(8)) all of it is a queue of the sending interface. Where the kernel has none, the rate is tbf's
(tc-tbf(8)), and what is lost is dropped by nftables as it comes in at the other end, so that no sender is told; delay
and jitter cannot be had. What comes in from a guest is led through an interface of its own (ifb) to be queued there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from vdc.errors import BuildError, CommandError, HostError
from vdc.plan.resources import Resource
from vdc.plan.resources.network import Impairment, Nat
from vdc.shell import find, in_namespace, run

PROBES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "netem": ("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"),
        "tbf": ("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1mbit", "burst", "10kb", "latency", "1ms"),
        "ifb": ("ip", "link", "add", "probe0", "type", "ifb"),
        "nftables": ("nft", "add", "table", "inet", "probe"),
    }
)
"""What to try in a namespace that ends with the command, to learn whether the kernel has it."""

NO_NETEM: Final = "this host's kernel has no sch_netem"

_SECONDS: Final = 60.0
_QUEUE: Final = 50
"""Milliseconds of packets that wait for a slow wire; more are dropped."""
_BURST: Final = 10240
"""Bytes that tbf lets pass at once: at least the largest packet, and 10 ms of the rate."""
_DROPS: Final = 1_000_000
_SHOWN: Final = 3


def lacks(resources: Iterable[Resource], features: Callable[[str], bool] | None = None) -> Iterator[str]:
    """Yield what this host's kernel lacks for the impairments and the NAT of a plan, a sentence each.

    `features` tells whether the kernel has what a name in `PROBES` stands for; the host is asked only for what matters.
    """
    has = cache(features or has_feature)
    wires = [each for each in resources if isinstance(each, Impairment)]
    late = [each for each in wires if each.delay or each.jitter]
    if late and not has("netem"):
        shown = ", ".join(map(where, late[:_SHOWN])) + (f" and {len(late) - _SHOWN} more" if late[_SHOWN:] else "")
        yield f"delay and jitter {shown} cannot be had: {NO_NETEM}"
    wanted = {
        "nftables": any(isinstance(each, Nat) for each in resources),
        "ifb": any(each.incoming for each in wires),
    }
    if wires and not has("netem"):
        wanted["tbf"] = any(each.rate for each in wires)
        wanted["nftables"] |= any(each.loss for each in wires)
    yield from (f"the kernel has no {feature}" for feature in sorted(wanted) if wanted[feature] and not has(feature))


def where(impairment: Impairment) -> str:
    """Return the direction of a wire in words: `from spine0 to rack0-tor0`."""
    device = impairment.netns.partition(".")[2]
    return f"from {device} to {impairment.interface}" if device else f"at {impairment.interface}"


def has_feature(name: str) -> bool:
    """Return whether this host's kernel has what a name in `PROBES` stands for."""
    return run(["unshare", "--net", "--", *PROBES[name]], timeout=10.0, check=False).status == 0


def impose(impairments: Sequence[Impairment]) -> None:
    """Make the wires do what is asked, in place of what they did.

    Raises:
        HostError: that takes netem, which the kernel does not have.
        BuildError: naming the impairments.
    """
    netem = has_feature("netem")
    for each in impairments:
        if not netem and (each.delay or each.jitter):
            raise HostError(f"delay and jitter {where(each)} cannot be had: {NO_NETEM}")
    _lead_in(impairments)
    _batch(impairments, "tc", lambda each: ((each.netns, line) for line in queue_lines(each, netem=netem)))
    if not netem and find("nft"):  # else nothing was ever dropped
        _batch(impairments, "nft", drop_lines)
    _force("tc", [(each.netns, _unqueued(each)) for each in impairments if not queue_lines(each, netem=netem)])


def lift(impairments: Sequence[Impairment]) -> None:
    """Undo what `impose` did; a link that is gone already took everything with it."""
    if find("nft"):
        _batch(impairments, "nft", _undropped)
    _force("tc", [(each.netns, line) for each in impairments for line in (_unqueued(each), *_led_out(each))])
    _force("ip", [(each.netns, f"link del {queue_of(each)}") for each in impairments if each.incoming])


def queue_of(impairment: Impairment) -> str:
    """Return the interface that queues: itself, or for what comes in `ifb` and eight digits of SHA-256 of its name."""
    if not impairment.incoming:
        return impairment.interface
    return f"ifb{hashlib.sha256(impairment.interface.encode()).hexdigest()[:8]}"


def queue_lines(impairment: Impairment, *, netem: bool) -> tuple[str, ...]:
    """Return the commands for `tc -batch` in the namespace of the interface; none if nothing waits there."""
    if netem:
        options = "".join(_netem_options(impairment))
        return (f"qdisc replace dev {queue_of(impairment)} root netem{options}",) if options else ()
    if not impairment.rate:
        return ()
    burst = max(_BURST, impairment.rate // 8 // 100)
    tbf = f"tbf rate {impairment.rate}bit burst {burst} latency {_QUEUE}ms"
    return (f"qdisc replace dev {queue_of(impairment)} root {tbf}",)


def _netem_options(impairment: Impairment) -> Iterator[str]:
    if impairment.delay or impairment.jitter:
        yield f" delay {_micro(impairment.delay)}us"
    if impairment.jitter:
        yield f" {_micro(impairment.jitter)}us"
    if impairment.loss:
        yield f" loss {100 * impairment.loss:.6g}%"
    if impairment.rate:
        yield f" rate {impairment.rate}bit"
    if impairment.delay or impairment.jitter or impairment.rate:
        # what is on the wire waits in the queue too: as many small packets as 10 Gbit/s bring in the time
        seconds = impairment.delay + impairment.jitter + _QUEUE / 1000
        yield f" limit {max(1000, round((impairment.rate or 10**10) / 8 / 1000 * seconds))}"


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class _DropPoint:
    """Where packets are lost: the namespace, and in nftables the family, the chain and what the rule asks first."""

    netns: str
    table: str
    chain: str
    match: str = ""


def _drop_point(impairment: Impairment) -> _DropPoint:
    if impairment.incoming:
        # what an ifb gives back passes the hook of its device no more, but that of the bridge behind
        table, match = f"bridge {_table(impairment.interface)}", f'iifname "{impairment.interface}" '
        return _DropPoint(netns=impairment.netns, table=table, chain="hook prerouting", match=match)
    netns, device, hook = impairment.netns, impairment.interface, "egress"
    if impairment.far_netns and impairment.far:
        netns, device, hook = impairment.far_netns, impairment.far, "ingress"
    return _DropPoint(netns=netns, table=f"netdev {_table(device)}", chain=f'hook {hook} device "{device}"')


def _table(device: str) -> str:
    return f"vdc-{device}"


def drop_lines(impairment: Impairment) -> Iterator[tuple[str, str]]:
    """Yield the commands for `nft -f` that replace what was dropped before, each with its namespace."""
    yield from _undropped(impairment)
    if not impairment.loss:
        return
    point, drops = _drop_point(impairment), round(impairment.loss * _DROPS)
    yield point.netns, f"add table {point.table}"
    yield point.netns, f"add chain {point.table} loss {{ type filter {point.chain} priority 0; }}"
    yield point.netns, f"add rule {point.table} loss {point.match}numgen random mod {_DROPS} < {drops} drop"


def _undropped(impairment: Impairment) -> Iterator[tuple[str, str]]:
    point = _drop_point(impairment)
    # nft 1.0.6 has no `destroy`: what has just been added can be deleted
    yield point.netns, f"add table {point.table}"
    yield point.netns, f"delete table {point.table}"


def _lead_in(impairments: Sequence[Impairment]) -> None:
    """Lead what comes in from guests through interfaces of their own, up to now unknown to the namespace."""
    for each in impairments:
        if each.incoming and not _exists(each.netns, queue_of(each)):
            name = queue_of(each)
            _run("ip", each.netns, [f"link add {name} type ifb", f"link set {name} up"], each.id)
            redirect = f"u32 match u32 0 0 action mirred egress redirect dev {name}"
            add = f"filter add dev {each.interface} parent ffff: protocol all {redirect}"
            _run("tc", each.netns, [f"qdisc add dev {each.interface} ingress", add], each.id)


def _led_out(impairment: Impairment) -> Iterator[str]:
    if impairment.incoming:
        yield f"qdisc del dev {impairment.interface} ingress"


def _unqueued(impairment: Impairment) -> str:
    return f"qdisc del dev {queue_of(impairment)} root"


def _exists(netns: str, interface: str) -> bool:
    asked = in_namespace(netns, ["ip", "link", "show", "dev", interface])
    return run(asked, timeout=_SECONDS, check=False).status == 0


def _batch(
    impairments: Sequence[Impairment], tool: str, lines: Callable[[Impairment], Iterable[tuple[str, str]]]
) -> None:
    """Run all commands of a tool, one process for each namespace."""
    by_namespace: dict[str, list[str]] = {}
    for each in impairments:
        for netns, line in lines(each):
            by_namespace.setdefault(netns, []).append(line)
    for netns, of_namespace in by_namespace.items():
        _run(tool, netns, of_namespace, ", ".join(each.id for each in impairments if netns in _touched(each)))


def _touched(impairment: Impairment) -> tuple[str | None, ...]:
    return impairment.netns, impairment.far_netns


def _run(tool: str, netns: str, lines: Sequence[str], what: str) -> None:
    argv = ["nft", "-f", "-"] if tool == "nft" else [tool, "-batch", "-"]
    try:
        run(in_namespace(netns, argv), stdin="".join(f"{line}\n" for line in lines), timeout=_SECONDS)
    except CommandError as error:
        raise BuildError(what, error.output.strip()) from error


def _force(tool: str, lines: Iterable[tuple[str, str]]) -> None:
    """Run commands that delete what may not be there."""
    by_namespace: dict[str, list[str]] = {}
    for netns, line in lines:
        by_namespace.setdefault(netns, []).append(line)
    for netns, of_namespace in by_namespace.items():
        argv = in_namespace(netns, [tool, "-force", "-batch", "-"])
        run(argv, stdin="".join(f"{line}\n" for line in of_namespace), timeout=_SECONDS, check=False)
