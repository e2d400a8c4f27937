"""What servers in memory keep on their own data disks: lines that were synced, and lines that were not."""

from __future__ import annotations

from collections.abc import Callable

from vdc.rolling.locally import READ, WRITE
from vdc.shell import Completed
from vdc.testing.lies import Lie


class LocalFiles:
    """The files of all servers, by server and folder."""

    def __init__(self, lies: Callable[[], frozenset[Lie]]) -> None:
        self._lies = lies
        self._synced: dict[tuple[str, str], list[str]] = {}
        self._unsynced: dict[tuple[str, str], list[str]] = {}

    def run(self, server: str, argv: tuple[str, ...]) -> Completed:
        """Write or read lines, as the scripts of `vdc.rolling.locally` do; do all else wordlessly."""
        said = ""
        match argv:
            case ("sh", "-c", script, "sh", folder, lines) if script == WRITE:
                wrote = [f"line {number}" for number in range(int(lines))]
                self._synced[server, folder], self._unsynced[server, folder] = wrote, wrote[::-1]
            case ("sh", "-c", script, "sh", folder) if script == READ:
                both = (self._synced.pop((server, folder), []), ["====="], self._unsynced.pop((server, folder), []))
                said = "".join(f"{line}\n" for lines in both for line in lines)
        return Completed(argv=argv, status=0, stdout=said, stderr="")

    def lose(self, server: str) -> None:
        """Lose what was not synced, as with the power."""
        for place in [place for place in self._unsynced if place[0] == server]:
            self._unsynced[place] = []
            if Lie.SYNCED_LOST in self._lies():
                self._synced[place] = self._synced[place][:-1]
