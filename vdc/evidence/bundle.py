"""The bundle of a failure: everything that explains it, in one archive with an index."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import VdcError
from vdc.evidence.archive import Archive, archive
from vdc.evidence.known import known
from vdc.evidence.redaction import Redactor
from vdc.evidence.sources import Source, sources

LIMIT: Final = 50 * 1024 * 1024
"""Bytes of an archive."""

INDEX: Final = "index.txt"
SUFFIX: Final = ".tar.gz"

_AT_ONCE: Final = 4
_BINARY: Final = frozenset({".pcapng"})
"""Ends of the names of files that are no texts."""

_INCOMPLETE: Final = "known secrets incomplete: "
_LACKING: Final = ("not gathered: ", " bytes fit", _INCOMPLETE)
"""What lines of an index hold that tell of what is not as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An archive, and the index that is in it."""

    path: Path
    index: str

    def __str__(self) -> str:
        """Where it is, how large it is, and what is not in it."""
        lacking = [line for line in self.index.splitlines() if any(each in line for each in _LACKING)]
        size = self.path.stat().st_size / 1024
        return "\n".join((f"{self.path} ({size:.0f} KiB; its {INDEX} says what is in it)", *lacking))


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What came of a source, and why no more did."""

    source: Source
    files: list[tuple[str, bytes]]
    error: str = ""


def gather(dc: DataCenter, path: Path, *, facts: Mapping[str, str] | None = None, limit: int = LIMIT) -> Bundle:
    """Write the evidence of a data centre to an archive, `limit` bytes at most; `facts` go into its index.

    Every source may fail alone: a data centre on a bad day is exactly what this is for. The index says what could not
    be gathered, and why, what was cut, and how many secrets were taken out.
    """
    start = time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    secrets = known(dc)
    redactor = secrets.redactor
    with archive(path, limit=limit) as target, ThreadPoolExecutor(_AT_ONCE) as pool:
        told = json.dumps(dict(facts or {}), indent=1, ensure_ascii=False)
        lines = [_kept(target, redactor, "facts.json", told.encode())]
        found = pool.map(_asked, sources(dc))
        lines += [line for gathered in found for line in _lines(target, redactor, gathered)]
        weaker = [f"{_INCOMPLETE}{' '.join(why.split())}" for why in secrets.lacking]
        index = "\n".join([*_head(dc, facts or {}, time.monotonic() - start), *weaker, *lines, ""])
        index, _ = redactor.redact(index)
        target.close(INDEX, index)
    return Bundle(path=path, index=index)


def _asked(source: Source) -> _Gathered:
    """Return the files of a source, those that came before it failed, too."""
    files: list[tuple[str, bytes]] = []
    try:
        for file in source.gather():
            files.append(file)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them says nothing of the others
        return _Gathered(source, files, str(error) if isinstance(error, VdcError | OSError) else repr(error))
    return _Gathered(source, files)


def _lines(target: Archive, redactor: Redactor, gathered: _Gathered) -> Iterator[str]:
    yield from (_kept(target, redactor, name, content) for name, content in gathered.files)
    if gathered.error:
        rest = "the rest " if gathered.files else ""
        yield f"{gathered.source.name}: {rest}not gathered: {gathered.error}"


def _kept(target: Archive, redactor: Redactor, name: str, content: bytes) -> str:
    """Write a file to the archive, and return its line of the index."""
    told = []
    if Path(name).suffix not in _BINARY:
        text, secrets = redactor.redact(content.decode(errors="replace"))
        content = text.encode()
        told = [f"{secrets} secrets taken out"] if secrets else []
    told.append(target.add(name, content))
    return ", ".join(filter(None, (f"{name}: {len(content)} bytes", *told)))


def _head(dc: DataCenter, facts: Mapping[str, str], seconds: float) -> Iterator[str]:
    yield f"{dc.name}, of topology {dc.topology.name}, at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, in {seconds:.1f} s"
    for name, value in facts.items():
        yield f"{name}: {value}"
    yield f"dirty: {dc.dirty() or 'no'}"
    yield ""
