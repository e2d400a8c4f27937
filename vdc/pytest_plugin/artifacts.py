"""What explains a failure, gathered while it is still there: consoles, BIRD's state, journals, Kubernetes' objects."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from vdc.cluster.deployers import deployed
from vdc.cluster.kubernetes.api import KubernetesCluster, Manifest
from vdc.datacenter.api import DataCenter, Machine, Power, Router
from vdc.errors import ClusterError, VdcError

_JOURNAL_LINES = "3000"
_SECONDS = 30.0
_KINDS = ("Node", "Pod", "Service", "Endpoints", "Event")

Collector = Callable[[], str]


def collect(dc: DataCenter, folder: Path) -> str:
    """Write a file for each thing that can be gathered to `folder`; return an index of what was, and what was
    not.

    Each collector may fail alone: a data centre on a bad day is exactly what this is for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notes = [_gather(folder / name, collector) for name, collector in _collectors(dc)]
    index = "\n".join([f"dirty: {dc.dirty() or 'no'}", *notes]) + "\n"
    (folder / "index.txt").write_text(index, encoding="utf-8")
    return f"{folder}\n{index}"


def _collectors(dc: DataCenter) -> Iterator[tuple[str, Collector]]:
    for path in sorted(dc.run_directory.rglob("*.log")):
        name = "-".join(path.relative_to(dc.run_directory).parts)
        yield name, lambda path=path: _text(path)  # type: ignore[misc]
    for name, router in dc.routers.items():
        yield f"bird-{name}.txt", lambda router=router: _bird(dc, router)  # type: ignore[misc]
    for name, machine in dc.servers.items():
        yield f"bird-{name}.txt", lambda machine=machine: _guest_bird(machine)  # type: ignore[misc]
        yield f"journal-{name}.txt", lambda machine=machine: _journal(machine)  # type: ignore[misc]
    if dc.topology.kubernetes is not None:
        for kind in _KINDS:
            yield f"kubernetes-{kind.lower()}.jsonl", lambda kind=kind: _kubernetes(dc, kind)  # type: ignore[misc]


def _gather(path: Path, collector: Collector) -> str:
    try:
        path.write_text(collector(), encoding="utf-8")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one of them says nothing of the others
        said = error if isinstance(error, VdcError | OSError) else repr(error)
        return f"{path.name}: not gathered: {said}"
    return f"{path.name}: {path.stat().st_size} bytes"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _bird(dc: DataCenter, router: Router) -> str:
    control = str(dc.run_directory / "bird" / f"{router.name}.ctl")
    questions = (["show", "protocols", "all"], ["show", "bfd", "sessions"], ["show", "route", "all"])
    return "\n".join(
        router.run(["birdc", "-s", control, *question], timeout=_SECONDS, check=False).stdout for question in questions
    )


def _guest_bird(machine: Machine) -> str:
    _expect_answering(machine)
    return "\n".join(
        machine.run(["birdc", "show", *what], timeout=_SECONDS, check=False).stdout
        for what in (["protocols", "all"], ["bfd", "sessions"], ["route"])
    )


def _journal(machine: Machine) -> str:
    _expect_answering(machine)
    argv = ["journalctl", "--boot", "--no-pager", "--output=short-monotonic", f"--lines={_JOURNAL_LINES}"]
    return machine.run(argv, timeout=2 * _SECONDS).stdout


def _kubernetes(dc: DataCenter, kind: str) -> str:
    found = next((cluster for cluster in deployed(dc) if isinstance(cluster, KubernetesCluster)), None)
    if found is None:
        raise ClusterError("no Kubernetes is deployed")
    return "".join(f"{_line(kind, each)}\n" for each in found.list(kind))


def _line(kind: str, manifest: Manifest) -> str:
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    return json.dumps({"kind": kind, **manifest, "metadata": metadata}, default=str)


def _expect_answering(machine: Machine) -> None:
    if machine.power() is not Power.ON:
        raise VdcError(f"{machine.name} is {machine.power()}")
    machine.run(["true"], timeout=_SECONDS / 3)  # one that crashed must not take the time of every question
