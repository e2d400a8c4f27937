"""A trial of another BIRD begins at its origin, whatever the host's BIRD is."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.model.load import read_topology
from vdc.testing import FakeDataCenter, FakeUpgrades, birds
from vdc.upgrade.paths import path
from vdc.upgrade.routers_trial import at_origin

ROOT = Path(__file__).parents[2]


def test_routers_that_run_a_bird_of_neither_release_are_led_to_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = path("routers-bird-2.17")
    monkeypatch.setattr(birds, "_VERSIONS", {**birds._VERSIONS, "another": "2.14"})
    dc = FakeDataCenter(read_topology(ROOT / "topologies" / "fabric.yml"), tmp_path)
    dc.world.birds._runs |= dict.fromkeys(dc.routers, "another")
    going = at_origin(dc, row, FakeUpgrades(dc))
    assert {going.way.at(name) for name in dc.routers} == {row.before}
