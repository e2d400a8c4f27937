"""A router that runs the BIRD of another Debian than this host: by its bytes, across restarts, and in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.test_fabric import bring_up
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.settings import Settings
from vdc.steps import Steps

NEW = "routers-bird-2.17"


@pytest.fixture
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    dc = bring_up("t-bird", settings)
    yield dc
    lifecycle.down(dc.name, settings, Steps())


def test_a_router_runs_the_bird_that_it_was_given_whenever_it_starts(fabric: LiveDataCenter) -> None:
    router = fabric.routers["spine0"]
    before = router.program()
    router.give_bird(NEW)
    assert router.program() == before, "the one that runs is left alone"
    router.kill_bird()
    router.start_bird()
    assert router.program() == router.program_of(NEW) != before
    router.power_off()
    router.power_on()
    assert router.program() == router.program_of(NEW)
    wait_converged(fabric)


def test_it_does_not_keep_the_namespaces_of_others_alive(fabric: LiveDataCenter, settings: Settings) -> None:
    other = bring_up("t-bird-other", settings)
    router = fabric.routers["spine0"]
    router.give_bird(NEW)
    router.kill_bird()
    router.start_bird()
    (pid,) = router.birds()
    mounts = Path("/proc", str(pid), "mounts")
    assert other.name in mounts.read_text(), "nothing is proven where it never saw them"
    lifecycle.down(other.name, settings, Steps())
    assert other.name not in mounts.read_text()
