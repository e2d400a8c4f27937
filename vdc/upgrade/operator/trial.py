"""What every trial of the operator demands: versions by what runs and what is stored, users who see nothing, no churn.

As `vdc.upgrade.trial` does of servers: a steady state, load, the body's steps, versions again, and the verdict.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from vdc.cluster.kubernetes.api import KubernetesCluster, Manifest
from vdc.cluster.kubernetes.workloads import NAMESPACE as OTHERS
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline, lasting
from vdc.errors import ClusterError
from vdc.observe.checkers import no_write_lost
from vdc.observe.flow_checkers import longest_flow_outage
from vdc.observe.flow_watch import FlowWatch
from vdc.observe.ordinary import web_on_every_node
from vdc.observe.service import Prober
from vdc.observe.steadiness import no_churn, no_unexpected_restart
from vdc.observe.verdict import Kind, Verdict, judge, shown
from vdc.upgrade.operator.load import FIELDS, held, writing
from vdc.upgrade.operator.program import V1, V2, made_of
from vdc.upgrade.operator.site import Site
from vdc.upgrade.operator.way import NODE, Operating
from vdc.upgrade.path import Traffic, UpgradePath
from vdc.upgrade.trial import QUIET, Upgrades, allowed, upgrader
from vdc.upgrade.upgrader import Boundary, Moment, NoReturnError, Upgrader
from vdc.wait import NotYet, ticks, wait_for

_TOLD_SECONDS: Final = 60.0
_API: Final = "API"
"""With this begin the names of the ways to an API server, directly or by a proxy."""


class HeldError(Exception):
    """An upgrade was stopped between two steps, where the trial wants it."""


def held_after(step: str) -> Boundary:
    """Return a boundary at which an upgrade stops, when that step is in the journal."""

    def boundary(node: str, name: str, moment: Moment) -> None:
        if name == step and moment is Moment.RECORDED:
            raise HeldError(f"{node}: {name}")

    return boundary


def operator_upgrader(
    dc: DataCenter,
    kubernetes: KubernetesCluster,
    path: UpgradePath,
    upgrades: Upgrades,
    boundary: Boundary | None = None,
) -> Upgrader:
    """Return who goes the path of an operator, which is there in its old version, or wherever another one left it."""
    going = upgrader(dc, kubernetes, path, upgrades, boundary=boundary)
    with dc.steps.step("the operator runs"):
        if site_of(going).definition() is None:
            way_of(going).install()
    return going


def way_of(going: Upgrader) -> Operating:
    """Return the way of an operator. Raises AssertionError: it is another one."""
    assert isinstance(going.way, Operating), f"not the way of an operator: {type(going.way).__name__}"
    return going.way


def site_of(going: Upgrader) -> Site:
    """Return the cluster with the operator."""
    return way_of(going).site


@contextmanager
def users_of(
    dc: DataCenter, kubernetes: KubernetesCluster, path: UpgradePath, *, probe: Prober, going: Upgrader
) -> Iterator[None]:
    """Demand that users of the cluster and of the custom resource notice nothing of the body.

    No object is lost, or has lost a field; each is what its controller makes of it, which wrote nothing twice; the API
    and services are away for no longer than the path allows; no other pod was restarted, and nothing goes on changing.

    Raises AssertionError with what all checkers say.
    """
    site = site_of(going)
    pods = web_on_every_node(kubernetes)
    lives = _lives(kubernetes)
    with writing(dc, site) as watch, probe.kubernetes(kubernetes, pods) as flows:
        yield
    version = V2 if way_of(going).at(NODE) == path.after else V1
    dc.recorder.record("note", "harness", name="flocks", written=len(watch.operations), version=version)
    _wait_told(dc, site, version)
    watch.final = {f"the API in {version}": held(site, version, prefix=watch.prefix)}
    judge(
        no_write_lost(watch.operations, watch.final),
        reconciled_once(site.flocks(version), site.made(), version),
        _outage(flows, longest=allowed(dc, path, "api"), traffic="api"),
        _outage(flows, longest=allowed(dc, path, "service"), traffic="service"),
        no_unexpected_restart(lives, _lives(kubernetes)),
        settled(dc, site, version),
    )


def expect_operator(going: Upgrader, path: UpgradePath, *, new: bool) -> None:
    """Demand that the operator is wholly of the new version, or of the old one: what runs, says, leads and is stored.

    Raises AssertionError with the facts that say otherwise.
    """
    wanted = path.after if new else path.before
    at = going.way.at(NODE)
    assert at == wanted, f"not at {wanted}: {at}"
    stored = site_of(going).stored()
    assert stored, "no object is stored: this proves nothing"
    version = V2 if new else V1
    number, _ = FIELDS[version]
    wrong = [name for name, each in stored.items() if number not in each["spec"]]
    assert not wrong, f"stored without `{number}`: {shown(sorted(wrong))}"


def expect_no_return(going: Upgrader) -> None:
    """Demand that going back is refused, and that nothing was touched; raises AssertionError otherwise."""
    before = marks(site_of(going), V2)
    try:
        led = going.back()
    except NoReturnError as refused:
        going.dc.recorder.record("note", "harness", name="point of no return", why=refused.message)
    else:
        raise AssertionError(f"{', '.join(led)} went back to {going.begun.origin}: nobody refused")
    judge(no_churn([before, marks(site_of(going), V2)]))


def reconciled_once(flocks: Mapping[str, Manifest], made: Mapping[str, Manifest], version: str) -> Verdict:
    """Judge whether each object has what its controller makes of it, and that was written no more often than it."""
    wrong: list[str] = []
    for name, flock in sorted(flocks.items()):
        if (found := made.get(name)) is None:
            wrong.append(f"{name}: nothing was made of it")
            continue
        data, generation = found["data"], int(flock["metadata"]["generation"])
        if any(data.get(key) != value for key, value in made_of(flock, version).items()):
            wrong.append(f"{name}: {data} is not what it asks for")
        elif int(data["writes"]) > generation:
            wrong.append(f"{name}: written {data['writes']} times, for {generation} changes")
    figures = {"objects": float(len(flocks)), "wrong": float(len(wrong))}
    if wrong:
        kind, message = Kind.INVALID, shown(wrong)
    elif not flocks:
        kind, message = Kind.UNKNOWN, "no objects"
    else:
        kind, message = Kind.VALID, f"{len(flocks)} objects, none written more often than it was changed"
    return Verdict(kind=kind, checker="reconciled_once", message=message, figures=figures)


def settled(dc: DataCenter, site: Site, version: str) -> Verdict:
    """Judge whether nobody writes any object, or starts a pod, for a while."""
    first = marks(site, version)
    for _ in ticks(1.0, duration=lasting(dc, QUIET)):
        pass  # nothing is to happen
    return no_churn([first, marks(site, version)])


def marks(site: Site, version: str) -> dict[str, str]:
    """Return what is another if somebody writes an object, or a pod of the operator is another one."""
    found = {f"flock {name}": str(each["metadata"]["resourceVersion"]) for name, each in site.flocks(version).items()}
    found |= {f"made of {name}": str(each["metadata"]["resourceVersion"]) for name, each in site.made().items()}
    found |= {f"pod of {each.app} {each.pod}": each.uid for each in site.pods()}
    return found | {"definition": str((site.definition() or {}).get("metadata", {}).get("resourceVersion"))}


def _wait_told(dc: DataCenter, site: Site, version: str) -> None:
    """Wait until controllers have told of each object as it is now."""

    def check() -> None:
        try:
            found = site.flocks(version)
        except ClusterError as error:
            raise NotYet(error.message) from error
        behind = [
            name
            for name, each in sorted(found.items())
            if each.get("status") != {"observedGeneration": each["metadata"]["generation"], "version": version}
        ]
        if behind:
            raise NotYet(f"not of {', '.join(behind[:5])}")

    what = f"a controller of {version} to have told of each object"
    wait_for(check, what=what, timeout=deadline(dc, _TOLD_SECONDS), interval=0.5)


def _outage(watch: FlowWatch, *, longest: float, traffic: Traffic) -> Verdict:
    """Judge the ways to the API alone, or all others."""
    flows = tuple(flow for flow in watch.flows if flow.lane.startswith(_API) == (traffic == "api"))
    return longest_flow_outage(replace(watch, flows=flows), budget=longest)


def _lives(kubernetes: KubernetesCluster) -> Mapping[str, str]:
    """Return what is another if a pod of somebody else is another one, or was restarted."""
    return {pod.name: f"{pod.uid} restarted {pod.restarts} times" for pod in kubernetes.pods(namespace=OTHERS)}
