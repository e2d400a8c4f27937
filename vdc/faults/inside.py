"""Faults inside a server: its own systemd keeps what breaks it, and undoes that by itself if nobody else does.

What breaks it runs as a transient unit (systemd-run(1)), named after the fault, which lasts until it is stopped, or
until its own time is up. Whichever it is, systemd then runs what undoes it (`ExecStopPost`, systemd.service(5)).
So any process heals it: it need not know more than the fault.
"""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NewType

from vdc.datacenter.api import DataCenter
from vdc.errors import CommandError, VdcError
from vdc.faults.base import Fault
from vdc.wait import NotYet

Unit = NewType("Unit", str)
"""A service of systemd, with or without `.service`."""

FOLDER: Final = "/run/vdc-faults"
"""In the guest; a boot empties it."""

_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 24 * 3600.0
"""No body takes as long as this and its lease, which heals before, and proves it."""
_ENDED: Final = "ended"
_NEEDED: Final = frozenset({"qemu-guest-agent"})


@dataclass(frozen=True, slots=True)
class Inside(Fault):
    """One that is done inside a server, over its guest agent."""

    needs = "a server of a release of ours, which has a guest agent and systemd"

    server: str

    @property
    @abstractmethod
    def kind(self) -> str:
        """One word for it, in the first line of its scripts."""

    @abstractmethod
    def begins(self, dc: DataCenter) -> str:
        """Return the shell commands that break it; files beside `$mark` are the fault's own."""

    @abstractmethod
    def ends(self) -> str:
        """Return those that undo it. They are run once, and only if it was begun."""

    @abstractmethod
    def asks(self, dc: DataCenter) -> str:
        """Return those that tell by lines NAME=VALUE how it is."""

    @abstractmethod
    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """Return if what was told, and what others see, is what it should be; raises NotYet otherwise."""

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such server, or nobody in it who could be asked."""
        if self.server not in dc.servers:
            return f"there is no server {self.server}"
        if not dc.topology.server(self.server).managed:
            return f"{self.server} has an image of the user's, and no guest agent"
        return None

    def inject(self, dc: DataCenter) -> None:
        """Begin."""
        lasts = _GRACE_SECONDS + self.lease_seconds * max(1.0, dc.slowness)
        self._run(dc, beginning(self.kind, self.key, self.begins(dc), self.ends(), lasts))

    def bites(self, dc: DataCenter) -> None:
        """The server tells so, and so do others where they notice."""
        self.expect(dc, self._asked(dc), broken=True)

    def heal(self, dc: DataCenter) -> None:
        """End it."""
        self._run(dc, ending(self.kind, self.key))

    def healed(self, dc: DataCenter) -> None:
        """The server tells so, and so do others where they notice."""
        self.expect(dc, self._asked(dc), broken=False)

    def ended(self, dc: DataCenter) -> str | None:
        """Return that what broke it is over and was undone; one that a boot swept away was ended by the body."""
        try:
            said = self._run(dc, looking(self.kind, self.key))
        except VdcError:  # who does not answer does not tell
            return None
        return f"{self.server} has undone it" if said.strip() == _ENDED else None

    def _asked(self, dc: DataCenter) -> Mapping[str, str]:
        try:
            said = self._run(dc, asking(self.kind, self.key, self.asks(dc)))
        except CommandError as error:
            raise NotYet(f"{self.server} does not tell: {error.output.strip()[-200:]}") from error
        pairs = (line.partition("=") for line in said.splitlines())
        return {name: value.strip() for name, equals, value in pairs if equals}

    def _run(self, dc: DataCenter, script: str) -> str:
        return dc.servers[self.server].run(["sh", "-s"], stdin=script, timeout=_SECONDS).stdout


@dataclass(frozen=True, slots=True)
class OfUnit(Inside):
    """One that strikes a service."""

    needs = "a server of a release of ours that has the service"

    unit: Unit

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such server or service, or that nobody could heal it then."""
        lacks = Inside.missing(self, dc)
        if lacks is None and self.service in _NEEDED:
            return f"what heals {self.server} goes through its {self.service}"
        if lacks is None and self._said(dc, "LoadState") in {"not-found", "masked"}:
            return f"{self.server} has no service {self.service}"
        return lacks

    @property
    def service(self) -> str:
        """Its name without the suffix."""
        return self.unit.removesuffix(".service")

    @property
    def quoted(self) -> str:
        """Its name as a word of a shell."""
        return shlex.quote(f"{self.service}.service")

    def _said(self, dc: DataCenter, what: str) -> str:
        argv = ["systemctl", "show", "--property", what, "--value", f"{self.service}.service"]
        return dc.servers[self.server].run(argv, check=False).stdout.strip()


def number(seen: Mapping[str, str], name: str) -> int:
    """Return a number that was told. Raises NotYet: it was not."""
    text = seen.get(name, "")
    if not text.lstrip("-").isdecimal():
        raise NotYet(f"no {name} was told but {text!r}")
    return int(text)


def beginning(kind: str, key: str, begins: str, ends: str, lasts: float) -> str:
    """Return the script that begins a fault, which lasts at most so many seconds."""
    mark = f"{FOLDER}/{key}"
    return (
        f": vdc-fault begin {kind} {key}\n"
        f"set -e\nmkdir -p {FOLDER}\n"
        f"cat > {mark}.begin <<'VDC-FAULT'\nset -e\nmark={mark}\n{begins}\nexec sleep infinity\nVDC-FAULT\n"
        f"cat > {mark}.end <<'VDC-FAULT'\nrm {mark}.on 2>/dev/null || exit 0\nmark={mark}\n{ends}\nVDC-FAULT\n"
        f"touch {mark}.on\n"
        f"systemd-run --quiet --collect --unit=vdc-fault-{key} --property=RuntimeMaxSec={lasts:.0f} "
        f"--property=OOMScoreAdjust=-1000 '--property=ExecStopPost=/bin/sh {mark}.end' /bin/sh {mark}.begin\n"
    )


def ending(kind: str, key: str) -> str:
    """Return the script that ends a fault, also one that began only half or not at all."""
    mark = f"{FOLDER}/{key}"
    return (
        f": vdc-fault end {kind} {key}\n"
        f"systemctl stop vdc-fault-{key}.service 2>/dev/null\n"
        f"[ ! -e {mark}.end ] || sh {mark}.end\n"
        f"rm -f {mark}.*\n"
    )


def looking(kind: str, key: str) -> str:
    """Return the script that tells whether a fault that was begun since the boot has ended."""
    mark = f"{FOLDER}/{key}"
    return f": vdc-fault look {kind} {key}\n[ ! -e {mark}.end ] || [ -e {mark}.on ] || echo {_ENDED}\n"


def asking(kind: str, key: str, asks: str) -> str:
    """Return the script that asks how it is."""
    return f": vdc-fault ask {kind} {key}\nmark={FOLDER}/{key}\n{asks}\n"
