"""Where evidence comes from: what this host keeps of a data centre, and what its devices and its cluster say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from vdc.cluster.api import Cluster
from vdc.cluster.deployers import deployed
from vdc.cluster.kubernetes.api import KubernetesCluster, Manifest
from vdc.datacenter.api import DataCenter, Machine, Power, Router, Runner
from vdc.errors import ClusterError, VdcError
from vdc.evidence.redaction import without_secrets, without_seeds
from vdc.host.claims import PLAN
from vdc.observe.packets import captured

Files = Iterable[tuple[str, bytes]]
"""Names in the archive, and what is in them."""

KINDS: Final = (
    "Node", "Namespace", "Pod", "Service", "Endpoints", "Event", "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet",
    "Job", "PersistentVolume", "PersistentVolumeClaim", "ConfigMap", "Lease", "Secret",
)  # fmt: skip
"""Of the objects of a Kubernetes. Of Secrets all but the data."""

_SECONDS: Final = 30.0
_COMMAND_SECONDS: Final = 10.0
"""Of one command: a frozen daemon never answers who asks it."""

_JOURNAL_LINES: Final = 3000
_LONGEST: Final = 32 * 1024 * 1024
"""Bytes of a file of this host, at its end: its start is seldom what explains a failure."""

_ROUTERS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "routes": (
        ("ip", "-4", "route", "show", "table", "all"),
        ("ip", "-6", "route", "show", "table", "all"),
        ("ip", "-s", "link"),
        ("ip", "neigh"),
    ),
    "nft": (("nft", "-a", "list", "ruleset"),),
    "qdiscs": (("tc", "-s", "qdisc"),),
}
_GUESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "routes": ("ip -4 route show table all", "ip -6 route show table all", "ip -s link", "ip neigh"),
    "nft": ("nft -a list ruleset", "iptables-save"),
    "qdiscs": ("tc -s qdisc",),
    "system": ("uptime", "free -m", "df -h", "ps -eo pid,ppid,stat,rss,etimes,args", "ss -tanp",
               "systemctl list-units --failed --all --no-pager", "tail -n +1 /proc/pressure/*"),
    "bird": ("birdc -r show protocols all", "birdc -r show bfd sessions", "birdc -r show route all"),
}  # fmt: skip
"""By folder of the archive: what is asked of a guest, by one script, since every question costs an emulated one."""

_JOURNALS: Final[Mapping[str, tuple[str, ...]]] = {
    "journals": (f"journalctl --boot --no-pager --output=short-iso-precise --lines={_JOURNAL_LINES}",)
}
_MARK: Final = "=====vdc "
_KEY_BEGINS, _KEY_ENDS = (re.compile(rb"-----%s [A-Z0-9 ]*PRIVATE KEY-----" % word) for word in (b"BEGIN", b"END"))


@dataclass(frozen=True, slots=True)
class Source:
    """Something that can be gathered, or cannot: `name` tells of what fails."""

    name: str
    gather: Callable[[], Files]


def sources(dc: DataCenter) -> Iterator[Source]:
    """Yield what can be gathered of a data centre, what matters most first."""
    run_directory = dc.run_directory
    for path in _kept(run_directory):
        name = str(path.relative_to(run_directory))
        yield Source(name, lambda path=path, name=name: [(name, _kept_of(path))])  # type: ignore[misc]
    yield Source("host.txt", lambda: [("host.txt", _host().encode())])
    for router in dc.routers.values():
        yield Source(f"*/{router.name}.txt", lambda router=router: _router(dc, router))  # type: ignore[misc]
    for client in dc.externals.values():
        yield Source(f"*/{client.name}.txt", lambda client=client: _kernel(client))  # type: ignore[misc]
    yield Source("packets/*.pcapng", lambda: _packets(dc))
    yield from _cluster(dc)
    for machine in dc.servers.values():
        yield Source(f"*/{machine.name}.txt", lambda machine=machine: _guest(machine))  # type: ignore[misc]


def _kept(run_directory: Path) -> list[Path]:
    """Return the files of a run directory that tell something: keys and disks are not among them."""
    named = (run_directory / name for name in (PLAN, "dirty", "up.json", "history.jsonl"))
    found = [*named, *sorted(run_directory.glob("leases/*.json")), *sorted(run_directory.glob("bird/*.conf"))]
    return [path for path in (*found, *sorted(run_directory.rglob("*.log"))) if path.is_file()]


def _kept_of(path: Path) -> bytes:
    return without_seeds(path.read_text(encoding="utf-8")).encode() if path.name == PLAN else _end_of(path)


def _end_of(path: Path, *, longest: int = _LONGEST) -> bytes:
    """Return the last whole lines of a file; a key that began before them is not among them."""
    with path.open("rb") as file:
        cut = path.stat().st_size - longest
        if cut <= 0:
            return file.read()
        file.seek(cut)
        content = file.read().partition(b"\n")[2]
    end = _KEY_ENDS.search(content)
    if end is None or _KEY_BEGINS.search(content, 0, end.start()) is not None:
        return content
    return content[end.end() :].partition(b"\n")[2]


def _host() -> str:
    told = [Path("/proc") / name for name in ("loadavg", "meminfo", "uptime", "stat")]
    told += sorted(Path("/proc/pressure").glob("*"))
    return "".join(f"# {path}\n{path.read_text()}\n" for path in told if path.exists())


def _router(dc: DataCenter, router: Router) -> Files:
    yield from _kernel(router)  # first, since a frozen BIRD gives no answer
    control = str(dc.run_directory / "bird" / f"{router.name}.ctl")
    questions = (("show", "protocols", "all"), ("show", "bfd", "sessions"), ("show", "route", "all"))
    yield f"bird/{router.name}.txt", _answers(router, [("birdc", "-s", control, *each) for each in questions])


def _kernel(runner: Runner) -> Files:
    for folder, commands in _ROUTERS.items():
        yield f"{folder}/{runner.name}.txt", _answers(runner, commands)


def _answers(runner: Runner, commands: Iterable[tuple[str, ...]]) -> bytes:
    texts = []
    for command in commands:
        try:
            done = runner.run(command, timeout=_COMMAND_SECONDS, check=False)
            answer = f"{done.stdout}{done.stderr}"
        except VdcError as error:  # the next one may be answered
            answer = f"no answer: {error}\n"
        texts.append(f"# {' '.join(command)}\n{answer}")
    return "\n".join(texts).encode()


def _guest(machine: Machine) -> Files:
    if not machine.spec.managed:
        raise VdcError("its image is the user's own, so that it runs no command for us")
    if machine.power() is not Power.ON:
        raise VdcError(f"{machine.name} is {machine.power()}")
    # alone, since it tells most; and one that crashed must not take the time of every question
    journal = machine.run(["sh", "-s"], stdin=_script(_JOURNALS), timeout=_SECONDS, check=False).stdout
    yield from _parts(machine, _JOURNALS, journal)
    said = machine.run(["sh", "-s"], stdin=_script(_GUESTS), timeout=6 * _SECONDS, check=False).stdout
    yield from _parts(machine, _GUESTS, said)


def _parts(machine: Machine, folders: Iterable[str], said: str) -> Files:
    parts = dict(part.partition("\n")[::2] for part in said.split(_MARK)[1:])
    for folder in folders:
        yield f"{folder}/{machine.name}.txt", parts.get(folder, "").encode()


def _script(folders: Mapping[str, tuple[str, ...]]) -> str:
    lines, limited = [], f"timeout {_COMMAND_SECONDS:.0f}"
    for folder, commands in folders.items():
        lines.append(f"echo '{_MARK}{folder}'")
        lines += [f"echo '# {each}'; {limited} {each} 2>&1 || echo \"# status $?\"" for each in commands]
    return "\n".join(lines) + "\n"


def _packets(dc: DataCenter) -> Files:
    found = captured(dc)
    yield "packets/told.json", json.dumps(found.told, indent=1).encode()
    for name, content in found.files.items():
        yield f"packets/{name}", content


def _cluster(dc: DataCenter) -> Iterator[Source]:
    yield Source("cluster/state.jsonl", lambda: [("cluster/state.jsonl", _state(dc))])
    if dc.topology.kubernetes is not None:
        for kind in KINDS:
            name = f"cluster/{kind.lower()}.jsonl"
            yield Source(name, lambda kind=kind, name=name: [(name, _objects(dc, kind))])  # type: ignore[misc]


def _state(dc: DataCenter) -> bytes:
    clusters: list[Cluster] = list(deployed(dc))
    if not clusters:
        raise ClusterError("no cluster is deployed")
    return "".join(f"{json.dumps(asdict(member))}\n" for each in clusters for member in each.state()).encode()


def kubernetes(dc: DataCenter) -> KubernetesCluster | None:
    """Return the Kubernetes that is deployed, if one is."""
    return next((cluster for cluster in deployed(dc) if isinstance(cluster, KubernetesCluster)), None)


def objects(dc: DataCenter, kind: str) -> tuple[Manifest, ...]:
    """Return the objects of a kind. Raises ClusterError: no Kubernetes is deployed, or it gives no answer."""
    found = kubernetes(dc)
    if found is None:
        raise ClusterError("no Kubernetes is deployed")
    return tuple({"kind": kind, **each} for each in found.list(kind))


def _objects(dc: DataCenter, kind: str) -> bytes:
    return "".join(f"{json.dumps(without_secrets(each), default=str)}\n" for each in objects(dc, kind)).encode()


def files_with_secrets(run_directory: Path) -> Iterator[Path]:
    """Yield the files of a run directory that nobody else may read: keys and tokens. Raises OSError."""
    for folder in (path for path in run_directory.iterdir() if path.is_dir() and path.name != "disks"):
        for path in folder.rglob("*"):
            if path.is_file() and (path.suffix in {".key", ".token"} or _is_private(path)):
                yield path


def _is_private(path: Path) -> bool:
    return path.parent.name == "secrets" and path.suffix != ".pub" and path.name != "known_hosts"
