"""Another BIRD on routers: one at a time, started when all neighbours have let go of the old one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.errors import WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.rolling.queue import Limits, Queue
from vdc.testing import FakeDataCenter, Lie
from vdc.upgrade.paths import path
from vdc.upgrade.routers import Restarting
from vdc.upgrade.routers_trial import expect_birds

FABRIC = Path(__file__).parents[2] / "topologies/fabric.yml"
NEW = "routers-bird-2.17"


def made(tmp_path: Path, *lies: Lie) -> tuple[FakeDataCenter, Restarting]:
    dc = FakeDataCenter(expand(load(FABRIC)), tmp_path, lies=lies)
    return dc, Restarting(dc, path(NEW))


def go(way: Restarting, router: str) -> None:
    for step in way.forward(router):
        step.do()
        step.done()


def test_no_two_routers_are_away_together(tmp_path: Path) -> None:
    dc, way = made(tmp_path)
    queue = Queue.of(way.nodes, Limits(at_once=8))
    assert set(queue.left) == set(dc.routers)
    (first,) = queue.ready(0.0)
    assert queue.started(first).ready(0.0) == ()


def test_a_router_is_upgraded_and_goes_back(tmp_path: Path) -> None:
    dc, way = made(tmp_path)
    go(way, "rack0-tor0")
    assert way.at("rack0-tor0") == NEW
    assert way.at("rack0-tor1") == "routers-bird-2.0"
    expect_birds(dc, path(NEW), new=("rack0-tor0",))
    started = dc.routers["rack0-tor0"].program().since
    go(way, "rack0-tor0")
    assert dc.routers["rack0-tor0"].program().since == started, "it was restarted for nothing"
    for step in way.back("rack0-tor0"):
        step.do()
        step.done()
    expect_birds(dc, path(NEW), new=())


def test_a_router_whose_bird_hangs_is_upgraded(tmp_path: Path) -> None:
    dc, way = made(tmp_path)
    dc.routers["spine0"].freeze_bird()
    assert way.at("spine0").startswith("no BIRD: ")
    go(way, "spine0")
    assert way.at("spine0") == NEW


def test_the_new_bird_waits_until_neighbours_have_let_go_of_the_old(tmp_path: Path) -> None:
    dc, way = made(tmp_path, Lie.FAULT_WITHOUT_EFFECT)
    with pytest.raises(WaitTimeout, match="the neighbours of rack0-tor0 to let go of it") as caught:
        go(way, "rack0-tor0")
    assert "BGP Established, BFD Up" in str(caught.value)
    assert dc.routers["rack0-tor0"].program().since == "1"


def test_each_router_that_is_not_as_it_should_be_is_named(tmp_path: Path) -> None:
    dc, way = made(tmp_path)
    go(way, "rack0-tor0")
    with pytest.raises(AssertionError, match=r"rack0-tor0: BIRD 2\.17\.5 .*, not 2\.0\.12"):
        expect_birds(dc, path(NEW), new=())
