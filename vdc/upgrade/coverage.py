"""Which ways of which paths were tried, when, and with what verdict: kept from run to run in the cache of the host.

A line of JSON for each attempt. `vdc gc` leaves it alone, and CI keeps it from night to night.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from vdc.host.locks import exclusive
from vdc.settings import Settings
from vdc.upgrade.attempts import Tried

FOLDER: Final = "upgrades"
"""In the cache: where the record is."""

_FILE: Final = "tried.jsonl"
_MOST: Final = 2000  # attempts


def record(settings: Settings, tried: Tried) -> None:
    """Add an attempt to the record; whatever becomes of this process, each other one of it stays."""
    file = _file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(file.parent / ".lock"):
        kept = [
            *_lines(file)[-_MOST + 1 :],
            json.dumps(asdict(tried) | {"steps": dict(tried.steps)}, ensure_ascii=False),
        ]
        part = file.with_suffix(".part")
        part.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        part.replace(file)


def read(settings: Settings) -> tuple[Tried, ...]:
    """Return the record, the oldest first, without what of it holds no attempt."""
    found = (_attempt(line) for line in _lines(_file(settings)))
    return tuple(each for each in found if each is not None)


def _file(settings: Settings) -> Path:
    return settings.cache_dir / FOLDER / _FILE


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _attempt(line: str) -> Tried | None:
    names = {each.name for each in fields(Tried)}
    try:
        raw: dict[str, Any] = json.loads(line)
        return Tried(**{name: value for name, value in raw.items() if name in names})
    except (ValueError, TypeError, AttributeError):
        return None
