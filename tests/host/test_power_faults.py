"""Faults of the power of real routers: they bite, heal, and are healed where the harness dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import TOPOLOGIES
from tests.host.test_faults import kill, start_harness
from vdc.datacenter import lifecycle
from vdc.datacenter.api import Power
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.faults import (
    Fault,
    Feed,
    FeedOff,
    RackOff,
    SiteDark,
    injected,
)
from vdc.faults import lease as leases
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

FABRIC = "t-dark"


@pytest.fixture(scope="module")
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    plan = lifecycle.prepare(expand(load(TOPOLOGIES / "fabric.yml")), FABRIC, settings, Steps())
    yield lifecycle.up(plan, settings, Steps())
    lifecycle.down(FABRIC, settings, Steps())


@pytest.mark.parametrize("fault", [RackOff(1), FeedOff(2, Feed.B), SiteDark()], ids=["rack", "feed", "site"])
def test_routers_lose_their_power_and_get_it_back(fabric: LiveDataCenter, fault: Fault) -> None:
    with injected(fabric, fault):
        off = {name for name, router in fabric.routers.items() if router.power() is Power.OFF}
    assert off == set(fault.devices(fabric))  # type: ignore[attr-defined]
    wait_converged(fabric)
    assert fabric.dirty() is None


def test_a_dark_site_is_switched_on_by_the_lease_where_the_harness_is_killed(
    fabric: LiveDataCenter, tmp_path: Path
) -> None:
    kill(start_harness(fabric, SiteDark(), 600.0, tmp_path / "log"))
    wait_let_go(fabric)
    wait_converged(fabric)
    assert fabric.dirty() is None


def wait_let_go(dc: LiveDataCenter) -> None:
    def let_go() -> None:
        if held := leases.held(dc.run_directory):
            raise NotYet(str(held))

    wait_for(let_go, what="the lease to be let go", timeout=300)
