"""What every trial of another BIRD on routers demands, as `vdc.upgrade.trial` does of servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vdc.datacenter.api import DataCenter, Routes
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget, lasting
from vdc.observe.flow_checkers import longest_flow_outage
from vdc.observe.service import Prober
from vdc.observe.steadiness import no_churn
from vdc.observe.verdict import Verdict, judge
from vdc.upgrade.path import UpgradePath
from vdc.upgrade.trial import QUIET, Upgrades, upgrader
from vdc.upgrade.upgrader import Upgrader
from vdc.wait import ticks


def at_origin(dc: DataCenter, path: UpgradePath, upgrades: Upgrades) -> Upgrader:
    """Lead all routers to where a path begins, whatever this host's BIRD is, and return who goes it from there."""
    going = upgrader(dc, None, path, upgrades)
    with dc.steps.step(f"routers run {path.origin}"):
        for node in going.way.nodes:
            if going.way.at(node.name) != path.before:
                for step in going.way.back(node.name):
                    step.do()
                    step.done()
        wait_converged(dc)
    expect_birds(dc, path, new=())
    return going


@contextmanager
def flows_kept(dc: DataCenter, path: UpgradePath, *, probe: Prober) -> Iterator[None]:
    """Demand that packets go everywhere during the body, and that afterwards routes are as before and no BIRD restarts.

    Raises AssertionError.
    """
    before = _routes(dc)
    with probe.flows(dc) as watch:
        yield
        wait_converged(dc)
    after = _routes(dc)
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, f"other routes than before: {', '.join(changed)}"
    judge(longest_flow_outage(watch, budget=budget(dc, path.budgets["flows"])), settled(dc))


def expect_birds(dc: DataCenter, path: UpgradePath, *, new: tuple[str, ...]) -> None:
    """Demand that these routers run the new release of a path, by the version and by the bytes, and all others the old.

    Raises AssertionError, naming each router that does not.
    """
    (change,) = path.changes
    assert dc.routers, "no routers"
    assert set(new) <= set(dc.routers)
    wrong: list[str] = []
    for name, router in sorted(dc.routers.items()):
        release, version = (path.target, change.new) if name in new else (path.origin, change.old)
        runs, wanted = router.program(), router.program_of(release)
        if not f"{runs.version}.".startswith(f"{version}.") or runs != wanted:
            wrong.append(f"{name}: BIRD {runs.version} {runs.digest[:12]}…, not {wanted.version} {wanted.digest[:12]}…")
    assert not wrong, f"not as it should be with {path.target} on {', '.join(new) or 'none'}: {'; '.join(wrong)}"


def settled(dc: DataCenter) -> Verdict:
    """Judge whether no BIRD restarts for a while."""
    first = marks(dc)
    for _ in ticks(1.0, duration=lasting(dc, QUIET)):
        pass  # nothing is to happen
    return no_churn([first, marks(dc)])


def marks(dc: DataCenter) -> dict[str, str]:
    """Return what is another if a BIRD restarts."""
    return {f"BIRD of {name}": router.program().since for name, router in dc.routers.items()}


def _routes(dc: DataCenter) -> Mapping[str, Routes]:
    return {name: router.routes() for name, router in dc.routers.items()}
