"""Takes resources out of a data centre that goes on running: the inverse of `vdc.host.engine`.

What is gone already is fine, so a removal that failed half-way can be done again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from vdc.host import engine, impairments, libvirtd, nat, netlink, processes, volumes
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
from vdc.plan.resources.network import Bridge, Impairment, Namespace, Nat, Tap, Veth
from vdc.plan.resources.processes import Bird, ConsoleRecorder, Domain, Libvirtd


def remove(resources: Sequence[Resource], plan: Plan) -> None:
    """Remove resources of the running `plan`: guests, then daemons, links and namespaces, then files.

    Raises BuildError: naming what could not be removed, and why.
    """
    _remove_domains([each for each in resources if isinstance(each, Domain)], plan)
    _end_daemons(resources, plan)
    for each in resources:
        _cut_off(each)
    impairments.lift([each for each in resources if isinstance(each, Impairment)])
    gone = {each.name for each in resources if isinstance(each, Namespace)}
    for netns, interfaces in _links(resources, gone).items():
        netlink.remove_links(netns, interfaces)
    processes.end_all({found for name in gone if (found := netlink.identity(name)) is not None})
    netlink.remove_namespaces(sorted(gone))
    for path in _files(resources, plan):
        path.unlink(missing_ok=True)


def _remove_domains(domains: Sequence[Domain], plan: Plan) -> None:
    if not domains:
        return
    with closing(libvirtd.connect(engine.libvirt_uri(plan))) as connection:
        for domain in domains:
            connection.remove(domain.server)


def _end_daemons(resources: Iterable[Resource], plan: Plan) -> None:
    """End libvirt and the console recorder, which go with the last server; nothing else is in their namespace."""
    if any(isinstance(each, Libvirtd | ConsoleRecorder) for each in resources):
        found = netlink.identity(plan.context.netns)
        processes.end_all({found} if found is not None else set())


def _cut_off(resource: Resource) -> None:
    """Undo what reaches out of the namespaces and files of the data centre."""
    match resource:
        case Nat():
            nat.remove(resource)
        case SharedFolder():
            volumes.unbind_folder(resource)
        case _:
            pass


def _links(resources: Iterable[Resource], gone: Collection[str]) -> dict[str, list[str]]:
    """Return the interfaces to delete in each namespace that stays: at once, where a namespace takes its time."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in resources:
        match each:
            case Veth(a=a, b=b):
                end = next((end for end in (a, b) if end.netns not in gone), None)
                if end is not None:
                    found[end.netns].append(end.name)
            case Bridge(netns=netns, name=name) | Tap(netns=netns, name=name):
                found[netns].append(name)
            case _:
                pass
    return found


def _files(resources: Iterable[Resource], plan: Plan) -> Iterator[Path]:
    for each in resources:
        match each:
            case Bird(config_path=config, control=control):
                yield from (
                    Path(config),
                    Path(control),
                    *(Path(config).with_suffix(each) for each in (".log", ".lock")),
                )
            case Domain(server=name, console=console, console_log=log):
                yield from (Path(console), Path(log), Path(log).with_suffix(".log"))
                yield plan.context.libvirt / "log" / "qemu" / f"{name}.log"
            case Overlay() | DataDisk() | ConfigDisk() | VolumeDisk() | SeedDisk() | IgnitionFile() | Nvram():
                yield Path(each.path)
            case _:
                pass
