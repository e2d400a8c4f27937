"""Routers get another BIRD, one after the other and gracefully: packets go on, on the way there and back."""

from dataclasses import replace

import pytest

from vdc.datacenter.api import DataCenter
from vdc.observe.service import Prober
from vdc.observe.steadiness import no_churn
from vdc.observe.verdict import judge
from vdc.upgrade.mixed import holds, scenarios
from vdc.upgrade.paths import path
from vdc.upgrade.routers_trial import at_origin, expect_birds, flows_kept, marks, router_upgrader, settled

pytestmark = [pytest.mark.upgrade, pytest.mark.bare, pytest.mark.graceful]

PATH = "routers-bird-2.17"

ORDINARY = (
    "standard/test_fabric.py::test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel",
    "standard/test_fabric.py::test_every_pair_of_racks_is_joined_over_every_spine",
)
"""What must hold with two BIRDs at once, as on any other day."""


@pytest.mark.upgrades(PATH, "plain")
def test_every_router_gets_the_new_bird_and_packets_go_on(dc: DataCenter, probe: Prober) -> None:
    """One after the other restarts with the BIRD of the new release, and forwards meanwhile."""
    row = path(PATH)
    going = at_origin(dc, row)
    with flows_kept(dc, row, probe=probe):
        assert set(going.run()) == set(dc.routers)
    expect_birds(dc, row, new=tuple(dc.routers))


@pytest.mark.upgrades(PATH, "rollback-one")
@pytest.mark.upgrades(PATH, "rollback-all")
def test_one_router_goes_back_midway_and_all_afterwards(dc: DataCenter, probe: Prober) -> None:
    """The first that was upgraded has the old BIRD again; then all are upgraded, and all go back."""
    row = path(PATH)
    going = at_origin(dc, row)
    with flows_kept(dc, row, probe=probe):
        (first,) = going.run(most=1)
        expect_birds(dc, row, new=(first,))
        assert going.back([first]) == (first,)
        expect_birds(dc, row, new=())
        assert set(going.run()) == set(dc.routers)
        expect_birds(dc, row, new=tuple(dc.routers))
        assert set(going.back()) == set(dc.routers)
    expect_birds(dc, row, new=())


@pytest.mark.upgrades(PATH, "hold")
def test_two_birds_at_once_route_as_one(dc: DataCenter, probe: Prober) -> None:
    """After the first router, half of them and all but one, the fabric is as on any other day."""
    row = path(PATH)
    going = at_origin(dc, row)
    new: tuple[str, ...] = ()
    for number in holds(len(dc.routers)):
        with flows_kept(dc, row, probe=probe):
            new += going.run(most=number)
        assert len(new) == number
        expect_birds(dc, row, new=new)
        for name, scenario in scenarios(ORDINARY):
            with dc.steps.step(f"with {number} new: {name}"):
                scenario(dc)


@pytest.mark.upgrades(PATH, "again")
def test_routers_that_run_the_release_already_are_left_alone(dc: DataCenter, probe: Prober) -> None:
    """None of them restarts."""
    row = path(PATH)
    at_origin(dc, row)
    same = replace(row, target=row.origin)
    before = marks(dc)
    with flows_kept(dc, row, probe=probe):
        assert router_upgrader(dc, same).run() == ()
    judge(no_churn([before, marks(dc)]), settled(dc))
