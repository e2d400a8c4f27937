"""The firmware of servers in memory: what they are given, what they have started by, and variables of UEFI."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Final

from vdc.datacenter.api import Firmware
from vdc.model.releases import release as find_release
from vdc.testing.lies import Lie
from vdc.upgrade.firmware_trial import READ, WRITE

FIRST: Final = "firmware-seabios-1.16"
"""What every server has at first."""

_NO_VERSION: Final = "2022.11"


def digest_of(release: str) -> str:
    """Return the digest of the firmware of a release."""
    return hashlib.sha256(release.encode()).hexdigest()


class Flashes:
    """All servers of a world. The last one lies where a lie is about one."""

    def __init__(self, servers: Sequence[str], lies: Callable[[], Collection[Lie]]) -> None:
        self._lies = lies
        self._last = servers[-1] if servers else ""
        self._given = {server: [FIRST] for server in servers}
        self._runs = dict.fromkeys(servers, FIRST)
        self._starts = dict.fromkeys(servers, 0)
        self._variables: dict[str, str] = {}

    def flash(self, server: str, release: str) -> None:
        """Give a server another firmware."""
        left_behind = Lie.ONE_LEFT_BEHIND in self._lies() and server == self._last
        if Lie.UPGRADE_IGNORED not in self._lies() and not left_behind:
            self._given[server] = [*self._given[server], release]
            self._starts[server] = 0
        component = find_release(release).firmware
        if Lie.VARIABLES_LOST in self._lies() or component is None or component.name != "ovmf":
            self._variables.pop(server, None)

    def booted(self, server: str) -> None:
        """Start by what was given."""
        self._starts[server] += 1
        given = self._given[server]
        self._runs[server] = given[-1]
        if Lie.FIRMWARE_RETURNS in self._lies() and self._starts[server] > 1 and len(given) > 1:
            self._runs[server] = given[-2]

    def told(self, server: str) -> Firmware:
        """Return what a server has started by."""
        runs = self._runs[server]
        component = find_release(self._given[server][0] if Lie.FIRMWARE_CLAIMED in self._lies() else runs).firmware
        assert component is not None
        uefi = component.name == "ovmf"
        return Firmware(
            vendor="EDK II" if uefi else "SeaBIOS",
            version="0.0.0" if component.version == _NO_VERSION else f"{component.version}-1",
            uefi=uefi,
            digest=digest_of(runs),
        )

    def variable(self, server: str, argv: Sequence[str], script: str) -> str | None:
        """Write or read the variable of a trial; None if the script does neither."""
        if script == WRITE:
            self._variables[server] = argv[-1]
            return ""
        return self._variables.get(server, "") if script == READ else None
