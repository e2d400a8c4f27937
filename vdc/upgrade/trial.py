"""What every trial of an upgrade demands: a steady state before, users who see nothing, and then the new release.

Five points: versions before, load, steps (these are the body's), versions and processes afterwards, and the verdict:
what users noticed, what was lost, and what is another way than it was, or than it is after a fresh install.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import budget, lasting
from vdc.errors import InputError
from vdc.faults.proofs import keeping_data, others, versions, wait_whole
from vdc.observe.flow_checkers import longest_flow_outage
from vdc.observe.service import Prober, service_verdicts
from vdc.observe.steadiness import no_churn
from vdc.observe.verdict import Verdict, judge
from vdc.rolling.history import nobody_away
from vdc.rolling.witness import Witness, restart_verdicts, witnessing
from vdc.upgrade.compare import Difference, as_it_should_be, differences
from vdc.upgrade.journal import FILE, Begun, Journal
from vdc.upgrade.looking import Look, look
from vdc.upgrade.parts import programs_of
from vdc.upgrade.path import Method, Traffic, UpgradePath
from vdc.upgrade.running import nothing_old
from vdc.upgrade.steady import running as running_on
from vdc.upgrade.upgrader import Boundary, Moment, NoReturnError, Upgrader, limits_of
from vdc.upgrade.way import Way
from vdc.wait import ticks

QUIET: Final = 5.0
"""Seconds after an upgrade in which nothing may restart: what does so at all does so every second."""

_TOLD: Final[Mapping[str, str]] = MappingProxyType(
    {"debian": "os", **{name: name for name in ("kernel", "bird", "etcd", "containerd", "kubernetes")}}
)
"""Components of which servers tell the version themselves, and what they call them; of others `Way.at` knows."""

RESTARTING: Final = frozenset({Method.REIMAGE, Method.FIRMWARE})
"""What servers restart for."""

_AT_ONCE: Final = 4  # servers
_BEFORE: Final = "before → after"
_FRESH: Final = "a fresh install → after"
_RETURNED: Final = "before → back"


class Releases(Protocol):
    """What is known of releases besides any cluster."""

    def fresh(self, dc: DataCenter, release: str) -> Mapping[str, Look]:
        """Return each member of the data centre, as it is right after a fresh install of a release."""

    def executables(self, dc: DataCenter, release: str, paths: frozenset[str]) -> Mapping[str, str]:
        """Return the SHA-256 of files of a release by path; what it does not have is left out."""


Inside = Callable[[], str]
"""Returns the server that something is being done to now. Raises NotYet: to none."""


class Upgrades(Releases, Protocol):
    """The type of the fixture `upgrades`."""

    def path(self, name: str) -> UpgradePath:
        """Return a row of the paths. Raises InputError: there is none of that name."""

    def way(self, dc: DataCenter, cluster: Cluster | None, path: UpgradePath) -> Way:
        """Return how the nodes go a path. Raises InputError: nobody knows how."""

    def killed(self, dc: DataCenter, cluster: Cluster | None, path: UpgradePath, *, moment: Moment) -> str:
        """Have a path gone by a process that is killed at the next `moment` of a step, and return which that was.

        An empty text says that there was none left.
        """

    def killed_inside(self, dc: DataCenter, cluster: Cluster, path: UpgradePath, inside: Inside) -> str:
        """Have a path gone by a process that is killed when `inside` first returns a server; return which.

        An empty text says that it was done before that.
        """


def upgrader(
    dc: DataCenter, cluster: Cluster | None, path: UpgradePath, upgrades: Upgrades, *, boundary: Boundary | None = None
) -> Upgrader:
    """Return who goes a path on a data centre, with the journal of that."""
    way = upgrades.way(dc, cluster, path)
    begun = Begun(path=path.name, origin=path.before, target=path.after)
    journal = Journal(dc.run_directory / FILE)
    going = Upgrader(
        dc=dc, way=way, begun=begun, journal=journal, limits=limits_of(path), whole=partial(wait_whole, dc, cluster)
    )
    return going if boundary is None else replace(going, boundary=boundary)


@contextmanager
def tried(
    dc: DataCenter, cluster: Cluster, path: UpgradePath, *, probe: Prober, upgrades: Upgrades
) -> Iterator[Upgrader]:
    """Demand that the body leads all nodes of a path from its old release to its new one, and that nobody notices.

    Each node restarts once where the path takes a restart, and else never; never are more away than the path allows.

    Raises AssertionError with what all checkers say; WaitTimeout: it is not whole afterwards.
    """
    going = upgrader(dc, cluster, path, upgrades)
    whole = proven(dc, cluster, path, going.way, upgrades=upgrades)
    with whole, witnessing(dc) as witness, under_load(dc, cluster, path, probe=probe):
        yield going
    judge(*restarts(witness, going.way, path))


@contextmanager
def proven(dc: DataCenter, cluster: Cluster, path: UpgradePath, way: Way, *, upgrades: Upgrades) -> Iterator[None]:
    """Demand that the body leads all nodes from the old release to the new one, by all that can be seen of them.

    Raises AssertionError with what all checkers say.
    """
    expect_release(dc, way, path, new=False)
    fresh = upgrades.fresh(dc, path.target)
    before = looks(dc, cluster)
    yield
    first = marks(dc, cluster)
    expect_release(dc, way, path, new=True)
    judge(*evidence(dc, cluster, path, before=before, fresh=fresh, upgrades=upgrades), settled(dc, cluster, first))


def restarts(witness: Witness, way: Way, path: UpgradePath) -> tuple[Verdict, ...]:
    """Judge whether those went away who had to, each once, and no more at a time than a path allows."""
    if path.method in RESTARTING:
        return restart_verdicts(witness, servers=[node.name for node in way.nodes], most=path.at_once)
    return (nobody_away(witness.away, witness.events),)


@contextmanager
def under_load(
    dc: DataCenter, cluster: Cluster, path: UpgradePath, *, probe: Prober, besides: Collection[str] = ()
) -> Iterator[None]:
    """Demand that what is written and read, and what goes between racks, is not interrupted longer than a path allows.

    What ends at a member itself, or at one of the devices `besides`, is left out: that goes away.

    Raises AssertionError.
    """
    away = {*cluster.members, *besides}
    with probe.flows(dc, away=away) as flows, probe.etcd(cluster) as watch, keeping_data(cluster):
        yield
        wait_whole(dc, cluster)
    judge(
        *service_verdicts(watch, longest=allowed(dc, path, "etcd")),
        longest_flow_outage(flows, budget=allowed(dc, path, "flows")),
    )


def die_at_every_boundary(
    dc: DataCenter, cluster: Cluster | None, path: UpgradePath, way: Way, upgrades: Upgrades
) -> None:
    """Have a path gone by upgraders each of which is killed, twice at each step: see `dies_at`.

    Raises AssertionError: they get no further, or one was spared.
    """
    steps = sum(len(way.forward(node.name)) for node in way.nodes)
    deaths: list[str] = []
    while death := upgrades.killed(dc, cluster, path, moment=dies_at(len(deaths))):
        dc.recorder.record("note", "harness", name=f"the upgrader was killed: {death}")
        deaths.append(death)
        assert len(deaths) <= 2 * steps, f"it gets no further: {deaths[-4:]}"
    assert len(deaths) == 2 * steps, f"killed {len(deaths)} times at {steps} steps: {deaths}"


def dies_at(deaths: int) -> Moment:
    """Return the moment at which the next upgrader dies, after so many deaths, two at each step.

    First where the step is begun and nobody has waited for its facts, or where it is done, and not yet in the journal:
    in an order without a period (Thue and Morse), so that neither stays with a step. Then where it is in the journal.
    """
    step, recorded = divmod(deaths, 2)
    if recorded:
        return Moment.RECORDED
    return Moment.DONE if step.bit_count() % 2 else Moment.BEGUN


def allowed(dc: DataCenter, path: UpgradePath, traffic: Traffic) -> float:
    """Return the longest outage that a path allows here, in seconds. Raises InputError: its row says nothing of it."""
    if traffic not in path.budgets:
        raise InputError(f"{path.name}: no budget for {traffic}", hint=f"budgets: {{{traffic}: 20s}} in its row")
    return budget(dc, path.budgets[traffic])


def expect_release(
    dc: DataCenter, way: Way, path: UpgradePath, *, new: bool, of: Collection[str] | None = None
) -> None:
    """Demand that every node, or each `of` these, runs the new release of a path, or the old, with the right versions.

    Raises AssertionError, naming each node that does not.
    """
    release = path.after if new else path.before
    names = [node.name for node in way.nodes if of is None or node.name in of]
    assert names, f"{path.name}: no nodes"
    at = {name: way.at(name) for name in names}
    assert set(at.values()) == {release}, f"not at {release}: {_but(at, release)}"
    found = {name: has for name, has in versions(dc).items() if name in names}
    if not found:
        return  # routers tell their versions by `at`
    wanted = {_TOLD[each.component]: each.new if new else each.old for each in path.changes if each.component in _TOLD}
    wrong = others({name: _plain(has) for name, has in found.items()}, wanted) if wanted else ()
    assert not wrong, "; ".join(wrong)
    assert len({tuple(sorted(has.items())) for has in found.values()}) == 1, f"not the same versions: {found}"


def _plain(has: Mapping[str, str]) -> Mapping[str, str]:
    """Return versions with that of the operating system as releases have it: `13`, and not `debian-13`."""
    return {name: version.removeprefix("debian-") for name, version in has.items()}


def expect_no_return(going: Upgrader) -> None:
    """Demand that going back is refused, since it is past the point of no return; raises AssertionError otherwise."""
    assert going.way.no_return() is not None, f"{going.begun.path}: nobody refused to go back to {going.begun.origin}"
    boots = {node.name: going.dc.servers[node.name].boot_id() for node in going.way.nodes}
    try:
        led = going.back()
    except NoReturnError as refused:
        going.dc.recorder.record("note", "harness", name="point of no return", why=refused.message)
    else:
        raise AssertionError(f"{', '.join(led)} went back to {going.begun.origin}: nobody refused")
    assert boots == {name: going.dc.servers[name].boot_id() for name in boots}, "it was refused after a reboot"


def looks(dc: DataCenter, cluster: Cluster) -> Mapping[str, Look]:
    """Look at every member. Raises CommandError, WaitTimeout."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(cluster.members, pool.map(look, (dc.servers[name] for name in cluster.members)), strict=True))


def evidence(
    dc: DataCenter,
    cluster: Cluster,
    path: UpgradePath,
    *,
    before: Mapping[str, Look],
    fresh: Mapping[str, Look],
    upgrades: Upgrades,
) -> tuple[Verdict, ...]:
    """Return what speaks for an upgrade that was done: what runs, and what changed."""
    after = looks(dc, cluster)
    kept = path.origin if path.method is Method.IN_PLACE else None
    return (
        running(dc, installed(dc, path), after, upgrades, kept=kept, renewed=programs_of(path)),
        changed(path, before, after, fresh),
    )


def installed(dc: DataCenter, path: UpgradePath) -> str:
    """Return the release that is on the disks of servers at the end of a path: another firmware changes none of it."""
    return dc.topology.release if path.method is Method.FIRMWARE else path.target


def running(
    dc: DataCenter,
    release: str,
    seen: Mapping[str, Look],
    upgrades: Upgrades,
    *,
    kept: str | None = None,
    renewed: Collection[str] = (),
) -> Verdict:
    """Judge whether nothing but what a release has runs on any server.

    Where only programs `renewed` were given, all others are those of the release `kept`: the images of the two may have
    been built on different days.
    """
    processes = {server: one.processes for server, one in seen.items()}
    paths = frozenset(process.executable for ran in processes.values() for process in ran)
    expected = dict(upgrades.executables(dc, release, paths))
    if kept is not None:
        old = upgrades.executables(dc, kept, paths.difference(renewed))
        expected |= old
    return nothing_old(processes, expected, release=release)


def changed(
    path: UpgradePath, before: Mapping[str, Look], after: Mapping[str, Look], fresh: Mapping[str, Look]
) -> Verdict:
    """Judge whether all that is another way than before, or than after a fresh install, has a reason in the path."""
    found = (*_differ(_BEFORE, before, after), *_differ(_FRESH, fresh, after, fresh=True))
    return as_it_should_be(found, path.allowed, looked=_number(after))


def returned(path: UpgradePath, before: Mapping[str, Look], after: Mapping[str, Look]) -> Verdict:
    """Judge whether all that is another way than before nodes went, and went back, has a reason in the path."""
    return as_it_should_be(tuple(_differ(_RETURNED, before, after)), path.allowed, looked=_number(after))


def _differ(
    between: str, then: Mapping[str, Look], after: Mapping[str, Look], *, fresh: bool = False
) -> Iterator[Difference]:
    for server, now in after.items():
        yield from differences(server, between, then[server].things, now.things, fresh=fresh)


def _number(seen: Mapping[str, Look]) -> int:
    """Return how many things were looked at."""
    return sum(len(things) for one in seen.values() for things in one.things.values())


def settled(dc: DataCenter, cluster: Cluster, first: Mapping[str, str] | None = None) -> Verdict:
    """Judge whether nothing restarts, and no other leads, for a while; or since `first`, which `marks` returned."""
    before = marks(dc, cluster) if first is None else first
    for _ in ticks(1.0, duration=lasting(dc, QUIET)):
        pass  # nothing is to happen
    return no_churn([before, marks(dc, cluster)])


def unchanged(before: Mapping[str, str], dc: DataCenter, cluster: Cluster) -> Verdict:
    """Judge whether everything is as it was at `before`, which `marks` returned."""
    return no_churn([before, marks(dc, cluster)])


def marks(dc: DataCenter, cluster: Cluster) -> dict[str, str]:
    """Return what is another if something restarts: boots, services, processes, the leader."""
    found = {f"boot of {name}": dc.servers[name].boot_id() for name in cluster.members}
    found |= {f"{member.server} leads": str(member.leader) for member in cluster.state()}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        told = pool.map(running_on, (dc.servers[name] for name in cluster.members))
        for server, running in zip(cluster.members, told, strict=True):
            found |= {f"{name} on {server}": state for name, state in running.items()}
    return found


def _but(at: Mapping[str, str], release: str) -> str:
    return "; ".join(f"{name} runs {found}" for name, found in sorted(at.items()) if found != release)
