"""How long a data centre stays: somebody looks into it, or it was brought up for a time. Nothing stays for ever.

A stay is a file of the run directory that says until when, so that any process can ask, lengthen or end it. Where the
data centre is to go with its stay, a keeper does that:

    python -m vdc.datacenter.stay FILE

It takes the data centre down when the time is up, unless whoever holds it is alive, who then does it in better order.
The keeper is outside of the data centre, so that it outlives what it ends; `down` ends it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from vdc.datacenter.live import boot_id, process_identity
from vdc.errors import DirtyError, InputError, VdcError
from vdc.host import processes
from vdc.host.locks import exclusive_folder
from vdc.settings import Settings
from vdc.shell import daemon
from vdc.steps import Steps
from vdc.wait import ticks

Kind = Literal["hold", "ttl"]
"""`hold`: a run waits, for a person who looks. `ttl`: for so long it was brought up."""

_KINDS: Final[tuple[Kind, ...]] = ("hold", "ttl")
_LOOK_EVERY: Final = 1.0
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:h|min|m|s))+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A data centre stays `until` then (host monotonic seconds), and `why`.

    `holder` is the process that waits for its end, by id and start time; `keeper` that which takes the data centre
    down, where one does. `boot` is that of this host: after another one nothing of it is left.
    """

    kind: Kind
    until: float
    why: str
    holder: list[int] | None = None
    keeper: list[int] | None = None
    boot: str = field(default_factory=boot_id)

    @property
    def left(self) -> float:
        """Seconds until it ends; not below 0."""
        return max(0.0, self.until - time.monotonic())

    @property
    def ends(self) -> str:
        """The local time at which it ends, for people."""
        return time.strftime("%H:%M:%S", time.localtime(time.time() + self.left))


def parse_duration(text: str) -> float:
    """Return the seconds that `30m`, `1h30m` or `90s` mean. Raises ValueError."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration such as 30m, 1h30m or 90s")
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(h|min|m|s)", text))


def begin(run_directory: Path, kind: Kind, seconds: float, *, why: str, goes: bool) -> Stay:
    """Let a data centre stay for `seconds`, held by this process if it is a `hold`.

    `goes`: it is taken down when the stay is over and nobody who holds it is alive.

    Raises InputError: the data centre is gone.
    """
    holder = process_identity(os.getpid()) if kind == "hold" else None
    stay = Stay(kind=kind, until=time.monotonic() + seconds, why=why, holder=holder)
    _write(run_directory, stay)
    if goes:
        with (run_directory / f"{kind}.log").open("ab") as log:
            daemon([sys.executable, "-m", "vdc.datacenter.stay", str(_file(run_directory, kind))], output=log)
    return stay


def stays(run_directory: Path) -> tuple[Stay, ...]:
    """Return the stays of a data centre that are not over, the one that ends first in front."""
    return tuple(sorted((each for each in _all(run_directory) if each.left > 0), key=lambda stay: stay.until))


def stay_of(run_directory: Path, kind: Kind) -> Stay | None:
    """Return a stay, also one that is over, or None if there is none any more."""
    return next((each for each in _all(run_directory) if each.kind == kind), None)


def extend(run_directory: Path, seconds: float) -> Stay:
    """Let all stays of a data centre last that much longer; return the one that ends first.

    Raises InputError: it has none, or all are over, or the data centre is gone.
    """
    with _locked(run_directory):
        found = stays(run_directory)
        if not found:
            raise InputError(f"{run_directory.name} has no end to put off", hint="nothing holds it, and it has no TTL")
        longer = [replace(each, until=each.until + seconds) for each in found]
        for each in longer:
            _put(run_directory, each)
    return min(longer, key=lambda stay: stay.until)


def resume(run_directory: Path) -> Stay:
    """Let the run that holds a data centre go on. Raises InputError: none does, or the data centre is gone."""
    with _locked(run_directory):
        held = stay_of(run_directory, "hold")
        if held is None or held.holder is None or held.holder != process_identity(held.holder[0]):
            raise InputError(f"no run holds {run_directory.name}")
        _file(run_directory, "hold").unlink()
    return held


def end(run_directory: Path, kind: Kind) -> None:
    """End a stay; its keeper leaves. One that is not there is fine."""
    found = None
    with suppress(FileNotFoundError, NotADirectoryError), exclusive_folder(run_directory):
        found = stay_of(run_directory, kind)
        _file(run_directory, kind).unlink(missing_ok=True)
    if found is not None:
        _dismiss(found)


def dismiss_keepers(run_directory: Path) -> None:
    """End the keepers of a data centre that is being taken down, but for the process that does it."""
    for stay in _all(run_directory):
        _dismiss(stay)


def main(file: Path) -> None:
    """Keep a stay: wait until it is over or ended, and take the data centre down if nobody who holds it is alive."""
    run_directory, kind = file.parent, file.stem
    me = process_identity(os.getpid())
    with suppress(FileNotFoundError, NotADirectoryError), exclusive_folder(run_directory):
        found = _read(file)
        if found is None or _alive(found.keeper):
            return
        _put(run_directory, replace(found, keeper=me))
    told = ""
    for _ in ticks(_LOOK_EVERY):
        stay = next((each for each in _all(run_directory) if each.kind == kind), None)
        if stay is None or stay.keeper != me:
            return
        if stay.left > 0 or _alive(stay.holder):
            continue
        why = _refused(run_directory)
        if why is None:
            return
        if why not in {"", told}:  # it is tried again: nobody else would
            sys.stderr.write(f"{run_directory.name} was not taken down: {why}\n")
            told = why


def _refused(run_directory: Path) -> str | None:
    """Take a data centre down; return why it could not be, which is empty where somebody else is at it."""
    try:
        _take_down(run_directory)
    except DirtyError:  # somebody takes it down, or builds it anew
        return ""
    except VdcError as error:
        return str(error)
    return None


def _take_down(run_directory: Path) -> None:
    from vdc.datacenter.lifecycle import down

    down(run_directory.name, replace(Settings.from_environment(), state_dir=run_directory.parent), Steps())


def _dismiss(stay: Stay) -> None:
    if stay.keeper is not None and stay.keeper[0] != os.getpid() and _alive(stay.keeper):
        processes.end([stay.keeper[0]])


def _alive(process: list[int] | None) -> bool:
    return process is not None and process == process_identity(process[0])


def _all(run_directory: Path) -> Iterator[Stay]:
    for kind in _KINDS:
        if (found := _read(_file(run_directory, kind))) is not None:
            yield found


def _read(file: Path) -> Stay | None:
    try:
        found = Stay(**json.loads(file.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found if found.boot == boot_id() else None


def _write(run_directory: Path, stay: Stay) -> None:
    with _locked(run_directory):
        _put(run_directory, stay)


@contextmanager
def _locked(run_directory: Path) -> Iterator[None]:
    """Hold the lock of a run directory, and never make it: what is there has the name of a data centre."""
    try:
        with exclusive_folder(run_directory):
            yield
    except FileNotFoundError as error:
        raise InputError(f"{run_directory.name} is gone") from error


def _put(run_directory: Path, stay: Stay) -> None:
    """Write a stay in one step; for whoever has the lock."""
    part = _file(run_directory, stay.kind).with_suffix(".part")
    part.write_text(json.dumps(asdict(stay)), encoding="utf-8")
    part.rename(_file(run_directory, stay.kind))


def _file(run_directory: Path, kind: Kind) -> Path:
    return run_directory / f"{kind}.json"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
