"""The way of a running data centre from one plan to another: it grows, converges, is drained, and shrinks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from vdc.datacenter import cloning
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.templates import Templates
from vdc.host import changing, engine, removal
from vdc.host.engine import Build
from vdc.model.ip import Prefix
from vdc.model.routing import expected_routes
from vdc.model.topology import Topology
from vdc.plan.diff import Diff
from vdc.plan.plan import Plan, make_plan
from vdc.plan.reshape import drained, impairments, owner, quieted, union
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk, Overlay
from vdc.plan.resources.network import DefaultRoute
from vdc.plan.resources.processes import Bird, Domain
from vdc.plan.servers import NETWORK

_WORKERS: Final = 4

_TAKE_OVER: Final = """\
blockdev --flushbufs /dev/vdc
tar -x -f /dev/vdc -C /
"""
"""What a guest runs to have the new files of its config disk, which it would find when it boots."""

_READDRESS: Final = f"""\
for port in $(sed -n 's/^addr add .* dev //p' {NETWORK} | sort -u); do ip addr flush dev "$port" scope global; done
ip -force -batch {NETWORK} 2> /dev/null
"""
"""What it runs if it has other addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The data centre as it was, as it is with everything old and new, and as it will be; and what differs."""

    before: LiveDataCenter
    between: LiveDataCenter
    after: LiveDataCenter
    found: Diff

    def build(self, plan: Plan) -> Build:
        """Return what executors need to know to bring about a part of `plan`."""
        return Build(plan=plan, settings=self.after.settings, secrets=self.after.secrets)

    def known(self, plan: Plan, *kinds: type[Resource]) -> Iterator[Resource]:
        """Yield the resources of some kinds, as they are in `plan`, that were there before."""
        new = {each.id for each in self.found.added}
        yield from (each for each in plan.resources if isinstance(each, kinds) and each.id not in new)

    @property
    def impairments(self) -> Mapping[str, Sequence[Resource]]:
        """What differs in what links do to packets, by the router to drain meanwhile."""
        return impairments(self.found, self.before.topology, self.after.topology)

    @property
    def rewired(self) -> frozenset[str]:
        """The ids of all that."""
        return frozenset(each.id for differs in self.impairments.values() for each in differs)

    @property
    def leaving_servers(self) -> Sequence[Resource]:
        """All that is removed of servers."""
        servers = {server.name for server in self.before.topology.servers}
        return [each for each in self.found.removed if owner(each) in servers]


def reshape(dc: LiveDataCenter, target: Plan, found: Diff, templates: Templates) -> LiveDataCenter:
    """Bring a data centre that has converged to `target`, from which it differs as `found`; return it converged.

    New servers are clones of their `templates`; those that have none boot cold.

    Raises BuildError, CommandError, WaitTimeout: naming the resource or the fact.
    """
    after = replace(dc, plan=target)
    both = union(dc.topology, target.topology)
    between = replace(dc, plan=make_plan(both, target.context)) if both != target.topology else after
    way = _Way(before=dc, between=between, after=after, found=found)
    _grow(way, templates)
    with dc.steps.step("wait for what is there to converge"):
        wait_converged(between)
    # only now does every new way lead on
    changing.change(way.known(target, DefaultRoute), way.build(target))
    for router, differs in way.impairments.items():
        with dc.steps.step(f"change the links of {router}"):
            _change_links(way, router, {each.id for each in differs})
    if found.removed:
        with dc.steps.step("drain what leaves"):
            _drain(way)
    with dc.steps.step("let everybody go by the new plan"):
        changing.change(way.known(target, Bird), way.build(target))
    done = way.rewired | {each.id for each in way.leaving_servers}
    if rest := [each for each in found.removed if each.id not in done]:
        with dc.steps.step("remove what leaves"):
            removal.remove(rest, dc.plan)
    with dc.steps.step("wait for everything to converge"):
        wait_converged(after)
    return after


def _grow(way: _Way, templates: Templates) -> None:
    """Add what is new, and let what stays know of it; nothing is forgotten yet."""
    steps, later = way.after.steps, way.rewired
    added = {each.id for each in way.found.added} - later
    build = way.build(way.after.plan)
    if added:
        with steps.step("build what is new"):
            engine.apply(build, only=lambda each: each.id in added and not _is_started(each, templates))
    with steps.step("change what stays"):
        at_once = (new for _, new in way.found.changed if not isinstance(new, Bird | DefaultRoute | ConfigDisk))
        changing.change([each for each in at_once if each.id not in later], build)
        changing.change(way.known(way.between.plan, Bird), way.build(way.between.plan))
        removal.remove(way.leaving_servers, way.before.plan)
        disks = {disk.id: disk for disk in _config_disks(way)}
        engine.apply(build, only=lambda each: each.id in disks)
        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(lambda disk: _take_over(way, disk), disks.values()))
    if any(isinstance(each, Domain) for each in way.found.added):
        with steps.step("start the new servers"):
            _start(way, templates)


def _is_started(resource: Resource, templates: Templates) -> bool:
    """Return whether a resource is made when a server is started: its root disk only if it is a clone."""
    return isinstance(resource, Domain) or (isinstance(resource, Overlay) and resource.server in templates)


def _start(way: _Way, templates: Templates) -> None:
    """Start the new servers and wait until they answer."""
    cold = {each.server for each in way.found.added if isinstance(each, Domain)} - set(templates)
    engine.apply(way.build(way.after.plan), only=lambda each: isinstance(each, Domain) and each.server in cold)
    cloning.start(way.after, templates)
    for name in sorted(cold):
        way.after.servers[name].wait_answering()


def _change_links(way: _Way, router: str, ids: Collection[str]) -> None:
    """Let links do other things to packets while nothing is sent over them, if there is another way to everywhere."""
    between = way.between
    plan = make_plan(quieted(between.topology, router), between.plan.context)
    spared = {loopback.network for loopback in between.topology.router(router).loopbacks}
    is_spare = _reached(plan.topology, spared) == _reached(between.topology, spared)
    _go_by(way, replace(between, plan=plan) if is_spare else between)
    removal.remove([each for each in way.found.removed if each.id in ids], way.before.plan)
    engine.apply(way.build(way.after.plan), only=lambda each: each.id in ids)
    _go_by(way, between)


def _reached(topology: Topology, spared: Collection[Prefix]) -> Mapping[str, Collection[Prefix]]:
    """Return the prefixes but some that each device has routes to."""
    return {name: routes.keys() - spared for name, routes in expected_routes(topology).items()}


def _go_by(way: _Way, dc: LiveDataCenter) -> None:
    """Let every router go by the plan of `dc`, and wait until all do."""
    changing.change((each for each in dc.plan.resources if isinstance(each, Bird)), way.build(dc.plan))
    wait_converged(dc)


def _drain(way: _Way) -> None:
    """Withdraw what leaves from the routes of what stays, and wait until nothing is sent there any more."""
    plan = make_plan(drained(way.between.topology, way.after.topology), way.after.plan.context)
    _go_by(way, replace(way.between, plan=plan))


def _config_disks(way: _Way) -> Iterator[ConfigDisk]:
    """Yield the config disks that are other than before: of every server, where names of servers come or go."""
    known = {(server.name, server.nodes) for server in way.before.topology.servers}
    named = {(server.name, server.nodes) for server in way.after.topology.servers}
    for disk in way.known(way.after.plan, ConfigDisk):
        if isinstance(disk, ConfigDisk) and (known != named or way.before.plan.resource(disk.id) != disk):
            yield disk


def _take_over(way: _Way, disk: ConfigDisk) -> None:
    old = way.before.plan.resource(disk.id)
    assert isinstance(old, ConfigDisk)
    readdress = _READDRESS if old.files.get(NETWORK) != disk.files.get(NETWORK) else ""
    machine: LiveMachine = way.after.servers[disk.server]
    machine.run(["sh", "-s"], stdin=f"{_TAKE_OVER}{readdress}birdc configure\n")
