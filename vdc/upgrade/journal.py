"""What an upgrade has done, on the disk: who continues after a death begins with the first step that is not in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from vdc.errors import ClusterError

FILE: Final = "upgrade/journal.jsonl"
"""The journal of a data centre, in its run directory."""


class Direction(StrEnum):
    """Where a node is led."""

    FORWARD = "forward"
    BACK = "back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The upgrade that a journal is of."""

    path: str
    origin: str
    target: str


class Journal:
    """A file that has a line for each step that is done: it is on the disk when `record` returns.

    A line that was cut off by a death is as good as none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def open(self, begun: Begun) -> None:
        """Begin, or continue, an upgrade. Raises ClusterError: another one has led nodes, and is not finished."""
        lines = tuple(self._lines())
        other = next((line["begun"] for line in lines if "begun" in line), None)
        over = any("finished" in line for line in lines) or not any("node" in line for line in lines)
        if other is not None and not over and other != asdict(begun):
            raise ClusterError(
                f"the upgrade {other['path']} from {other['origin']} to {other['target']} is not finished",
                hint=f"finish it, or take it back: `vdc upgrade run NAME {other['path']} --back`",
            )
        if other is None or over:
            self._file.unlink(missing_ok=True)
            self._append({"begun": asdict(begun)})

    def done(self, node: str, direction: Direction) -> frozenset[str]:
        """Return the steps of a node that are done: those since it was last led the other way."""
        last, steps = self.latest(node)
        return steps if last is direction else frozenset()

    def latest(self, node: str) -> tuple[Direction | None, frozenset[str]]:
        """Return where a node was led last, None if it never was, and the steps of that which are done."""
        direction: Direction | None = None
        steps: set[str] = set()
        for line in self._lines():
            if line.get("node") == node:
                if line["direction"] != direction or "anew" in line:
                    direction = Direction(line["direction"])
                    steps.clear()
                if "step" in line:
                    steps.add(line["step"])
        return direction, frozenset(steps)

    def begin(self, node: str, direction: Direction) -> None:
        """Write that a node is led somewhere from now on, whatever becomes of its first step."""
        self._append({"node": node, "direction": direction})

    def begin_anew(self, node: str, direction: Direction) -> None:
        """Write that a node is led somewhere from its first step on, whatever was done of that before."""
        self._append({"node": node, "direction": direction, "anew": True})

    def record(self, node: str, direction: Direction, step: str) -> None:
        """Write that a step is done."""
        self._append({"node": node, "direction": direction, "step": step})

    def last(self) -> str:
        """Return the node and the step that were recorded last, or an empty text."""
        steps = [f"{line['node']}: {line['step']}" for line in self._lines() if "step" in line]
        return steps[-1] if steps else ""

    def finish(self) -> None:
        """Write that the upgrade is over."""
        self._append({"finished": True})

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self._file.exists():
            return
        text = self._file.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(keepends=True), start=1):
            if line.endswith("\n"):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise ClusterError(
                        f"{self._file}:{number}: the journal of the upgrade is damaged: {error}",
                        hint="remove the file once every node is at one of the two releases",
                    ) from error

    def _append(self, line: dict[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._cut_off_torn(handle)
            os.write(handle, f"{json.dumps(line)}\n".encode())
            os.fsync(handle)
        finally:
            os.close(handle)

    @staticmethod
    def _cut_off_torn(handle: int) -> None:
        """Remove a last line that was not written to its end."""
        text = os.pread(handle, os.fstat(handle).st_size, 0)
        if text and not text.endswith(b"\n"):
            os.ftruncate(handle, text.rfind(b"\n") + 1)
