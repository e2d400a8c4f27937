"""Faults between real guests: partitions, and cables that are struck; and the partition that takes four racks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.host.conftest import TOPOLOGIES, Command
from tests.host.test_faults import kill, start_harness
from tests.host.test_power_faults import wait_let_go
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.faults import Fault, Isolated, LinkDisturbed, LinkFlap, LinkOneWay, injected, partition
from vdc.faults.leftovers import expect_nothing_left
from vdc.history import read
from vdc.model.disturbance import Disturbance
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet

NAME, RING = "t-parted", "t-ring"
SERVER, CABLE = "rack0-cs0", ("rack0-cs0", "eth0")

FOUR_RACKS = """
name: ring
fabric: {borders: 1, spines: 2, tors: 1}
racks: [{count: 4}]
external: {clients: 1}
"""

CABLES: dict[str, Fault] = {
    "both ways": LinkDisturbed(*CABLE, outgoing=Disturbance(delay=0.1), incoming=Disturbance(loss=0.2)),
    "one way": LinkOneWay(*CABLE),
    "flapping": LinkFlap(*CABLE, 3, 3.0, 2),
    "isolated": Isolated(SERVER, ("rack1-cs0",)),
}


@pytest.fixture(scope="module")
def three(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(TOPOLOGIES / "small.yml"), "--name", NAME, timeout=900)
    yield lifecycle.attach(NAME, settings, Steps())
    lifecycle.down(NAME, settings, Steps())


@pytest.fixture(scope="module")
def ring(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDataCenter]:
    file = tmp_path_factory.mktemp("ring") / "ring.yml"
    file.write_text(FOUR_RACKS)
    plan = lifecycle.prepare(expand(load(file)), RING, settings, Steps())
    yield lifecycle.up(plan, settings, Steps())
    lifecycle.down(RING, settings, Steps())


def expect_stood(dc: LiveDataCenter, fault: Fault) -> None:
    """Demand that a fault is seen not to bite before it is there, bites, heals, and leaves nothing."""
    with pytest.raises(NotYet):
        fault.bites(dc)
    with injected(dc, fault):
        assert dc.leftovers() != () or isinstance(fault, (LinkFlap, Isolated))
    wait_converged(dc)
    expect_nothing_left(dc)
    assert dc.dirty() is None


@pytest.mark.parametrize("shape", ["majority-ring", "minority", "bridge"])
def test_four_racks_are_parted_in_each_shape_that_takes_so_many(ring: LiveDataCenter, shape: str) -> None:
    expect_stood(ring, partition(ring.topology, shape, "racks", Random(7)))


@pytest.mark.parametrize(
    ("shape", "of"),
    [("halves", "servers"), ("minority", "racks"), ("bridge", "servers"), ("asymmetric", "servers")],
)
def test_guests_are_parted(three: LiveDataCenter, shape: str, of: str) -> None:
    expect_stood(three, partition(three.topology, shape, of, Random(7)))


@pytest.mark.parametrize("kind", CABLES)
def test_the_cable_of_a_guest_is_struck(three: LiveDataCenter, kind: str) -> None:
    expect_stood(three, CABLES[kind])


@pytest.mark.parametrize("kind", ["isolated", "parted"])
def test_it_is_healed_by_its_lease_where_the_harness_is_killed(
    three: LiveDataCenter, tmp_path: Path, kind: str
) -> None:
    fault = CABLES.get(kind) or partition(three.topology, "halves", "servers", Random(7))
    kill(start_harness(three, fault, 600.0, tmp_path / "log"))
    wait_let_go(three)
    wait_converged(three)
    phases = [each.data["phase"] for each in read(three.recorder.path) if each.kind == "fault"]
    assert phases[-4:] == ["inject", "bites", "heal", "healed"]
    expect_nothing_left(three)
    assert three.dirty() is None
