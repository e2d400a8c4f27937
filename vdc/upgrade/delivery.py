"""Bringing the files of a release into a running server: from the root disk of that release, plugged in to be read.

Each file is written beside its place and renamed into it, as package managers do: what runs goes on with the old one.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from vdc.datacenter.api import Machine
from vdc.errors import ClusterError, VdcError
from vdc.host.artifacts.debian_source import PROGRAMS
from vdc.model.release import Component
from vdc.shell import Completed
from vdc.wait import NotYet, wait_for

INSTALL: Final = ": vdc-upgrade install"
"""How the script begins that puts files in place; the release and the components follow."""

RESTART: Final = ": vdc-upgrade restart"
"""How the script begins that restarts units, after it has told how they are; the component follows."""

UNITS: Final = ": vdc-upgrade units"
"""How the script begins that tells how units are; the component follows."""

VERSIONS: Final = ": vdc-upgrade versions"
"""How the script begins that tells of which version programs of Kubernetes are; their paths follow."""

_NOT_YET: Final = 75  # sysexits.h: EX_TEMPFAIL
_SECONDS: Final = 120.0
_PLACE: Final = "/run/vdc-release"
_ADDED: Final = "/usr/lib/vdc/added"  # a list of files that only another release has

_SCRIPT: Final = """\
set -eu
exec 9>/run/vdc-release.lock
flock -n 9 || { echo 'another one is at it'; exit 75; }
# what serves comes first
renice -n 19 -p $$ >/dev/null
ionice -c 3 -p $$ || :
disk=
for each in /sys/block/vd*; do
  if [ "$(cat "$each/serial" 2>/dev/null)" = release ]; then disk=/dev/${each##*/}; fi
done
[ -b "$disk" ] || { echo 'the disk is not there yet'; exit 75; }
mkdir -p "$place"
mountpoint -q "$place" && umount "$place"
mount -t ext4 -o ro,noload "$disk" "$place"
trap 'cd /; umount "$place"' EXIT
put() {
  [ -e "$place$1" ] || [ -L "$place$1" ] || return 0
  [ ! -d "$place$1" ] || return 0
  ! cmp -s "$place$1" "$1" || return 0
  mkdir -p "${1%/*}"
  [ -e "$1" ] || echo "$1" >>"$added"
  cp -a "$place$1" "$1.vdc-new"
  [ -L "$1.vdc-new" ] || sync "$1.vdc-new"
  mv -f "$1.vdc-new" "$1"
  echo "$1"
}
cat $lists 2>/dev/null >/run/vdc-files || :
for each in $files; do echo "$each" >>/run/vdc-files; done
[ -s /run/vdc-files ] || { echo 'the release has no such files'; exit 1; }
while read -r file; do
  case $file in /usr/share/*|/etc/*|/.|'') ;; *) put "$file";; esac
done </run/vdc-files
# what one release has added is not there any more where another one goes back
if [ -e "$added" ]; then
  while read -r file; do [ -e "$place$file" ] || [ -L "$place$file" ] || rm -f "$file"; done <"$added"
fi
[ -n "$part" ] || put /usr/lib/vdc/release.json
rm /run/vdc-files
sync /usr/lib/vdc /usr/bin /usr/lib /usr/local/bin
"""


def deliver(
    machine: Machine, release: str, components: Iterable[Component], *, slowness: float, only: Collection[str] = ()
) -> None:
    """Put the files of components of a release in place of those that are there. Nothing is restarted.

    Where there are files named `only` these are put, and the server does not say yet that it is of that release. It may
    be done again whatever became of it: what is the same is left alone.

    Raises:
        ClusterError: it cannot be done; says why. WaitTimeout: the disk does not come, or does not go.
    """
    script = install_script(release, tuple(components), only=only)
    machine.insert(release)
    try:
        wait_for(
            lambda: _install(machine, script),
            what=f"{machine.name} to see the disk of {release}",
            timeout=_SECONDS * max(0.25, slowness),
            interval=0.5,
        )
    except BaseException as error:
        _eject_after(machine, error)
        raise
    machine.eject()


def _eject_after(machine: Machine, error: BaseException) -> None:
    """Pull the disk out after an error, which is the one to be told: another one is noted beside it."""
    try:
        machine.eject()
    except VdcError as second:
        error.add_note(f"and the disk of the release could not be pulled out: {second.message}")


def install_script(release: str, components: tuple[Component, ...], *, only: Collection[str] = ()) -> str:
    """Return the script that a server runs."""
    names = " ".join(sorted(only)) or " ".join(component.name for component in components)
    lists = " ".join(each for component in components for each in _lists(component) if not only)
    files = " ".join(shlex.quote(each) for component in components for each in only or _files(component))
    head = f"{INSTALL} {release} {names}\nplace={_PLACE}\nadded={_ADDED}\npart={'yes' if only else ''}\n"
    return f"{head}lists={shlex.quote(lists)}\nfiles={shlex.quote(files)}\n{_SCRIPT}"


def units_script(component: str, units: tuple[str, ...]) -> str:
    """Return the script that tells how units are."""
    return f"{UNITS} {component}\n{_show(units)}"


def listening_script(ports: Iterable[int]) -> str:
    """Return the script that tells on which of some ports of TCP nobody listens."""
    words = " ".join(map(str, ports))
    return f'for each in {words}; do [ -n "$(ss -Hltn "sport = :$each")" ] || echo "$each"; done\n'


def restart_script(component: str, units: tuple[str, ...]) -> str:
    """Return the script that tells how units are and restarts them, by files that are in place, without waiting."""
    return (
        f"{RESTART} {component}\nset -e\ntold=$({_show(units).strip()})\n"
        'echo "$told"\n'
        "case $told in *NeedDaemonReload=yes*) systemctl daemon-reload;; esac\n"
        f"systemctl restart --no-block {' '.join(units)}\n"
    )


def versions_script(programs: Iterable[str]) -> str:
    """Return the script that tells of which version programs of Kubernetes are, each as `PATH=1.20.2`."""
    named = tuple(programs)
    lines = (f"echo \"{each}=$({each} --version | sed -n 's/^Kubernetes v//p')\"" for each in named)
    return "\n".join((f"{VERSIONS} {' '.join(named)}", *lines, ""))


def unit_states(told: str) -> tuple[Mapping[str, str], ...]:
    """Return the properties of each unit, as one of the two scripts told them."""
    blocks = (block.splitlines() for block in told.strip().split("\n\n"))
    return tuple(dict(line.split("=", 1) for line in block if "=" in line) for block in blocks)


def _show(units: tuple[str, ...]) -> str:
    return f"systemctl show -p InvocationID,ActiveState,NeedDaemonReload {' '.join(units)}\n"


def _lists(component: Component) -> tuple[str, ...]:
    """Return where the release's disk says which files a component has; not all of them are there."""
    installed = (f"{_PLACE}/var/lib/dpkg/info/{name}.list" for name in component.packages)
    return (f"{_PLACE}/usr/lib/vdc/files/{component.name}.list", *installed) if component.packages else ()


def _files(component: Component) -> tuple[str, ...]:
    """Return the files of a component that is of no package."""
    if component.source is not None:
        return tuple(f"/usr/local/bin/{program}" for program in PROGRAMS)
    return tuple(
        f"{file.into}/{name.rsplit('/', 1)[-1]}"
        for file in component.files
        for name in (file.members if file.unpack else (file.name,))
    )


def _install(machine: Machine, script: str) -> None:
    done: Completed = machine.run(["sh", "-s"], stdin=script, timeout=_SECONDS, check=False)
    if done.status == _NOT_YET:
        raise NotYet(done.stdout.strip())
    if done.status != 0:
        said = (done.stderr or done.stdout).strip()[-500:]
        raise ClusterError(f"{machine.name}: the files could not be put in place: {said}")
