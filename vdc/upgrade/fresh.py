"""What servers are like right after a fresh install of a release: what an upgrade must lead to.

It is a data centre of the same topology beside the one that is looked at, booted and deployed from cold, asked once and
taken down. On a Kubernetes there are the pods and services that upgrades are tried under. What its servers told is kept
in the cache, by a digest of all that it depends on.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, Literal

import vdc
from vdc.cluster.api import Deployer
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter import lifecycle
from vdc.host.locks import exclusive
from vdc.model.releases import release as find_release
from vdc.model.topology import Topology
from vdc.observe import idle, ordinary
from vdc.plan.images import IMAGES
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.upgrade.looking import SCRIPT, Look, ask, parse

_FOLDER: Final = "fresh"
_KEPT: Final = 8
_NAME_LENGTH: Final = 20
_INSIDE: Final = ("plan", "cluster")
"""The parts of vdc that say what is in a server."""


def fresh(
    topology: Topology,
    release: str,
    *,
    name: str,
    settings: Settings,
    steps: Steps,
    deployer: Callable[[], Deployer],
) -> Mapping[str, Look]:
    """Return each member of a topology, as it is when a release was just installed on it. `name` is who asks.

    Raises what building and deploying raise.
    """
    wanted = of_release(topology, release)
    folder = settings.cache_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".lock"):
        place = folder / f"{_digest(wanted, settings)}.json"
        if place.exists():
            return _read(place)
        with steps.step(f"install {release} afresh, to compare with"):
            told = _install(wanted, f"{name[: _NAME_LENGTH - 2]}-f", settings, steps, deployer)
        part = place.with_suffix(".part")
        part.write_text(json.dumps(told), encoding="utf-8")
        part.rename(place)
        _prune(folder)
        return _read(place)


def of_release(topology: Topology, name: str) -> Topology:
    """Return a topology with another release, or with servers that start by another one's firmware.

    Of that only the kind is taken, UEFI or none: a fresh install starts by what the host has of it.
    """
    if (firmware := find_release(name).firmware) is None:
        return replace(topology, release=name)
    kind: Literal["bios", "uefi"] = "uefi" if firmware.name == "ovmf" else "bios"
    servers = (replace(each, hardware=replace(each.hardware, firmware=kind)) for each in topology.servers)
    return replace(topology, servers=tuple(servers))


def _install(
    topology: Topology, name: str, settings: Settings, steps: Steps, deployer: Callable[[], Deployer]
) -> Mapping[str, str]:
    plan = lifecycle.prepare(topology, name, settings, steps, boot="cold")
    try:
        dc = lifecycle.up(plan, settings, steps, tied=True)
        cluster = deployer().deploy(dc)
        if isinstance(cluster, KubernetesCluster):
            idle.quiet(cluster)  # with the pods and services that an upgrade is tried under
        return {server.name: ask(dc.servers[server.name]) for server in topology.members}
    finally:
        if name in lifecycle.instances(settings):
            lifecycle.down(name, settings, steps)


def _read(place: Path) -> Mapping[str, Look]:
    os.utime(place)
    told: Mapping[str, str] = json.loads(place.read_text(encoding="utf-8"))
    return {server: parse(text) for server, text in told.items()}


def _digest(topology: Topology, settings: Settings) -> str:
    sources = sorted(path for part in _INSIDE for path in (Path(vdc.__file__).parent / part).rglob("*.[pj]*"))
    if topology.kubernetes is None:
        sources = [path for path in sources if "kubernetes" not in path.parts]
    else:
        sources.append(Path(ordinary.__file__))
    parts = {
        "topology": asdict(topology),
        "image": IMAGES[topology.release].manifest(settings.cache_dir).read_text(encoding="utf-8"),
        "script": SCRIPT,
        "sources": [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources if path.suffix in {".py", ".j2"}],
    }
    return hashlib.sha256(json.dumps(parts, default=str, sort_keys=True).encode()).hexdigest()[:16]


def _prune(folder: Path) -> None:
    """Remove all but those that were used last."""
    found = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in found[:-_KEPT]:
        path.unlink()
