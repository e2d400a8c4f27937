"""What consoles and BIRD's logs say, as events of the history: all that happened is then on one clock.

A console's lines carry the time at which this host saw them (`vdc.host.console_recorder`), BIRD's that of the host on
which the routers are: neither needs the clock of a guest.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vdc.history import Event
from vdc.observe.consoles import rule_of

_LINE: Final = re.compile(r"(?P<time>\S+ \S+) <\w+> (?P<who>[^:]+): (?P<said>.*)")
_STATE: Final = re.compile(r"State changed to (\w+)")
_BFD: Final = re.compile(r"Session to (\S+) changed state from \w+ to (\w+)")
_NO_SESSION: Final = ("kernel", "direct", "device", "static", "bfd", "pipe")
"""What names of BIRD's protocols begin with that are no BGP sessions (vdc/plan/templates)."""

_CHARACTERS = 500  # of a console's line
_LINES = 2000  # of one console


@dataclass(frozen=True, slots=True)
class Logs:
    """The logs of a data centre's run directory, and how long each was when this was made."""

    run_directory: Path
    sizes: Mapping[Path, int]

    @classmethod
    def now(cls, run_directory: Path) -> Logs:
        """Return the logs as they are, to read what comes after."""
        return cls(run_directory, {path: path.stat().st_size for path in _paths(run_directory)})

    def since(self) -> list[Event]:
        """Return what was said since then, in order of time; a line that is not complete is left out."""
        return self.read()[0]

    def read(self) -> tuple[list[Event], Logs]:
        """Return what was said since then, as above, and the logs as far as they were read now."""
        offset = time.time() - time.monotonic()
        events: list[Event] = []
        sizes: dict[Path, int] = {}
        for path in _paths(self.run_directory):
            lines, sizes[path] = _added(path, self.sizes.get(path, 0))
            reader = console_events if path.parent.name == "consoles" else bird_events
            events += reader(lines, path.stem, offset)
        return sorted(events, key=lambda event: event.time), Logs(self.run_directory, sizes)


def console_events(lines: Iterable[str], server: str, offset: float) -> Iterator[Event]:
    """Yield the lines of a console; `offset` is the wall clock's lead over the monotonic clock, in seconds.

    Where there are very many, the first and those that break a rule.
    """
    for number, line in enumerate(lines):
        stamp, _, text = line.partition(" ")
        moment = _moment(stamp)
        rule = rule_of(text)
        if moment is None or not text.strip() or (number >= _LINES and not rule):
            continue
        data = {"line": text.strip()[:_CHARACTERS], **({"rule": rule} if rule else {})}
        yield Event(time=moment - offset, kind="console", source=server, data=data)


def bird_events(lines: Iterable[str], router: str, offset: float) -> Iterator[Event]:
    """Yield the transitions of BGP and BFD sessions in a log of BIRD 2; `offset` as above.

    BIRD stamps its lines with local time.
    """
    for line in lines:
        found = _LINE.match(line)
        moment = _moment(found["time"]) if found else None
        if found is None or moment is None:
            continue
        if changed := _BFD.match(found["said"]):
            yield _session(router, moment - offset, "bfd", changed[1], changed[2])
        elif (changed := _STATE.match(found["said"])) and not found["who"].startswith(_NO_SESSION):
            yield _session(router, moment - offset, "bgp", found["who"], changed[1])


def _session(router: str, moment: float, protocol: str, peer: str, state: str) -> Event:
    data = {"protocol": protocol, "peer": peer, "state": "up" if state.lower() == "up" else "down", "text": state}
    return Event(time=moment, kind="session", source=router, data=data)


def _paths(run_directory: Path) -> list[Path]:
    return sorted([*run_directory.glob("consoles/*.log"), *run_directory.glob("bird/*.log")])


def _added(path: Path, size: int) -> tuple[list[str], int]:
    """Return the whole lines that a log gained since it was `size` bytes long, and up to where they are."""
    with path.open("rb") as file:
        now = file.seek(0, 2)
        start = file.seek(size if size <= now else 0)  # one that is shorter was begun anew
        whole, end, _torn = file.read().rpartition(b"\n")
    return whole.decode(errors="replace").splitlines(), start + len(whole) + len(end)


def _moment(stamp: str) -> float | None:
    """Return a time in seconds of the wall clock: UTC if it says so, else local."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return (moment if moment.tzinfo is None else moment.astimezone(UTC)).timestamp()
