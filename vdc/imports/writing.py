"""A topology as YAML text, laid out as a person would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Final

from vdc.model.yamltree import Path

WIDTH: Final = 118
"""The longest line, in characters, where it can be helped."""

BLOCKS: Final = frozenset(
    {"racks", "roles", "networks", "devices", "links", "overrides", "images", "device_classes", "pools"}
)
"""Sections in which every entry has lines of its own."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*(?::[A-Za-z0-9_./+-]+)*")
_OTHERWISE: Final = re.compile(
    r"[-+.]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|0[xob].*|[0-9]+(?::[0-9]+)+|\.(?:inf|nan)|\.+"
    r"|~|null|true|false|yes|no|on|off|y|n",
    re.IGNORECASE,
)
"""What YAML, of one version or another, takes for something else than text."""


def comment(text: str, *, indent: str = "") -> Iterator[str]:
    """Yield the lines of a comment, as many as it takes."""
    for line in wrap(text, WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False):
        yield f"{indent}# {line}"


def write(data: Mapping[str, object], comments: Mapping[Path, str]) -> str:
    """Return a topology as YAML; `comments` stand above the sections and beside the values that they are of."""
    lines: list[str] = []
    apart = False
    for key, value in data.items():
        above, section = (
            [*comment(comments.get((key,), ""))],
            [*_entry(f"{_scalar(key)}:", value, (key,), comments, "")],
        )
        if lines and (apart or above or len(section) > 1):
            lines.append("")
        apart = len(section) > 1
        lines += above + section
    return "\n".join(lines) + "\n"


def _entry(head: str, value: object, path: Path, comments: Mapping[Path, str], indent: str) -> Iterator[str]:
    """Yield the lines of one value after its key or dash."""
    line = f"{indent}{head} {_flow(value)}"
    if not _has_parts(value) or not (_is_block(path, comments) or len(line) > WIDTH):
        yield line
        return
    if isinstance(value, Mapping):
        yield from _mapping(head, value, path, comments, indent)
        return
    assert isinstance(value, Sequence)
    yield f"{indent}{head}"
    for number, item in enumerate(value):
        yield from _entry("-", item, (*path, number), comments, f"{indent}  ")


def _mapping(
    head: str, value: Mapping[str, object], path: Path, comments: Mapping[Path, str], indent: str
) -> Iterator[str]:
    inner = f"{indent}  "
    entries = [[*_entry(f"{_scalar(key)}:", item, (*path, key), comments, inner)] for key, item in value.items()]
    beside = [comments.get((*path, key)) for key in value]
    width = max((len(lines[0]) for lines, text in zip(entries, beside, strict=True) if text), default=0)
    for lines, text in zip(entries, beside, strict=True):
        lines[0] = f"{lines[0]:{width}}  # {text}" if text else lines[0]
    lines = [line for entry in entries for line in entry]
    if head == "-":
        lines[0] = f"{indent}- {lines[0].lstrip()}"
    else:
        yield f"{indent}{head}"
    yield from lines


def _has_parts(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple) and len(value) > 0


def _is_block(path: Path, comments: Mapping[Path, str]) -> bool:
    return path in {(name,) for name in BLOCKS} or any(
        len(each) > len(path) and each[: len(path)] == path for each in comments
    )


def _flow(value: object) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case _:
            return _scalar(value)


def _scalar(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # a text that begins with a dollar would be a variable
            text = f"${value}" if value.startswith("$") else value
            plain = _PLAIN.fullmatch(text) and not _OTHERWISE.fullmatch(text)
            return text if plain else json.dumps(text, ensure_ascii=False)
        case _:
            return str(value)
