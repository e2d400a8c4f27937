"""Judges flights of numbered packets: do they show what a wire is meant to do, and nothing else? Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Final

from vdc.model.disturbance import HELD_BACK, Disturbance
from vdc.model.flight import Flight, Salvo
from vdc.model.texts import duration_text, rate_text

_FEWEST, _MOST = 50, 3000
_CHANCE: Final = 1e-6
"""How likely it may be that chance alone shows nothing."""
_DEVIATIONS: Final = 5.0
"""Standard deviations of a binomial share that are taken for chance."""
SLACK: Final = 0.02
"""Seconds that a busy host may add to the median delay."""
_EARLY: Final = 0.0005
_BURST_SECONDS: Final = 0.15
_SMALLEST, _LARGEST = 100, 1400
_RATE_BELOW, _RATE_ABOVE = 0.6, 1.15


def salvos(what: Disturbance, other: Disturbance, mtu: int) -> Mapping[str, Salvo]:
    """Return what to send over a wire of this MTU, to see both what its two directions do."""
    both = (what, other)
    rates = [each.rate for each in both if each.rate]
    slowest = max((2 * 8 * _SMALLEST / rate for rate in rates), default=0.0)
    linger = 0.1 + max(each.delay + each.jitter + (HELD_BACK if each.reorder else 0.0) for each in both)
    found = {"plain": Salvo(count=max(map(_count, both)), interval=max(0.001, slowest), linger=linger)}
    if rates:
        largest = min([_LARGEST, *(each.mtu for each in both if each.mtu)])
        size = min(largest, max(_SMALLEST, int(min(rates) * _BURST_SECONDS / 8 / 20)))
        count = max(20, int(min(rates) * _BURST_SECONDS / 8 / size))
        found["burst"] = Salvo(count=count, size=size, interval=0.0, linger=linger + 2 * _BURST_SECONDS)
    for limit in {each.mtu for each in both if each.mtu}:
        for size in (limit, limit + 1):
            if size <= mtu:
                found[f"{size} B"] = Salvo(count=max(map(_count, both)), size=size, interval=0.001, linger=linger)
    return found


def contradictions(
    what: Disturbance,
    flights: Mapping[str, Flight],
    *,
    was: Disturbance | None = None,
    unasked: bool = False,
    slack: float = SLACK,
) -> Iterator[str]:
    """Yield what speaks against it that a direction does `what`, and nothing else, by the flights of `salvos`.

    Where it is healed, `was` is what it did. One is `unasked` if nothing need set out: a guest only answers, and
    nothing of the other direction comes to it. `slack` are the seconds that the median delay may be longer.
    """
    if unasked and not any(flight.sent for flight in flights.values()):
        return
    plain = flights["plain"]
    yield from _of_losses(what, plain)
    yield from _of_delays(what, plain, slack)
    for share in (_of_duplicates, _of_reordered, _of_corrupt):
        yield from share(what, plain)
    if "burst" in flights:
        yield from _of_rate(what, flights["burst"], was.rate if was else 0)
    # a guest does not answer what is lost on its way to it
    for flight in (each for name, each in flights.items() if name.endswith(" B") and each.sent):
        gone = what.mtu and flight.size > what.mtu
        yield from _share("packets of {size} B lost", flight, _missing(flight), 1.0 if gone else _lost(what, flight))


def _count(what: Disturbance) -> int:
    least = min((share for share in (what.loss, what.reorder, what.duplicate, what.corrupt) if share), default=1.0)
    return _FEWEST if least == 1 else min(_MOST, max(_FEWEST, math.ceil(math.log(_CHANCE) / math.log1p(-least))))


def _lost(what: Disturbance, flight: Flight) -> float:
    """Return the share that is not seen: a guest does not answer what was changed."""
    return what.loss + (1 - what.loss) * (what.corrupt if flight.echoed else 0.0)


def _of_losses(what: Disturbance, flight: Flight) -> Iterator[str]:
    yield from _share("packets lost", flight, _missing(flight), _lost(what, flight))


def _missing(flight: Flight) -> int:
    """Return how many never came. One whose number was changed has come too."""
    known = {each.number for each in flight.arrivals if each.intact}
    changed = sum(not each.intact for each in flight.arrivals)
    return max(0, flight.sent - len(known) - changed)


def _of_duplicates(what: Disturbance, flight: Flight) -> Iterator[str]:
    intact = [each.number for each in flight.arrivals if each.intact]
    expected = what.duplicate * (1 - what.loss)
    yield from _share("packets doubled", flight, len(intact) - len(set(intact)), expected)


def _of_reordered(what: Disturbance, flight: Flight) -> Iterator[str]:
    latest, late = -1, 0
    for each in flight.arrivals:
        if each.intact:
            late += each.number < latest
            latest = max(latest, each.number)
    yield from _share("packets out of order", flight, late, what.reorder * (1 - what.loss), loose=True)


def _of_corrupt(what: Disturbance, flight: Flight) -> Iterator[str]:
    changed = sum(not each.intact for each in flight.arrivals)
    expected = 0.0 if flight.echoed else what.corrupt * (1 - what.loss)
    yield from _share("packets changed", flight, changed, expected)


def _share(text: str, flight: Flight, seen: int, expected: float, *, loose: bool = False) -> Iterator[str]:
    """Yield that a number of packets is not what chance makes of a share.

    A `loose` one only has to be there: others change it too.
    """
    if flight.sent == 0:
        yield "no packet set out"
        return
    mean = flight.sent * expected
    spread = _DEVIATIONS * math.sqrt(mean * (1 - expected)) if 0 < expected < 1 else 0.0
    low, high = (1.0 if mean else 0.0, math.inf if mean else 0.0) if loose else (mean - spread, mean + spread)
    if not low <= seen <= high or (mean > 0 and seen == 0):
        yield f"{text.format(size=flight.size)}: {seen} of {flight.sent}, expected {expected:.3g} of all"


def _of_delays(what: Disturbance, flight: Flight, slack: float) -> Iterator[str]:
    seconds = sorted(each.seconds for each in flight.arrivals if each.intact)
    if not seconds:
        return
    middle, least = median(seconds), what.delay - what.jitter
    if what.delay and seconds[0] < least - _EARLY:
        yield f"a packet took {duration_text(max(0.0, seconds[0]))}, expected at least {duration_text(least)}"
    allowed = what.jitter + slack + (HELD_BACK if what.reorder > _MANY else 0.0)
    if not what.delay - what.jitter - _EARLY <= middle <= what.delay + allowed:
        yield f"the median delay is {duration_text(max(0.0, middle))}, expected {duration_text(what.delay)}"
    if what.jitter and seconds[-1] - seconds[0] < what.jitter / 2:
        yield f"delays differ by {duration_text(seconds[-1] - seconds[0])}, expected {duration_text(2 * what.jitter)}"


_MANY: Final = 0.4


def _of_rate(what: Disturbance, flight: Flight, was: int) -> Iterator[str]:
    at = sorted(each.at for each in flight.arrivals)
    if what.loss == 1 or not (what.rate or was):
        return
    if len(at) < 2 or at[-1] == at[0]:
        yield "too few packets came to tell the rate"
        return
    rate = 8 * (flight.size + _ETHERNET) * (len(at) - 1) / (at[-1] - at[0])
    passed = (1 - what.loss) * (1 + what.duplicate)
    low, high = (_RATE_BELOW * what.rate, _RATE_ABOVE * what.rate) if what.rate else (1.5 * was, math.inf)
    if not low * min(1.0, passed) <= rate <= high * max(1.0, passed):
        yield f"the rate is {rate_text(round(rate))}, expected {rate_text(what.rate) if what.rate else 'more'}"


_ETHERNET: Final = 14
