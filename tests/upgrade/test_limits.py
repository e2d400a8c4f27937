"""How many nodes are away together is what the row says, in a scenario and on the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vdc.model.load import read_topology
from vdc.rolling.queue import Order
from vdc.testing import FakeCluster, FakeDataCenter, FakeUpgrades
from vdc.upgrade.paths import path
from vdc.upgrade.trial import upgrader
from vdc.upgrade.upgrader import limits_of

ROW = replace(path("os-debian-13"), at_once=3)


def test_as_many_go_together_as_the_row_allows_or_the_caller() -> None:
    assert limits_of(ROW).at_once == 3
    assert limits_of(ROW, at_once=2).at_once == 2
    assert limits_of(ROW).order is Order.VOTERS_FIRST


def test_a_scenario_keeps_to_the_row(tmp_path: Path) -> None:
    dc = FakeDataCenter(read_topology(Path(__file__).parents[2] / "topologies" / "small.yml"), tmp_path)
    cluster = FakeCluster(dc)
    assert upgrader(dc, cluster, ROW, FakeUpgrades(dc)).limits.at_once == 3
