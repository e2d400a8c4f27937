"""What runs on an upgraded server must be of the new release: each process, by the bytes that it executes.

The other side of the comparison is the image of the release in the cache of this host, which no guest has ever seen.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from vdc.errors import DamagedError
from vdc.observe.verdict import Kind, Verdict, shown
from vdc.shell import run
from vdc.upgrade.looking import Process

_SECONDS: Final = 120.0


def digests(disk: Path, executables: Collection[str]) -> Mapping[str, str]:
    """Return the SHA-256 of files of a raw ext4 disk by their paths; what is not there is left out (debugfs(8)).

    Raises CommandError, HostError: the disk cannot be read.
    """
    wanted = sorted(set(executables))
    if not wanted:
        return {}
    if not disk.is_file():
        raise DamagedError(f"{disk} is not there", hint="`vdc images build` makes it again")
    with TemporaryDirectory() as work:
        places = {path: Path(work, str(number)) for number, path in enumerate(wanted)}
        commands = Path(work, "commands")
        lines = [f"dump {shlex.quote(path)} {place}" for path, place in places.items()]
        commands.write_text("\n".join([*lines, ""]), encoding="utf-8")
        done = run(["debugfs", "-f", str(commands), str(disk)], timeout=_SECONDS)
        if "Bad magic" in done.stderr:
            raise DamagedError(f"{disk} is no ext4 disk: {done.stderr.strip()}")
        # of what it does not find debugfs makes an empty file, or none
        there = {path: place for path, place in places.items() if place.exists() and place.stat().st_size}
        return {path: hashlib.sha256(place.read_bytes()).hexdigest() for path, place in there.items()}


def nothing_old(
    processes: Mapping[str, Iterable[Process]],
    expected: Mapping[str, str],
    *,
    release: str,
) -> Verdict:
    """Judge whether every process of every server executes what a release has under the path of its executable.

    `processes` are those of each server, `expected` the digests of the release by path.
    """
    looked, wrong, unread = 0, list[str](), list[str]()
    for server, ran in sorted(processes.items()):
        for process in ran:
            looked += 1
            told = f"{server}: process {process.pid} {process.executable}"
            if why := _foreign(process, expected):
                wrong.append(f"{told}: {why}")
            elif not process.digest:
                unread.append(told)
    silent = sorted(server for server, ran in processes.items() if not tuple(ran))
    figures = {"processes": float(looked), "foreign": float(len(wrong))}
    if wrong:
        kind, message = Kind.INVALID, f"not of {release}: {shown(wrong)}"
    elif unread:
        kind, message = Kind.UNKNOWN, f"what these execute could not be read: {shown(unread)}"
    elif not processes or silent:
        kind, message = Kind.UNKNOWN, f"no process was seen on {shown(silent) or 'any server'}"
    else:
        kind, message = Kind.VALID, f"{looked} processes execute what {release} has"
    return Verdict(kind=kind, checker="nothing_old", message=message, figures=figures)


def _foreign(process: Process, expected: Mapping[str, str]) -> str:
    """Return what is wrong with a process, or an empty text."""
    if process.deleted:
        return "the file that it executes was replaced, and it was not restarted"
    if process.libraries:
        return f"it has libraries that were replaced: {', '.join(process.libraries)}"
    if (wanted := expected.get(process.executable)) is None:
        return "the release has no such file"
    return "" if process.digest in {wanted, ""} else f"its SHA-256 is {process.digest[:12]}…, not {wanted[:12]}…"
