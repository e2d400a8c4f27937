"""How long the checkers take over the history of a long run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from vdc.cli.bench.figures import Figure
from vdc.history import Event
from vdc.observe.availability import availability, recovered_within, total_outage
from vdc.observe.checkers import longest_outage, no_write_lost
from vdc.observe.consoles import console_clean
from vdc.observe.linearizable import linearizable_register
from vdc.observe.ops import Operation, Outcome
from vdc.observe.setfull import SetRead, set_full
from vdc.observe.steadiness import log_patterns, no_duplicate
from vdc.observe.verdict import Kind, Verdict

MOST_SECONDS: Final = 5.0
"""What a checker may take for `COUNT` events."""

COUNT: Final = 1_000_000

_PERIOD = 0.01  # seconds between samples
_OUTAGE = (0.5, 0.501)  # of the time
_SMALL = 100  # times fewer events for what searches all orders: larger histories are for `set_full`
_KEYS = 10  # of registers
_READS = 20  # of the whole set


def judged(count: int = COUNT) -> Iterator[Figure]:
    """Yield how many seconds of this process's CPU each checker takes for `count` events."""
    for name, verdict in _judges(count).items():
        began = time.process_time()
        said = verdict()
        seconds = time.process_time() - began
        assert said.kind is Kind.VALID, said
        events = count // _SMALL if name == linearizable_register.__name__ else count
        yield Figure(what=f"{name} of {events:,} events".replace(",", " "), ours=seconds, most=MOST_SECONDS)


def _judges(count: int) -> Mapping[str, Callable[[], Verdict]]:
    samples = [_sample(number, count) for number in range(count)]
    end = count * _PERIOD
    held = {"a": {sample.key: str(sample.value) for sample in samples if sample.op == "write" and sample.ok}}
    registers = [_registered(number, count // _SMALL) for number in range(count // _SMALL)]
    adds = [sample for sample in samples if sample.op == "write" and sample.ok]
    values = [str(add.value) for add in adds]
    reads = [_whole(part, adds, values) for part in range(1, _READS + 1)]
    lines = [Event(time=float(n), kind="console", source="s", data={"line": f"[{n}.0] eth0: up"}) for n in range(count)]
    return MappingProxyType(
        {
            "longest_outage": lambda: longest_outage(samples, budget=end),
            "total_outage": lambda: total_outage(samples, budget=end),
            "availability": lambda: availability(samples, least_share=0.9),
            "recovered_within": lambda: recovered_within(samples, since=end / 2, budget=end, end=end),
            "no_write_lost": lambda: no_write_lost(samples, held),
            "linearizable_register": lambda: linearizable_register(registers),
            "set_full": lambda: set_full(adds, reads),
            "no_duplicate": lambda: no_duplicate(range(count)),
            "console_clean": lambda: console_clean(lines),
            "log_patterns": lambda: log_patterns((event.data["line"] for event in lines), forbidden=["error", "panic"]),
        }
    )


def _sample(number: int, count: int) -> Operation:
    """Return a sample as etcd's probe takes them: a write and a read in turn, through one of three members."""
    start, is_write = number * _PERIOD, number % 2 == 0
    down = _OUTAGE[0] * count <= number < _OUTAGE[1] * count
    key = str(number // 2)
    return Operation(
        op="write" if is_write else "read",
        key=key,
        value=None if down and not is_write else f"v{key}",
        start=start,
        end=start + _PERIOD / 2,
        outcome=(Outcome.UNKNOWN if is_write else Outcome.FAILED) if down else Outcome.OK,
        member="abc"[number // 2 % 3],
    )


def _registered(number: int, count: int) -> Operation:
    """Return a write or a read of one of the registers, of which three are under way at any time."""
    each = count // _KEYS or 1
    key, place = divmod(number, each)
    is_write = place % 2 == 0
    start = place * _PERIOD
    return Operation(
        op="write" if is_write else "read",
        key=str(key),
        value=str(place // 2),
        start=start,
        end=start + 2.5 * _PERIOD,
        outcome=Outcome.OK,
        member="a",
    )


def _whole(part: int, adds: list[Operation], values: list[str]) -> SetRead:
    upto = len(adds) * part // _READS
    start = adds[upto - 1].end
    return SetRead(start=start, end=start + _PERIOD, elements=frozenset(values[:upto]), member="a")
