"""Every error vdc raises on purpose, and the exit code each gives the command line.

    VdcError                      1  something failed
    ├── InputError                2  the user's file or argument is wrong
    ├── HostError                 3  this host can't: what is missing, and what to install
    │   ├── DamagedError          3  a file of the cache is not what was written there
    │   └── PrivilegeError       77  needs root
    ├── BuildError                1  a resource could not be created on the host
    ├── CommandError              1  a command ended badly
    ├── WaitTimeout               1  a fact did not come true in time
    │   └── HarnessTimeout        1  this host's own part did not come true in time
    ├── InconclusiveError        75  nothing can be told: this host was too busy to look
    ├── ClusterError              1  the cluster did something wrong
    └── DirtyError                1  the data centre is not what it should be; start it afresh
        └── HealError             1  a fault could not be healed

A scenario's own ``AssertionError`` is none of these: it is the cluster's verdict, not the harness's trouble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class VdcError(Exception):
    """Base of all: a message for people and, where there is one, a hint what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message

    def told_by(self, place: str, log: str) -> None:
        """Say before the message at which `place` it went wrong, and after it what there is to read of it, `log`."""
        self.message = f"{place}: {self.message}\n  {log}"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Problem:
    """One mistake in a user's file; `line` and `column` count from 1, or are 0 where `file` is an option."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}"


class InputError(VdcError):
    """The user's input is wrong; nothing was touched. Carries every mistake found, in file order."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(sorted(problems))

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems)) if self.problems else super().__str__()


class HostError(VdcError):
    """The host cannot do what was asked: a package, memory, disk or a kernel feature is missing."""

    exit_code = 3


class DamagedError(HostError):
    """A file of the cache is not what was written there: names it."""


class PrivilegeError(HostError):
    """Root is needed; nothing was touched."""

    exit_code = 77


class BuildError(VdcError):
    """A resource could not be created or removed: names the resource and the reason."""

    def __init__(self, resource: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"{resource}: {reason}", hint=hint)
        self.resource = resource
        self.reason = reason


class CommandError(VdcError):
    """A command exited with another status than expected. `where` is the host or a device."""

    def __init__(self, where: str, argv: Sequence[str], status: int, output: str) -> None:
        shown = output.strip()[-2000:] or "(no output)"
        super().__init__(f"{where}: `{' '.join(argv)}` exited {status}: {shown}")
        self.argv = tuple(argv)
        self.status = status
        self.output = output


class WaitTimeout(VdcError):  # noqa: N818 - the field's word
    """A fact did not come true before its deadline; `last` is the last reason it gave."""

    def __init__(self, what: str, *, deadline: float, last: str, log: str | None = None) -> None:
        super().__init__(
            f"waited {deadline:.1f} s for {what}; last: {last}" + (f"\n{log}" if log else ""),
        )
        self.what = what
        self.deadline = deadline
        self.last = last
        self.log = log


class HarnessTimeout(WaitTimeout):
    """What did not come true in time is this host's, such as the end of a command on it: the cluster has no part."""


class InconclusiveError(VdcError):
    """Nothing can be told of the cluster: this host was too busy to look (EX_TEMPFAIL of sysexits(3))."""

    exit_code = 75


class ClusterError(VdcError):
    """The cluster under test did something it must not do."""


class DirtyError(VdcError):
    """The data centre is no longer what the topology says; later scenarios must not trust it."""


class HealError(DirtyError):
    """A fault could not be healed, or did not prove that it healed."""
