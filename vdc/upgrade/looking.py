"""What a server is like now: settings, firewall, routes, units, and what runs. One script, one answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vdc.datacenter.api import Machine
from vdc.errors import ClusterError

SCRIPT: Final = """\
: vdc-upgrade look
export LC_ALL=C
echo '=== sysctl'; sysctl -a 2>/dev/null
echo '=== firewall'; nft --stateless list ruleset || echo '=== silent'
echo '=== route'; ip route show table all; ip -6 route show table all
echo '=== unit'; systemctl list-unit-files --no-legend --no-pager
echo '=== state'; systemctl list-units --all --plain --no-legend --no-pager
echo '=== mark'; cd /proc; for each in [0-9]*; do
  exe=$(readlink "$each/exe" 2>/dev/null) || continue
  old=$(sed -n 's/.* \\(\\/.*\\.so.*\\) (deleted)$/\\1/p' "$each/maps" 2>/dev/null | sort -u | tr '\\n' ' ')
  echo "$each $exe|$old"
done
same=$(stat -Lc '%d:%i %n' [0-9]*/exe 2>/dev/null | sort -n -t ' ' -k 2)
echo '=== same'; echo "$same"
echo '=== digest'; sha256sum $(echo "$same" | sort -s -u -k 1,1 | cut -d ' ' -f 2) 2>/dev/null
echo '=== alive'; for each in [0-9]*; do exe=$(readlink "$each/exe" 2>/dev/null) && echo "$each $exe"; done
echo '=== end'
"""
"""What a shell in a server runs. A process that ends meanwhile is in one list and not in the next one.

Of processes that execute one file the first is read, for all of them: under emulation that takes seconds.
"""

_DELETED: Final = " (deleted)"
_SECONDS: Final = 120.0

OWN: Final = frozenset(f"/usr/bin/{name}" for name in ("bash", "dash", "ls", "sed", "sha256sum", "systemctl"))
"""What a look starts itself."""

_COUNTERS: Final = re.compile(
    r"fs\.(dentry-state|file-nr|inode-nr|inode-state|aio-nr|quota\..*)"
    r"|kernel\.(random\..*|ns_last_pid|pty\.nr|hostname|tainted|.*uuid.*|version|osrelease)"
    r"|crypto\.fips_version|net\.netfilter\.nf_conntrack_count|vm\.stat_refresh|dev\.cdrom\..*"
)
"""Kernel parameters that are no settings: they count, or tell who and what the kernel is."""

_VOLATILE: Final = re.compile(r" (expires|users|hoplimit|metric|age) \S+| (linkdown|dead)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process: `executable` is the file that it runs, `digest` the SHA-256 of that as the process has it.

    The digest is empty where nobody could read it. `deleted`: there is another file of that name now, or none.
    `libraries` are those it has that are no longer there.
    """

    pid: int
    executable: str
    digest: str
    deleted: bool = False
    libraries: tuple[str, ...] = ()

    @property
    def lasting(self) -> bool:
        """Whether it is none of those that the look itself starts."""
        return self.executable not in OWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A server as it was at one moment: kind of thing to its name to how it is; and the processes that ran."""

    things: Mapping[str, Mapping[str, str]]
    processes: tuple[Process, ...]


def look(machine: Machine) -> Look:
    """Ask a server how it is. Raises CommandError, WaitTimeout, ClusterError: it does not tell."""
    try:
        return parse(ask(machine))
    except ValueError as error:
        raise ClusterError(f"{machine.name} does not tell how it is: {error}") from error


def ask(machine: Machine) -> str:
    """Return what a server says of itself. Raises CommandError, WaitTimeout: it does not tell."""
    return machine.run(["sh", "-s"], stdin=SCRIPT, timeout=_SECONDS).stdout


def parse(text: str) -> Look:
    """Return what the script told. Raises ValueError: it did not come to its end, or a command of it told nothing."""
    sections = _sections(text)
    if "end" not in sections:
        raise ValueError(f"it told no more than {', '.join(sections) or 'nothing'}")
    things = {
        "sysctl": dict(_settings(sections["sysctl"])),
        "firewall": dict(_rules(sections["firewall"])),
        "route": dict(_routes(sections["route"])),
        "unit": dict(_units(sections["unit"], sections["state"])),
    }
    if silent := [kind for kind in ("sysctl", "route", "unit") if not things[kind]]:
        raise ValueError(f"it told of no {' and no '.join(silent)}")
    if "silent" in sections:
        raise ValueError("nft told of no firewall")
    processes = tuple(_processes(sections["mark"], _digests(sections), sections.get("alive", ())))
    return Look(things=MappingProxyType(things), processes=processes)


def _sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("=== "):
            lines = found.setdefault(line[4:], [])
        elif line.strip():
            lines.append(line)
    return found


def _settings(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, equals, value = line.partition(" = ")
        if equals and not _COUNTERS.fullmatch(name):
            yield name, " ".join(value.split())


def _rules(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each table and chain, and each rule by its chain and which one of that it is, to its text: order matters.

    Not so that of chains in their table, nor that of rules in chains that kube-proxy writes in the order of a map: each
    is for an address, or a chance, of its own (https://kubernetes.io/docs/reference/networking/virtual-ips/). Those
    stand by their text.
    """
    within: list[str] = []
    count: list[int] = [0]
    for line in map(str.strip, lines):
        if line == "}":
            within, count = within[:-1], count[:-1] or [0]
        elif line.endswith("{"):
            within.append(line.removesuffix("{").strip())
            count.append(0)
            yield " ".join(within), "there"
        elif within and _BY_MAP.fullmatch(within[-1]):
            yield " ".join([*within, _CHANCE.sub("", line)]), "there"
        else:
            count[-1] += 1
            yield " ".join([*within, str(count[-1])]), line


_BY_MAP: Final = re.compile(r"chain KUBE-(SERVICES|NODEPORTS|EXTERNAL-SERVICES|SVC-\w+)")
_CHANCE: Final = re.compile(r"meta random & \d+ < \d+ ")


def _routes(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield destination and table to how it is reached. Next hops stand on lines of their own."""
    name, value = "", list[str]()
    for line in (*lines, "end"):
        plain = " ".join(_VOLATILE.sub("", line).split())
        if line[0].isspace():
            value.append(plain)
            continue
        if name:
            yield name, " ".join([value[0], *sorted(value[1:])]) if value else ""
        words = plain.split()
        kind = words.pop(0) if words[0] in _KINDS and len(words) > 1 else "unicast"
        table = words[words.index("table") + 1] if "table" in words else "main"
        # every interface has a route of its own to its link; a gateway may be another one for the same destination
        device = words[words.index("dev") + 1] if "dev" in words and "via" not in words else ""
        name = " ".join(filter(None, (kind, words[0], "table", table, device)))
        value = [" ".join(words[1:])]


_KINDS: Final = frozenset({"local", "broadcast", "multicast", "anycast", "unreachable", "blackhole", "prohibit"})


def _units(files: Iterable[str], states: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a unit to `enabled, active`; what only exists is told as `static, inactive`."""
    enabled = {words[0]: words[1] for line in files if len(words := line.split()) > 1}
    active = {words[0]: words[2] for line in states if len(words := line.lstrip("●* ").split()) > 3}
    for name in enabled.keys() | active.keys():
        if not _passing(name):
            # whether a unit that is not active is in memory depends on who asked for it last
            state = active.get(name, "inactive")
            yield name, f"{enabled.get(name, '-')}, {state}"


def _passing(unit: str) -> bool:
    """Return whether a unit is of a device, a session or a connection: those come and go."""
    return unit.endswith((".device", ".scope", ".mount", ".swap", ".slice")) or "@" in unit


def _digests(sections: Mapping[str, list[str]]) -> Mapping[str, str]:
    """Return the digest of what each process executes, by its number: of one file they have one."""
    read = {path: digest for digest, path in (line.split(maxsplit=1) for line in sections["digest"])}
    files = {path: file for file, path in (line.split(maxsplit=1) for line in sections.get("same", ()))}
    of_file = {files[path]: digest for path, digest in read.items() if path in files}
    found = {**{path: of_file[file] for path, file in files.items() if file in of_file}, **read}
    return {path.split("/")[0]: digest for path, digest in found.items()}


def _processes(marks: Iterable[str], by_pid: Mapping[str, str], alive: Iterable[str]) -> Iterator[Process]:
    lasting = frozenset(alive)
    for line in marks:
        pid, _, rest = line.partition(" ")
        executable, _, libraries = rest.rpartition("|")
        if pid in by_pid or f"{pid} {executable}" in lasting:
            yield Process(
                pid=int(pid),
                executable=executable.removesuffix(_DELETED),
                digest=by_pid.get(pid, ""),
                deleted=executable.endswith(_DELETED),
                libraries=tuple(libraries.split()),
            )
