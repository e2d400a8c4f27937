"""What was measured beside what it must be, as data, text and JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vdc.cli.render import table

_HEAD = ("row", "what", "took", "against", "ratio", "must", "")
_NOTHING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something measured, in `unit`s, and what it is measured `against`.

    It must not be more than `most`, and be `times` times less than the other.
    """

    what: str
    ours: float
    unit: str = "s"
    against: float | None = None
    most: float | None = None
    times: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times less than the other it is."""
        return None if self.against is None else self.against / self.ours

    @property
    def ok(self) -> bool:
        """Whether it is what it must be."""
        enough = self.times is None or (self.ratio is not None and self.ratio >= self.times)
        return enough and (self.most is None or self.ours <= self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The figures of a row, and why there are no more of them if something went wrong."""

    row: str
    figures: tuple[Figure, ...]
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether all was measured, and is what it must be."""
        return not self.error and all(figure.ok for figure in self.figures)


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """Return a line for each figure and for each error."""
    return table(_HEAD, [line for outcome in outcomes for line in _lines(outcome)])


def outcomes_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the same as plain JSON."""
    return {
        "figures": [
            {"row": outcome.row, **asdict(figure), "ratio": figure.ratio, "ok": figure.ok}
            for outcome in outcomes
            for figure in outcome.figures
        ],
        "errors": {outcome.row: outcome.error for outcome in outcomes if outcome.error},
    }


def _lines(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    for figure in outcome.figures:
        yield (
            outcome.row,
            figure.what,
            f"{figure.ours:.1f} {figure.unit}",
            _NOTHING if figure.against is None else f"{figure.against:.1f} {figure.unit}",
            _NOTHING if figure.ratio is None else f"{figure.ratio:.1f}x",
            _must(figure),
            "ok" if figure.ok else "MISSED",
        )
    if outcome.error:
        yield outcome.row, outcome.error.splitlines()[0], *(_NOTHING,) * 4, "ERROR"


def _must(figure: Figure) -> str:
    times = () if figure.times is None else (f"≥ {figure.times:.3g}x",)
    most = () if figure.most is None else (f"≤ {figure.most:g} {figure.unit}",)
    return ", ".join((*times, *most)) or _NOTHING
