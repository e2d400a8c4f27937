"""What is installed on servers in memory, what they say of it, and what of it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from vdc.testing.lies import Lie
from vdc.upgrade.looking import SCRIPT

if TYPE_CHECKING:
    from vdc.testing.world import World

VERSIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "debian-12": {"os": "12", "kernel": "6.1.0", "bird": "2.0.12", "etcd": "3.4.23"},
        "kubernetes-1.20": {
            "os": "12",
            "kernel": "6.1.0",
            "bird": "2.0.12",
            "etcd": "3.4.23",
            "containerd": "1.6.20",
            "kubernetes": "1.20.2",
        },
        "kubernetes-1.20-vdc1": {
            "os": "12",
            "kernel": "6.1.0",
            "bird": "2.0.12",
            "etcd": "3.4.23",
            "containerd": "1.6.20",
            "kubernetes": "1.20.2+vdc1",
        },
        "kubernetes-1.20-containerd-1.7": {
            "os": "12",
            "kernel": "6.1.0",
            "bird": "2.0.12",
            "etcd": "3.4.23",
            "containerd": "1.7.24",
            "kubernetes": "1.20.2",
        },
        "debian-13": {"os": "13", "kernel": "6.12.0", "bird": "2.17.1", "etcd": "3.5.16"},
        "debian-12-etcd-3.5": {"os": "12", "kernel": "6.1.0", "bird": "2.0.12", "etcd": "3.5.16"},
    }
)
"""What runs on a fake server of each release."""

LOOK: Final = SCRIPT.splitlines()[0]
"""How the script begins that looks at a server."""

_CONTROL: Final = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
_ON_NODES: Final = ("kubelet", "kube-proxy")
_KUBERNETES: Final = (*_CONTROL, *_ON_NODES)
"""The programs of Kubernetes, each of which is of a version of its own while an upgrade is under way."""

_OF: Final = {
    "/usr/sbin/bird": "bird",
    "/usr/bin/etcd": "etcd",
    "/usr/lib/systemd/systemd": "os",
    "/usr/bin/containerd": "containerd",
    "/usr/bin/containerd-shim-runc-v2": "runc",
    **{f"/usr/local/bin/{name}": name for name in _KUBERNETES},
}
"""Executables that run, to the component that they are of; what holds containers is of no release any more."""


class Installed:
    """All servers of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._looks = 0
        self._newest = ""
        self._files: dict[tuple[str, str], str] = {}
        self._runs: dict[tuple[str, str], str] = {}
        self._starts: dict[tuple[str, str], int] = {}
        self._torn: set[str] = set()

    def install(self, server: str, release: str, components: Sequence[str]) -> None:
        """Put the files of components of a release in place."""
        if Lie.UPGRADE_IGNORED not in self._world.lies and not self._is_left_behind(server):
            self._files |= dict.fromkeys([(server, part) for each in components for part in _parts(each)], release)
            self._torn.discard(server)

    def break_off(self, server: str, complaint: str) -> str:
        """Leave all as it is, and return the complaint; a liar has none, or has cut files off."""
        if Lie.FILES_TORN in self._world.lies:
            self._torn.add(server)
        return "" if Lie.FAILURE_UNTOLD in self._world.lies else complaint

    def digests(self, server: str, executables: Sequence[str]) -> str:
        """Return what sha256sum(1) says of files that are in place."""
        versions = {} if server in self._torn else self._in_place(server)
        return "".join(f"{digest(each, versions)}  {each}\n" for each in executables)

    def units(self, server: str, parts: Sequence[str]) -> str:
        """Return what systemd says of the units of some parts."""
        starts = (self._starts.get((server, part), 0) for part in parts)
        return "\n".join(f"InvocationID={each}\nActiveState=active\nNeedDaemonReload=no\n" for each in starts)

    def restart(self, server: str, parts: Sequence[str]) -> None:
        """Run what is in place."""
        for place in ((server, part) for part in parts):
            if Lie.SERVICE_NOT_RESTARTED not in self._world.lies:
                self._starts[place] = self._starts.get(place, 0) + 1
                self._runs[place] = self._files.get(place, self._world.releases[server])
        self._world.changed()

    def programs(self, server: str, executables: Sequence[str]) -> str:
        """Return what programs of Kubernetes that are in place say of their versions."""
        versions = self._in_place(server)
        return "".join(f"{each}={versions[_OF[each]]}\n" for each in executables)

    @property
    def restarted(self) -> bool:
        """Whether anything was restarted with what is in place."""
        return any(self._starts.values())

    def versions(self, server: str) -> Mapping[str, str]:
        """Return what a server says that it has."""
        old, new = VERSIONS[self._world.topology.release], VERSIONS[self._world.releases[server]]
        if Lie.UPGRADE_IGNORED in self._world.lies or self._is_left_behind(server):
            return old
        new = {name: version for name, version in self._in_place(server).items() if name in new}
        new["kubernetes"] = self._in_place(server).get("kubelet", "")
        new = {name: version for name, version in new.items() if version}
        return {**new, "kernel": old["kernel"]} if Lie.KERNEL_KEPT in self._world.lies else new

    def said(self, server: str) -> str:
        """Return the file in which a server says of which release it is."""
        ignored = Lie.UPGRADE_IGNORED in self._world.lies
        return json.dumps({"name": self._world.topology.release if ignored else self._world.releases[server]})

    def look(self, server: str) -> str:
        """Return what the script tells of a server."""
        self._looks += 1
        last = server == self._last()
        changed = self._world.releases[server] != self._world.topology.release or self._files
        versions = {**self._in_place(server), **self.versions(server)}
        if server not in self._control_planes:
            versions = {part: version for part, version in versions.items() if part not in _CONTROL}
        return told(
            versions,
            stale=VERSIONS[self._world.topology.release] if last and Lie.OLD_PROGRAM_RUNS in self._world.lies else None,
            replaced=self._replaced(server),
            drifted=(last and bool(changed) and Lie.SETTING_DRIFTS in self._world.lies)
            or (self._has_gone_back(server) and Lie.SETTING_STAYS in self._world.lies),
            pid=self._looks if Lie.UNITS_RESTART in self._world.lies else self._world.boots[server],
        )

    def _has_gone_back(self, server: str) -> bool:
        old = self._world.topology.release
        files = (release for (name, _), release in self._files.items() if name == server)
        return old in files or (server in self._world.reimaged and self._world.releases[server] == old)

    @property
    def _control_planes(self) -> tuple[str, ...]:
        kubernetes = self._world.topology.kubernetes
        return kubernetes.control_planes if kubernetes is not None else ()

    def _in_place(self, server: str) -> Mapping[str, str]:
        """Return the version of each part whose files are there."""
        files = {
            part: expanded(VERSIONS[release])[part] for (name, part), release in self._files.items() if name == server
        }
        return {**expanded(VERSIONS[self._world.releases[server]]), **files}

    def _replaced(self, server: str) -> Mapping[str, str]:
        """Return the versions of what runs where other files are in place."""
        base = self._world.releases[server]
        return {
            part: expanded(VERSIONS[runs])[part]
            for (name, part), release in self._files.items()
            if name == server and (runs := self._runs.get((name, part), base)) != release
        }

    def cluster_version(self) -> str:
        """Return the version that an etcd of all members speaks: the oldest one's, and never an older one again."""
        members = [self.versions(server.name)["etcd"] for server in self._world.topology.members]
        oldest, newest = min(members), max(members)
        kept = Lie.FORMAT_KEPT in self._world.lies and oldest == newest
        spoken = max(oldest, self._newest) if kept or Lie.FORMAT_KEPT not in self._world.lies else oldest
        self._newest = max(self._newest, newest if Lie.FORMAT_KEPT in self._world.lies else oldest)
        if Lie.RETURN_OFFERED in self._world.lies:
            spoken = VERSIONS[self._world.topology.release]["etcd"]
        return ".".join([*spoken.split(".")[:2], "0"])

    def _is_left_behind(self, server: str) -> bool:
        return Lie.ONE_LEFT_BEHIND in self._world.lies and server == self._last()

    def _last(self) -> str:
        return self._world.topology.members[-1].name


def _parts(name: str) -> tuple[str, ...]:
    """Return the parts of a component, or the part that a program is of."""
    return _KUBERNETES if name == "kubernetes" else (_OF.get(name, name),)


def expanded(versions: Mapping[str, str]) -> Mapping[str, str]:
    """Return versions with those of the programs of Kubernetes one by one."""
    return {**(dict.fromkeys(_KUBERNETES, versions["kubernetes"]) if "kubernetes" in versions else {}), **versions}


def digest(executable: str, versions: Mapping[str, str]) -> str:
    """Return the digest of an executable where these versions are installed."""
    return hashlib.sha256(f"{executable} {versions.get(_OF.get(executable, ''), '')}".encode()).hexdigest()


def told(
    versions: Mapping[str, str],
    *,
    stale: Mapping[str, str] | None = None,
    replaced: Mapping[str, str] = MappingProxyType({}),
    drifted: bool = False,
    pid: int = 1,
) -> str:
    """Return what the script prints where these versions are installed.

    `stale` are the versions of which etcd still is, as a process; `drifted`: a setting is wrong; `pid` is
    of the first process. `replaced` are the versions of which processes are whose file is another one now.
    """
    running = {**versions, **({"etcd": stale["etcd"]} if stale else {}), **replaced}
    parts = {*versions, *(["runc"] if "containerd" in versions else [])}
    there = {path: part for path, part in _OF.items() if part in parts}
    gone = [" (deleted)" if part in replaced else "" for part in there.values()]
    marks = "".join(f"{pid + number} {executable}{gone[number]}|\n" for number, executable in enumerate(there))
    sums = "".join(f"{digest(path, running)}  {pid + number}/exe\n" for number, path in enumerate(there))
    return (
        f"=== sysctl\nnet.ipv4.conf.all.rp_filter = {2 if drifted else 0}\n"
        "=== firewall\n=== route\n127.0.0.0/8 dev lo\n"
        "=== unit\nbird.service enabled enabled\n=== state\nbird.service loaded active running BIRD\n"
        f"=== start\nId=bird.service\nSubState=running\nInvocationID={pid}\nNRestarts=0\n"
        f"=== mark\n{marks}=== digest\n{sums}=== end\n"
    )
