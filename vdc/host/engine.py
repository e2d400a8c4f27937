"""Makes a plan real: creates its resources in the order that they require, in batches per kind.

Before the first of them is created the plan is written to the run directory: what exists on the host is always a
part of what is written there, so whoever comes after a SIGKILL knows what to look for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from graphlib import TopologicalSorter
from pathlib import Path
from subprocess import SubprocessError  # noqa: TID251 - the type only; vdc.shell starts processes
from types import MappingProxyType
from typing import Any

from vdc.errors import BuildError
from vdc.host import disks, impairments, libvirtd, namespaces, nat, netlink, volumes
from vdc.host.secrets import Secrets
from vdc.plan.hosts import HOSTS, hosts
from vdc.plan.plan import Plan
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import (
    ConfigDisk,
    DataDisk,
    IgnitionFile,
    Nvram,
    Overlay,
    SeedDisk,
    SharedFolder,
    VolumeDisk,
)
from vdc.plan.resources.network import Bridge, DefaultRoute, Impairment, Loopback, Namespace, Nat, Tap, Veth
from vdc.plan.resources.processes import Bird, ConsoleRecorder, Domain, Libvirtd
from vdc.settings import Settings
from vdc.shell import daemon, in_namespace, run

_BIRD_SECONDS, _BIRD_SHARE = 10.0, 0.02  # for one alone, and for each that begins to talk beside it
_BIRD_WORKERS = 2
_DISK_WORKERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What executors need to know besides the resource."""

    plan: Plan
    settings: Settings
    secrets: Secrets


Executor = Callable[[Sequence[Any], Build], None]


def apply(build: Build, *, only: Callable[[Resource], bool] = lambda _: True) -> None:
    """Create the resources of a plan that `only` picks; what they require and is not picked must be there.

    Raises:
        BuildError: names the resource and the reason. What was created until then is left for `remove`.
    """
    picked = {resource.id: resource for resource in build.plan.resources if only(resource)}
    sorter = TopologicalSorter({rid: set(each.requires) & set(picked) for rid, each in picked.items()})
    sorter.prepare()
    while sorter.is_active():
        ready = sorter.get_ready()
        for kind, batch in _by_kind(picked[rid] for rid in ready).items():
            with _naming(batch):
                EXECUTORS[kind](batch, build)
        sorter.done(*ready)


def start_bird(bird: Bird, *, recover: bool = False, usr: Path | None = None) -> None:
    """Start a router's BIRD; returns when it has read its configuration and listens on its control socket.

    To `recover` is to go on with the routes that the kernel still has (RFC 4724, 4.1). `usr` is a folder that it has in
    the place of this host's /usr: with another BIRD, and the libraries of that.
    """
    _start_birds([bird], timeout=_BIRD_SECONDS, recover=recover, usr=usr)


@contextmanager
def _naming(batch: Sequence[Resource]) -> Iterator[None]:
    """Say which resources it was about, where an error of the system does not."""
    try:
        yield
    except (OSError, SubprocessError) as error:
        raise BuildError(", ".join(resource.id for resource in batch), str(error)) from error


def _by_kind(resources: Iterable[Resource]) -> Mapping[type[Resource], list[Resource]]:
    kinds: dict[type[Resource], list[Resource]] = {}
    for resource in resources:
        kinds.setdefault(type(resource), []).append(resource)
    return kinds


def _birds(birds: Sequence[Bird], _build: Build) -> None:
    for bird in birds:
        path = Path(bird.config_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(bird.config)
    start = partial(_start_birds, timeout=_BIRD_SECONDS + _BIRD_SHARE * len(birds))
    with ThreadPoolExecutor(_BIRD_WORKERS) as pool:
        list(pool.map(start, (birds[first::_BIRD_WORKERS] for first in range(_BIRD_WORKERS))))


def _start_birds(birds: Sequence[Bird], *, timeout: float, recover: bool = False, usr: Path | None = None) -> None:
    """Start BIRDs from a thread that goes from namespace to namespace, which costs less than a command that does."""
    by_netns = {bird.netns: bird for bird in birds}

    def start(netns: str) -> None:
        bird = by_netns[netns]
        Path(bird.control).unlink(missing_ok=True)
        command = ["bird", *(["-R"] if recover else []), "-c", bird.config_path, "-s", bird.control]
        run([*(_with_usr(usr) if usr else ()), *command], timeout=timeout, where=bird.router)

    namespaces.inside_each(by_netns, start)


def _with_usr(usr: Path) -> tuple[str, ...]:
    """Return what runs a command with a folder in the place of /usr, which on every host of today has all programs.

    A slave mount namespace goes along when others unmount: one of its own would keep their network namespaces alive.
    """
    script = 'mount --bind "$0" /usr && exec "$@"'
    return "unshare", "--mount", "--propagation", "slave", "--", "sh", "-c", script, str(usr)


def _libvirtd(daemons: Sequence[Libvirtd], build: Build) -> None:
    for each in daemons:
        libvirtd.start_daemon(each, build.settings.cache_dir / "libvirt")


def _config_disks(wanted: Sequence[ConfigDisk], build: Build) -> None:
    known = hosts(build.plan.topology)
    for disk in wanted:
        address = str(build.plan.topology.server(disk.server).address or "")
        added = {HOSTS: (known[disk.server], 0o644), **build.secrets.guest_files(disk.server, address)}
        disks.create_config_disk(disk, added)


def _domains(domains: Sequence[Domain], build: Build) -> None:
    connection = libvirtd.connect(libvirt_uri(build.plan))
    try:
        for domain in domains:
            Path(domain.console_log).parent.mkdir(parents=True, exist_ok=True)
            connection.define(domain.xml)
            connection.start(domain.server)
    finally:
        connection.close()


def _volumes(wanted: Sequence[VolumeDisk], build: Build) -> None:
    run_directory = build.plan.context.run_directory
    with ThreadPoolExecutor(_DISK_WORKERS) as pool:
        list(pool.map(lambda volume: volumes.create(volume, run_directory), wanted))


def _recorders(recorders: Sequence[ConsoleRecorder], _build: Build) -> None:
    for recorder in recorders:
        directory = Path(recorder.directory)
        directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "vdc.host.console_recorder", str(directory)]
        with (directory / "recorder.err").open("ab") as output:
            daemon(in_namespace(recorder.netns, command), output=output)


def libvirt_uri(plan: Plan) -> str:
    """Return where the data centre's own libvirt is reached."""
    daemon = plan.resource("libvirtd")
    assert isinstance(daemon, Libvirtd)
    return libvirtd.uri(daemon)


def _in_parallel(action: Callable[[Any], None]) -> Executor:
    def execute(batch: Sequence[Any], _build: Build) -> None:
        with ThreadPoolExecutor(_DISK_WORKERS) as pool:
            list(pool.map(action, batch))

    return execute


EXECUTORS: Mapping[type[Resource], Executor] = MappingProxyType(
    {
        Namespace: lambda batch, _: netlink.create_namespaces(batch),
        Bridge: lambda batch, _: netlink.create_bridges(batch),
        Veth: lambda batch, _: netlink.create_veths(batch),
        Tap: lambda batch, _: netlink.create_taps(batch),
        Loopback: lambda batch, _: netlink.add_loopbacks(batch),
        DefaultRoute: lambda batch, _: netlink.add_default_routes(batch),
        Impairment: lambda batch, _: impairments.impose(batch),
        Nat: lambda batch, _: nat.build(batch),
        Bird: _birds,
        Libvirtd: _libvirtd,
        Overlay: _in_parallel(disks.create_overlay),
        DataDisk: _in_parallel(disks.create_data_disk),
        ConfigDisk: _config_disks,
        VolumeDisk: _volumes,
        SharedFolder: _in_parallel(volumes.bind_folder),
        SeedDisk: _in_parallel(volumes.create_seed),
        IgnitionFile: _in_parallel(volumes.write_ignition),
        Nvram: _in_parallel(volumes.create_nvram),
        ConsoleRecorder: _recorders,
        Domain: _domains,
    }
)
"""How each kind of resource is created: a function from a batch of them."""
