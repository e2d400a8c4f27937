"""Routers get another BIRD, one after the other and gracefully: packets go on, on the way there and back."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.faults import Inject, RouterOff
from vdc.faults.selectors import spine
from vdc.observe.service import Prober
from vdc.observe.steadiness import no_churn
from vdc.observe.verdict import judge
from vdc.upgrade.mixed import holds, play
from vdc.upgrade.routers_trial import at_origin, expect_birds, flows_kept, marks, settled
from vdc.upgrade.trial import Upgrades, die_at_every_boundary, upgrader
from vdc.upgrade.upgrader import Moment

pytestmark = [pytest.mark.upgrade, pytest.mark.bare, pytest.mark.graceful]

PATH = "routers-bird-2.17"

ORDINARY = (
    "standard/test_fabric.py::test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel",
    "standard/test_fabric.py::test_every_pair_of_racks_is_joined_over_every_spine",
)
"""What must hold with two BIRDs at once, as on any other day."""


@pytest.mark.upgrades(PATH, "plain")
@pytest.mark.upgrades(PATH, "again")
def test_every_router_gets_the_new_bird_and_packets_go_on_and_again_changes_nothing(
    dc: DataCenter, probe: Prober, upgrades: Upgrades
) -> None:
    """One after the other restarts with the new BIRD, and forwards meanwhile; a second time none of them restarts."""
    row = upgrades.path(PATH)
    going = at_origin(dc, row, upgrades)
    with flows_kept(dc, row, probe=probe):
        assert set(going.run()) == set(dc.routers)
    expect_birds(dc, row, new=tuple(dc.routers))
    before = marks(dc)
    with flows_kept(dc, row, probe=probe):
        assert upgrader(dc, None, row.again, upgrades).run() == ()
    judge(no_churn([before, marks(dc)]), settled(dc))


@pytest.mark.upgrades(PATH, "rollback-one")
@pytest.mark.upgrades(PATH, "rollback-all")
def test_one_router_goes_back_midway_and_all_afterwards(dc: DataCenter, probe: Prober, upgrades: Upgrades) -> None:
    """The first that was upgraded has the old BIRD again; then all are upgraded, and all go back."""
    row = upgrades.path(PATH)
    going = at_origin(dc, row, upgrades)
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
def test_two_birds_at_once_route_as_one(dc: DataCenter, probe: Prober, upgrades: Upgrades) -> None:
    """After the first router, half of them and all but one, the fabric is as on any other day."""
    row = upgrades.path(PATH)
    going = at_origin(dc, row, upgrades)
    new: tuple[str, ...] = ()
    for number in holds(len(dc.routers)):
        with flows_kept(dc, row, probe=probe):
            new += going.run(most=number)
        assert len(new) == number
        expect_birds(dc, row, new=new)
        with dc.steps.step(f"an ordinary day with {number} new"):
            play(dc, ORDINARY, {})


@pytest.mark.upgrades(PATH, "interrupted")
def test_an_upgrade_of_routers_that_is_killed_at_every_boundary_is_resumed(
    dc: DataCenter, probe: Prober, upgrades: Upgrades
) -> None:
    """The upgrader is killed at the boundaries of each step; the next one goes on, and packets do all the time."""
    row = upgrades.path(PATH)
    going = at_origin(dc, row, upgrades)
    with flows_kept(dc, row, probe=probe):
        die_at_every_boundary(dc, None, row, going.way, upgrades)
    expect_birds(dc, row, new=tuple(dc.routers))


@pytest.mark.upgrades(PATH, "under-fault")
def test_packets_go_over_a_router_that_restarts_while_its_neighbour_is_lost(
    dc: DataCenter, probe: Prober, inject: Inject, upgrades: Upgrades
) -> None:
    """While each is upgraded another spine is without power: from there on there is no way but over the router itself.

    It loses its BIRD when all others know of the spine, for nobody learns of a loss without one. What a router does
    last must hold with all of the fabric: there the spine comes back when the step was begun.
    """
    row = upgrades.path(PATH)
    going = at_origin(dc, row, upgrades)
    struck: list[str] = []
    with ExitStack() as faults:

        def strike(node: str, step: str, moment: Moment) -> None:
            steps = [each.name for each in going.way.forward(node)]
            if (step, moment) == (steps[0], Moment.BEFORE):
                lost = spine(dc, 1 if node == spine(dc, 0) else 0)
                faults.enter_context(inject(RouterOff(lost)))
                wait_converged(dc, down=[lost])
                struck.append(node)
            if (step, moment) == (steps[-1], Moment.BEGUN):
                faults.close()

        with flows_kept(dc, row, probe=probe):
            assert set(replace(going, boundary=strike).run()) == set(dc.routers)
    expect_birds(dc, row, new=tuple(dc.routers))
    assert sorted(struck) == sorted(dc.routers)
