"""Files that are being brought to a server, seen from beside: that they are, that it fails, that none is torn."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Final

from vdc.datacenter.api import DataCenter, Machine
from vdc.errors import ClusterError
from vdc.upgrade.parts import programs_of
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.trial import Inside, Releases
from vdc.upgrade.upgrader import Upgrader
from vdc.wait import NotYet

_LIST: Final = "/run/vdc-files"
"""What is left to be put in place: there from when the disk of the release is mounted until all is done."""

SNATCH: Final = ": vdc-upgrade snatch"
"""How the script begins after which the disk that files are brought from is gone amid the first of them."""

# The guest itself is quick enough: from outside, a disk is asked for, and let go of when that suits the guest. Who
# waits for the file is as nice as who copies it, or both would wait.
_SNATCH: Final = f"""\
{SNATCH}
exec systemd-run --quiet --collect --nice=19 --property=RuntimeMaxSec=600 sh -c '
until set -- /usr/bin/*.vdc-new && [ -e "$1" ]; do :; done
for each in /sys/block/vd*; do
  [ "$(cat "$each/serial")" != release ] || echo 1 >"$(readlink -f "$each/device/..")/remove"
done'
"""


def bringing(dc: DataCenter, server: str) -> Inside:
    """Return what tells whether files are being brought to a server."""
    return partial(_bringing, dc.servers[server])


def _bringing(machine: Machine) -> str:
    if machine.run(["test", "-s", _LIST], check=False).status != 0:
        raise NotYet(f"{machine.name} has no list of files")
    return machine.name


def snatch(dc: DataCenter, server: str) -> None:
    """Let the disk vanish that files will be brought from next, as soon as the first of them is half there."""
    dc.servers[server].run(["sh", "-s"], stdin=_SNATCH)


def expect_stopped(going: Upgrader, server: str, *, most: int, why: str) -> None:
    """Demand that an upgrade fails, which would lead to `most` nodes at the new release: at a server, and told `why`.

    Raises AssertionError.
    """
    try:
        led = going.run(most=most)
    except ClusterError as error:
        said = error.message
    else:
        raise AssertionError(f'{server}: "{why}" stopped nobody: {", ".join(led)} got the new release')
    assert server in said, f"it does not say that it is {server}: {said}"
    assert why in said, f'it does not say "{why}": {said}'


def expect_whole(dc: DataCenter, path: UpgradePath, server: str, releases: Releases, *, of: Collection[str]) -> None:
    """Demand that each program of a path is on a server byte for byte as one of the releases `of` has it.

    Raises AssertionError, naming each that is not.
    """
    programs = programs_of(path)
    assert programs, f"{path.name}: no program is known"
    told = dc.servers[server].run(["sha256sum", *sorted(programs)]).stdout
    there = {place: digest for digest, _, place in (line.partition("  ") for line in told.splitlines())}
    has = [releases.executables(dc, release, programs) for release in of]
    torn = sorted(each for each in programs if there.get(each) not in {one[each] for one in has if each in one})
    assert not torn, f"{server}: {', '.join(torn)} is not what {' or '.join(of)} has"
