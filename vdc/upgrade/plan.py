"""The plan of an upgrade, and what forbids it, as a whole or at a moment on its way. Pure: nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vdc.errors import InputError
from vdc.model.release import FIRMWARE
from vdc.model.topology import Topology
from vdc.upgrade.path import Change, Method, UpgradePath
from vdc.upgrade.rules import Breach, Part, Versions, changed, forbidden, skewed, unfit
from vdc.upgrade.stages import BOOTED, CONTROL_PLANE, ON_NODES, STAGES, Fleet, Stage, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An upgrade from one release to the next. `path` is its row, None where there is none."""

    origin: str
    target: str
    method: Method
    changes: tuple[Change, ...]
    stages: tuple[Stage, ...]
    no_return: tuple[str, ...]
    path: UpgradePath | None = None


class ForbiddenError(InputError):
    """A rule forbids the upgrade, as a whole or at a moment on its way; another way round may be allowed."""


def planned(
    origin: str,
    target: str,
    releases: Mapping[str, Versions],
    path: UpgradePath | None,
    topology: Topology | None = None,
) -> Plan:
    """Return the plan of one upgrade, without routes.

    Raises ForbiddenError: a rule forbids it. Raises InputError: it cannot be done so.
    """
    old, new = releases[origin], releases[target]
    if breaches := forbidden(old, new):
        raise ForbiddenError(_refusal(origin, target, breaches))
    changes = path.changes if path is not None else changed(old, new)
    method = path.method if path is not None else _method(changes)
    at_once = path.at_once if path is not None else 1
    fleet = Fleet.of(topology, kubernetes="kubernetes" in new)
    if fleet.named and not (fleet.routers if method is Method.RESTART else fleet.nodes):
        raise InputError(f"{topology.name if topology else ''} has nothing that {method} could be done to")
    evicts = path is not None and path.evicts
    stages = tuple(STAGES[method](Work(changes=changes, fleet=fleet, at_once=at_once, evicts=evicts)))
    if breaches := _on_the_way(stages, fleet, old, new):
        raise ForbiddenError(_refusal(origin, target, breaches), hint=f"so it is while `{method}` is under way")
    return Plan(
        origin=origin,
        target=target,
        method=method,
        changes=changes,
        stages=stages if fleet.named else tuple(replace(each, nodes=()) for each in stages),
        no_return=tuple(_no_return(changes)),
        path=path,
    )


def _on_the_way(stages: Sequence[Stage], fleet: Fleet, old: Versions, new: Versions) -> tuple[Breach, ...]:
    """Return the rules that are broken at some moment, while some nodes have the new version and others the old one."""
    if "kubernetes" not in old:
        return ()
    runs = dict.fromkeys(_processes(fleet), old["kubernetes"])
    runtime = {"kubernetes": old["kubernetes"], "containerd": old.get("containerd", "")}
    for stage in stages:
        if "containerd" in stage.parts:
            runtime["containerd"] = new.get("containerd", "")
        if "kubelet" in stage.parts:
            runtime["kubernetes"] = new["kubernetes"]
        if breaches := unfit(runtime):
            return breaches
        for batch in stage.nodes:
            touched = [(node, part) for node, part in runs if node in batch and part in stage.parts]
            runs.update(dict.fromkeys(touched, new["kubernetes"]))
            if breaches := skewed(Part(node, part, version) for (node, part), version in runs.items()):
                return breaches
    return ()


def _processes(fleet: Fleet) -> Iterator[tuple[str, str]]:
    for node in fleet.nodes:
        yield from ((node.name, part) for part in ON_NODES)
        yield from ((node.name, part) for part in CONTROL_PLANE if node.votes)


def _no_return(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        if change.component == "etcd" and _minor_differs(change):
            yield (
                f"when the last member runs etcd {change.new}: the cluster version is {change.new} from then on, and "
                "no member can run an older one. Until then each one can go back."
            )
        if change.component == "kubernetes" and _minor_differs(change):
            yield (
                f"when the last API server runs {change.new}: what they store from then on an older one need not be "
                "able to read. Until then each node can go back, kubelets before API servers."
            )
        if change.component == "operator":
            yield f"when {change.old} is not served any more: until then its controller can be put back."


def _minor_differs(change: Change) -> bool:
    return change.old.split(".")[:2] != change.new.split(".")[:2]


def _method(changes: Sequence[Change]) -> Method:
    if all(each.component in FIRMWARE for each in changes):
        return Method.FIRMWARE
    return Method.REIMAGE if any(each.component in BOOTED for each in changes) else Method.IN_PLACE


def _refusal(origin: str, target: str, breaches: Sequence[Breach]) -> str:
    lines = [f"  {each.what}: {each.rule.text}\n    {each.rule.name}: {each.rule.source}" for each in _first(breaches)]
    return "\n".join((f"{origin} → {target} is forbidden:", *lines))


def _first(breaches: Sequence[Breach]) -> Sequence[Breach]:
    """Return one breach of each rule."""
    return tuple({breach.rule.name: breach for breach in reversed(breaches)}.values())[::-1]
