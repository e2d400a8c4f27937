"""The routing daemons of routers in memory: which is in place, and which runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Final

from vdc.datacenter.api import Program
from vdc.testing.lies import Lie

HOST: Final = "routers-bird-2.0"
"""The release whose BIRD this host has."""

_VERSIONS: Final = {HOST: "2.0.12", "routers-bird-2.17": "2.17.5"}


class Birds:
    """The BIRDs of `routers`; `lies` returns what is told of them, most of it of the `liar`."""

    def __init__(self, routers: Collection[str], lies: Callable[[], frozenset[Lie]], *, liar: str) -> None:
        self._liar = liar
        self._lies = lies
        self._given = dict.fromkeys(routers, HOST)
        self._runs: dict[str, str | None] = dict.fromkeys(routers, HOST)
        self._starts = dict.fromkeys(routers, 1)

    def give(self, router: str, release: str) -> None:
        """Put the BIRD of a release in place."""
        if Lie.UPGRADE_IGNORED not in self._lies():
            self._given[router] = release

    def kill(self, router: str) -> None:
        """Let none run."""
        if Lie.FAULT_WITHOUT_EFFECT not in self._lies():
            self._runs[router] = None

    def start(self, router: str) -> None:
        """Start what is in place, where none runs."""
        if self._runs[router] is None:
            kept = Lie.ONE_LEFT_BEHIND in self._lies() and router == self._liar
            self._runs[router] = HOST if kept else self._given[router]
            self._starts[router] += 1

    def program(self, router: str) -> Program:
        """Return what runs; a liar says the version of what is in place."""
        runs = self._runs[router] or HOST
        if Lie.UNITS_RESTART in self._lies():
            self._starts[router] += 1
        said = program_of(self._given[router] if Lie.OLD_PROGRAM_RUNS in self._lies() else runs)
        old = Lie.OLD_PROGRAM_RUNS in self._lies() and router == self._liar
        return Program(
            version=said.version,
            digest=program_of(HOST if old else runs).digest,
            since=str(self._starts[router]),
        )


def program_of(release: str) -> Program:
    """Return the BIRD of a release."""
    return Program(version=_VERSIONS[release], digest=hashlib.sha256(release.encode()).hexdigest())
