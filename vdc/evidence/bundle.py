"""The bundle of a failure: everything that explains it, in one archive with an index."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.errors import VdcError
from vdc.evidence.archive import Archive, archive
from vdc.evidence.redaction import Redactor, secrets_of
from vdc.evidence.sources import Source, files_with_secrets, objects, sources

LIMIT: Final = 50 * 1024 * 1024
"""Bytes of an archive."""

INDEX: Final = "index.txt"
SUFFIX: Final = ".tar.gz"

_AT_ONCE: Final = 4
_BINARY: Final = frozenset({".pcapng"})
"""Ends of the names of files that are no texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An archive, and the index that is in it."""

    path: Path
    index: str

    def __str__(self) -> str:
        """Where it is, how large it is, and what is not in it."""
        lacking = [line for line in self.index.splitlines() if ": not gathered: " in line or " bytes fit" in line]
        size = self.path.stat().st_size / 1024
        return "\n".join((f"{self.path} ({size:.0f} KiB; its {INDEX} says what is in it)", *lacking))


def gather(dc: DataCenter, path: Path, *, facts: Mapping[str, str] | None = None, limit: int = LIMIT) -> Bundle:
    """Write the evidence of a data centre to an archive, `limit` bytes at most; `facts` go into its index.

    Every source may fail alone: a data centre on a bad day is exactly what this is for. The index says what could not
    be gathered, and why, what was cut, and how many secrets were taken out.
    """
    start = time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    redactor = Redactor().knowing(_known(dc))
    with archive(path, limit=limit) as target, ThreadPoolExecutor(_AT_ONCE) as pool:
        told = json.dumps(dict(facts or {}), indent=1, ensure_ascii=False)
        lines = [_kept(target, redactor, "facts.json", told.encode())]
        found = pool.map(_asked, sources(dc))
        lines += [line for source, files in found for line in _lines(target, redactor, source, files)]
        index = "\n".join([*_head(dc, facts or {}, time.monotonic() - start), *lines, ""])
        index, _ = redactor.redact(index)
        target.close(INDEX, index)
    return Bundle(path=path, index=index)


def _known(dc: DataCenter) -> Iterator[str]:
    with suppress(OSError):
        yield from files_with_secrets(dc.run_directory)
    if dc.topology.kubernetes is not None:
        with suppress(Exception):  # what gives no answer is told where its objects are gathered
            yield from secrets_of(objects(dc, "Secret"))


def _asked(source: Source) -> tuple[Source, list[tuple[str, bytes]] | str]:
    """Return the files of a source, or why there are none."""
    try:
        return source, list(source.gather())
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them says nothing of the others
        return source, str(error) if isinstance(error, VdcError | OSError) else repr(error)


def _lines(target: Archive, redactor: Redactor, source: Source, files: list[tuple[str, bytes]] | str) -> Iterator[str]:
    if isinstance(files, str):
        yield f"{source.name}: not gathered: {files}"
    else:
        yield from (_kept(target, redactor, name, content) for name, content in files)


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
