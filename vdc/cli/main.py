"""The entry point: runs a command and turns what it raised into a message and an exit code."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from vdc.cli.app import build_app
from vdc.cli.context import Host
from vdc.errors import VdcError

_GARBAGE = (200_000, 20, 100)
_TERMINATED = 128 + signal.SIGTERM


def main(argv: Sequence[str] | None = None, *, host: Host | None = None) -> int:
    """Run `vdc` with `argv` (by default the process's own) and return the exit code: see `vdc.errors`."""
    # A terminated `vdc up` rolls back like an interrupted one.
    signal.signal(signal.SIGTERM, _terminate)
    tune()
    try:
        build_app()(args=None if argv is None else list(argv), prog_name="vdc", obj=host or Host())
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except VdcError as error:
        return report(error)
    except ExceptionGroup as group:
        ours, others = group.split(VdcError)
        if others is not None or ours is None:
            raise
        return report(*_leaves(ours))
    return 0


def tune() -> None:
    """Let Python look for cyclic garbage less often: a big plan is a million objects that all stay."""
    gc.set_threshold(*_GARBAGE)


def report(*errors: VdcError) -> int:
    """Print the errors for people, on standard error, and return the gravest exit code."""
    for error in errors:
        sys.stderr.write(f"error: {error}\n" if not getattr(error, "problems", ()) else f"{error}\n")
        for note in getattr(error, "__notes__", ()):
            sys.stderr.write(f"  {note}\n")
    return max(error.exit_code for error in errors)


def _leaves(group: ExceptionGroup[VdcError]) -> list[VdcError]:
    found: list[VdcError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, ExceptionGroup) else [error]
    return found


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)
