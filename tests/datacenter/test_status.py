"""What `vdc status` says of a data centre, device by device."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from vdc.datacenter.live import UP, LiveDataCenter, boot_id
from vdc.datacenter.status import Status, status
from vdc.model.load import read_topology
from vdc.model.topology import Bfd, Topology
from vdc.testing import FakeDataCenter, Lie

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"


@pytest.fixture
def topology() -> Topology:
    return read_topology(SMALL)


def told(topology: Topology, folder: Path, *lies: Lie, off: str | None = None) -> Status:
    (folder / UP).write_text(json.dumps({"boot": boot_id(), "owner": None, "seconds": {}}))
    dc = FakeDataCenter(topology, folder, lies=lies)
    if off is not None:
        dc.servers[off].power_off()
    return status(cast(LiveDataCenter, dc))


def test_a_whole_data_centre_is_up(topology: Topology, tmp_path: Path) -> None:
    found = told(topology, tmp_path)
    assert (found.state, found.reasons) == ("up", ())
    assert {row.state for row in found.rows} == {"up"}
    assert found.rows[-1].detail == "BGP and BFD up with 2 of 2 peers"


def test_a_session_without_the_bfd_that_is_asked_for_is_not_up(topology: Topology, tmp_path: Path) -> None:
    found = told(topology, tmp_path, Lie.BFD_DOWN)
    assert found.state == "degraded"
    assert found.reasons == ("rack2-tor1: BGP and BFD up with 2 of 3 peers",)


@pytest.mark.parametrize("lies", [(), (Lie.BFD_DOWN,)])
def test_without_bfd_a_session_is_up_by_itself(topology: Topology, tmp_path: Path, lies: tuple[Lie, ...]) -> None:
    without = replace(topology, routing=replace(topology.routing, bfd=None, server_bfd=None))
    found = told(without, tmp_path, *lies)
    assert (found.state, found.reasons) == ("up", ())
    assert {row.detail.partition(" up")[0] for row in found.rows} == {"BGP"}


def test_bfd_is_asked_for_where_only_the_fabric_has_it(topology: Topology, tmp_path: Path) -> None:
    mixed = replace(topology, routing=replace(topology.routing, bfd=Bfd(), server_bfd=None))
    assert told(mixed, tmp_path).state == "up"
    assert told(mixed, tmp_path, Lie.BFD_DOWN).state == "degraded"


def test_a_server_that_is_off_is_a_reason_and_so_are_its_neighbours(topology: Topology, tmp_path: Path) -> None:
    found = told(topology, tmp_path, off="rack0-cs0")
    assert found.state == "degraded"
    assert "rack0-cs0: powered off" in found.reasons
    assert "rack0-tor0: BGP and BFD up with 2 of 3 peers" in found.reasons
