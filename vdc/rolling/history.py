"""The judges of restarts: each once, not too many at a time, and for the reason that was meant. Pure.

Three witnesses are heard, which know nothing of each other: the harness, which notes whom it asked to go and when; the
hypervisor, which notes what its guests did; and the guests, whose journals outlive their boots.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from vdc.history import Event
from vdc.observe.verdict import Kind, Verdict, shown
from vdc.rolling.boots import Boot, End

LEAVING: Final[Mapping[str, tuple[End, frozenset[str]]]] = MappingProxyType(
    {
        "reboot": (End.RESTART, frozenset({"reboot"})),
        "reset": (End.CUT, frozenset({"reboot"})),
        "off": (End.CUT, frozenset({"stopped destroyed"})),
        "cut": (End.CUT, frozenset({"stopped failed", "stopped crashed", "stopped shutdown"})),
        "shutdown": (End.POWER_OFF, frozenset({"stopped shutdown"})),
        "crash": (End.CUT, frozenset({"crashed panicked"})),
        "NMI": (End.CUT, frozenset({"crashed panicked"})),
        "reimage": (End.FORGOTTEN, frozenset({"stopped destroyed", "stopped shutdown"})),
    }
)
"""What the harness does to a server: how its boot then ends, and what the hypervisor says, at least one of it."""

_STARTS: Final = frozenset({"reboot", "started"})
_ONE_RESET: Final = 1.0
"""Seconds. A kernel that restarts tries one way after the other, and each that works before it stops is a reset; none
boots again in this time.
"""

BACK: Final = "back"
HELD: Final = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A server was away from `start` to `end` (host monotonic seconds), between two of its boots.

    `action` is what the harness had done last, empty where it had done nothing; `guest` is how the guest says that its
    boot ended; `hypervisor` are its words from then on, and of the boot before.
    """

    server: str
    start: float
    end: float
    action: str
    guest: End
    hypervisor: frozenset[str]

    @property
    def cause(self) -> str:
        """Say in words why it was away."""
        return f"harness: {self.action or 'nothing'}, guest: {self.guest}, hypervisor: {_words(self.hypervisor)}"


def absences(
    events: Iterable[Event], boots: Mapping[str, Sequence[Boot]], *, since: Mapping[str, str], now: float
) -> tuple[Absence, ...]:
    """Return when servers were away since their boots `since`, by what all witnesses say, in the order they went.

    One is back when the queue says so; where nobody does, when its next boot has begun, at the earliest. One that knows
    nothing of its boot of then has another root disk since. No event is older than the moment `since` was asked for.
    """
    told = sorted(events, key=lambda event: event.time)
    found = (each for name, own in boots.items() for each in _of_server(told, name, own, since[name], now))
    return tuple(sorted(found, key=lambda absence: absence.start))


def _of_server(events: Sequence[Event], name: str, boots: Sequence[Boot], since: str, now: float) -> Iterator[Absence]:
    known = [boot.id for boot in boots]
    then = Boot(id=since, begun=-math.inf, ended=None, end=End.FORGOTTEN)
    later = boots[known.index(since) :] if since in known else (then, *boots)
    for old, new in pairwise(later):
        # each boot has a clock of its own, up to a second off: by that the first one may seem younger than the events
        own = [each for each in events if (old.id == since or old.begun < each.time) and _server(each) == name]
        powers = (each for each in own if each.kind == "power" and each.time <= new.begun)
        actions = [each for each in powers if _action(each) in LEAVING]
        start = actions[0].time if actions else old.ended or new.begun
        back = next((each.time for each in own if _is_back(each) and each.time >= new.begun), new.begun)
        said = {_said(each) for each in own if each.kind == "machine" and each.time <= max(back, new.begun)}
        yield Absence(
            server=name,
            start=start,
            end=min(back, now) if back > start else start,
            action=_action(actions[-1]) if actions else "",
            guest=old.end,
            hypervisor=frozenset(said),
        )


def restarted_once(found: Collection[Absence], servers: Collection[str], events: Iterable[Event] = ()) -> Verdict:
    """Judge whether each of these servers was away exactly once, and nobody else was at all.

    By what the guests say, and by how often the hypervisor has seen them start: also for a boot too short to be noted.
    """
    counts = Counter(absence.server for absence in found)
    told = [event for event in events if event.kind == "machine"]
    starts = Counter(_starts(told))
    seen = counts.keys() | starts.keys() if told else set()
    bad = [f"{name} restarted {counts[name]} times" for name in sorted(servers) if counts[name] != 1]
    bad += [f"{name} was seen to start {starts[name]} times" for name in sorted(seen) if starts[name] != counts[name]]
    bad += [f"{name} restarted, and was not to" for name in sorted(counts.keys() - set(servers))]
    figures = {"servers": float(len(servers)), "restarts": float(counts.total())}
    kind = Kind.INVALID if bad else Kind.VALID if servers else Kind.UNKNOWN
    message = shown(bad) if bad else f"{len(servers)} servers, each once" if servers else "no server was to restart"
    return Verdict(kind=kind, checker="restarted_once", message=message, figures=figures)


def nobody_away(found: Collection[Absence], events: Iterable[Event]) -> Verdict:
    """Judge whether no server restarted, by what the guests say and by how often the hypervisor has seen them start."""
    gone = sorted({*(absence.server for absence in found), *_starts(events)})
    kind, message = (Kind.INVALID, f"restarted: {shown(gone)}") if gone else (Kind.VALID, "no server restarted")
    return Verdict(kind=kind, checker="nobody_away", message=message, figures={"restarts": float(len(gone))})


def at_most_away(found: Sequence[Absence], *, most: int) -> Verdict:
    """Judge whether no more than `most` servers were away at any instant. The figure `away` is the most that were."""
    worst = max(_together(found), key=len, default=())
    figures = {"away": float(len(worst))}
    names = ", ".join(each.server for each in worst)
    if not found:
        kind, message = Kind.UNKNOWN, "nobody was away"
    elif len(worst) > most:
        kind, message = Kind.INVALID, f"{len(worst)} away at once, {most} allowed: {names}"
    else:
        kind, message = Kind.VALID, f"{len(worst)} away at once, {most} allowed"
    return Verdict(kind=kind, checker="at_most_away", message=message, figures=figures)


def one_rack_away(found: Sequence[Absence], racks: Mapping[str, int | None]) -> Verdict:
    """Judge whether servers of two racks were never away at the same time. One in no rack is a rack of its own."""
    bad = []
    for group in _together(found):
        if len({racks[each.server] if racks[each.server] is not None else each.server for each in group}) > 1:
            bad.append(", ".join(f"{each.server} (rack {racks[each.server]})" for each in group))
    kind = Kind.INVALID if bad else Kind.VALID if found else Kind.UNKNOWN
    message = f"away at once: {shown(bad)}" if bad else "never two racks" if found else "nobody was away"
    return Verdict(kind=kind, checker="one_rack_away", message=message, figures={"times": float(len(bad))})


def one_voter_away(found: Sequence[Absence], voters: Collection[str]) -> Verdict:
    """Judge whether two voters, members of a control plane or of an etcd, were never away at the same time."""
    own = [each for each in found if each.server in voters]
    bad = [", ".join(each.server for each in group) for group in _together(own) if len(group) > 1]
    kind = Kind.INVALID if bad else Kind.VALID if own else Kind.UNKNOWN
    message = f"away at once: {shown(bad)}" if bad else "never two voters" if own else "no voter was away"
    return Verdict(kind=kind, checker="one_voter_away", message=message, figures={"times": float(len(bad))})


def causes_agree(found: Collection[Absence]) -> Verdict:
    """Judge whether every restart was meant, and guest and hypervisor say of it what the harness did."""
    bad = [f"{each.server}: {each.cause}" for each in found if not _agrees(each)]
    kind = Kind.INVALID if bad else Kind.VALID if found else Kind.UNKNOWN
    message = shown(bad) if bad else f"{len(found)} restarts, all witnesses agree" if found else "nobody restarted"
    return Verdict(kind=kind, checker="causes_agree", message=message, figures={"restarts": float(len(found))})


def seen_to_start(events: Iterable[Event], server: str, *, times: int) -> Verdict:
    """Judge whether the hypervisor saw a server start so many times: also those that it did not live to tell of."""
    starts = sum(name == server for name in _starts(events))
    kind = Kind.VALID if starts == times else Kind.INVALID
    message = f"{server} started {starts} times, {times} expected"
    return Verdict(kind=kind, checker="seen_to_start", message=message, figures={"starts": float(starts)})


def last_away(found: Sequence[Absence], last: Collection[str]) -> Verdict:
    """Judge whether these servers went after all others had come back."""
    others = [each for each in found if each.server not in last]
    ended = max((each.end for each in others), default=0.0)
    early = [each.server for each in found if each.server in last and each.start < ended]
    there = {each.server for each in found} & set(last)
    kind = Kind.INVALID if early else Kind.VALID if there else Kind.UNKNOWN
    message = f"too early: {shown(early)}" if early else f"{len(there)} went last" if there else "none of them went"
    return Verdict(kind=kind, checker="last_away", message=message, figures={"early": float(len(early))})


def waited(events: Iterable[Event], found: Collection[Absence], *, until: float, because: str = "") -> Verdict:
    """Judge whether at least one server was held up before `until`, and none of those went before that instant.

    Who was held up for a reason without the words `because` has not waited for what was meant.
    """
    told = (each for each in events if _is_held(each) and because in str(each.data["reason"]))
    held = {str(each.data["name"]): each for each in told if each.time < until}
    early = [f"{each.server} went" for each in found if each.server in held and each.start < until]
    figures = {"held": float(len(held))}
    reasons = [f"{name}: {each.data['reason']}" for name, each in held.items()]
    kind = Kind.INVALID if early else Kind.VALID if held else Kind.INVALID
    message = f"though held up: {shown(early)}" if early else f"held up: {shown(reasons)}" if held else "nobody waited"
    return Verdict(kind=kind, checker="waited", message=message, figures=figures)


def _together(found: Sequence[Absence]) -> Iterator[tuple[Absence, ...]]:
    """Yield who is away together whenever one goes."""
    for each in found:
        yield tuple(other for other in found if other.start <= each.start < other.end or other is each)


def _agrees(absence: Absence) -> bool:
    if absence.action not in LEAVING:
        return False
    guest, hypervisor = LEAVING[absence.action]
    return absence.guest is guest and bool(absence.hypervisor & hypervisor)


def _server(event: Event) -> str:
    return str(event.source if event.kind == "machine" else event.data.get("server", event.data.get("name", "")))


def _action(event: Event) -> str:
    return str(event.data["action"]).partition(" ")[0] if event.data["action"] != "hold reset" else "reset"


def _said(event: Event) -> str:
    return f"{event.data['name']} {event.data.get('text', '')}".strip()


def _starts(events: Iterable[Event]) -> Iterator[str]:
    """Yield the server of each start that the hypervisor saw."""
    last: dict[str, float] = {}
    for event in sorted(events, key=lambda event: event.time):
        if event.kind == "machine" and event.data["name"] in _STARTS:
            same = event.data["name"] == "reboot" and event.time - last.get(event.source, -math.inf) < _ONE_RESET
            last[event.source] = event.time
            if not same:
                yield event.source


def _is_back(event: Event) -> bool:
    return event.kind == "rolling" and event.data["phase"] == BACK


def _is_held(event: Event) -> bool:
    return event.kind == "rolling" and event.data["phase"] == HELD


def _words(said: Collection[str]) -> str:
    return ", ".join(sorted(said)) or "nothing"
