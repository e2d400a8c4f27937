"""Telling people what goes on: a live line on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

from vdc.steps import Listener

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class PlainListener:
    """Writes a line when a step begins and one when it ends; what a CI log can hold."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def started(self, name: str, depth: int) -> None:
        """A step began."""
        self._line(depth, f"{name} …")

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """A step ended."""
        self._line(depth, f"{name}: {outcome(error)} ({seconds:.1f} s)")

    def _line(self, depth: int, text: str) -> None:
        self._stream.write(f"{'  ' * depth}{text}\n")
        self._stream.flush()


class LiveListener:
    """Shows the open steps with running clocks, and keeps a line for each outer step that ended."""

    def __init__(self, console: Console, *, kept_depth: int = 1) -> None:
        from rich.live import Live

        self._console = console
        self._kept_depth = kept_depth
        self._open: list[tuple[str, float]] = []
        self._live = Live(get_renderable=self._render, console=console, transient=True, refresh_per_second=8)

    def started(self, name: str, depth: int) -> None:
        """A step began."""
        self._open.append((name, time.monotonic()))
        if depth == 0:
            self._live.start()

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """A step ended."""
        self._open.pop()
        if depth <= self._kept_depth or error:
            mark = "[red]✗[/]" if error else "[green]✓[/]"
            self._console.print(f"{'  ' * depth}{mark} {_escape(name)} [dim]{seconds:.1f} s[/]", highlight=False)
        if depth == 0:
            self._live.stop()

    def _render(self) -> RenderableType:
        from rich.text import Text

        now = time.monotonic()
        lines = [f"{'  ' * depth}… {name} {now - since:.0f} s" for depth, (name, since) in enumerate(list(self._open))]
        return Text("\n".join(lines), style="cyan")


def listener_for(stream: TextIO) -> Listener:
    """Return the listener that suits the stream."""
    if not stream.isatty():
        return PlainListener(stream)
    from rich.console import Console

    return LiveListener(Console(file=stream))


def outcome(error: str | None) -> str:
    """Return how a step ended, in one line: the error's first, since the whole is printed at the end."""
    return f"failed: {error.splitlines()[0]}" if error else "done"


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
