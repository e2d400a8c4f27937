"""Faults of what real BIRDs run and announce: they bite, heal, leave nothing, and are healed where the harness dies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.host.conftest import TOPOLOGIES
from tests.host.test_faults import kill, start_harness, wait_clean
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.faults import (
    BirdFrozen,
    BirdKilled,
    Fault,
    GracefulRestart,
    LinkFlap,
    RouteHijacked,
    RouteWithdrawn,
    SessionShut,
    injected,
)
from vdc.faults import lease as leases
from vdc.model.ip import Address
from vdc.model.load import read_topology
from vdc.settings import Settings
from vdc.shell import in_namespace, start
from vdc.steps import Steps

NAME = "t-faults"
OUTSIDE = ip_network("10.128.0.0/24")
LOOPBACK = ip_network("10.1.0.1/32")

FAULTS = {
    "killed": BirdKilled(("spine0", "rack1-tor1")),
    "frozen": BirdFrozen(("spine1",)),
    "shut": SessionShut("spine0", "rack2-tor0"),
    "withdrawn": RouteWithdrawn("border0", OUTSIDE),
    "hijacked": RouteHijacked("rack2-tor0", LOOPBACK),
    "hijacked in part": RouteHijacked("rack2-tor0", ip_network("10.128.0.128/25")),
    "restarting": GracefulRestart("spine0"),
    "flapping": LinkFlap("spine1", "rack1-tor0", 4, 1.5, 3),
}
every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


@pytest.fixture(scope="module")
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    """A fabric whose routers restart gracefully."""
    plan = lifecycle.prepare(read_topology(TOPOLOGIES / "fabric.yml", ("graceful=true",)), NAME, settings, Steps())
    yield lifecycle.up(plan, settings, Steps())
    lifecycle.down(NAME, settings, Steps())


def configurations(dc: LiveDataCenter) -> dict[str, str]:
    return {name: Path(each.daemon.config_path).read_text() for name, each in dc.routers.items()}


@every_fault
def test_it_bites_heals_and_leaves_nothing(fabric: LiveDataCenter, fault: Fault) -> None:
    before = configurations(fabric)
    with injected(fabric, fault):
        pass
    wait_converged(fabric)
    assert configurations(fabric) == before
    wait_clean(fabric)


@every_fault
def test_it_is_healed_by_its_lease_where_the_harness_is_killed(
    fabric: LiveDataCenter, fault: Fault, tmp_path: Path
) -> None:
    before = configurations(fabric)
    harness = start_harness(fabric, fault, 600.0, tmp_path / "log")
    assert len(leases.held(fabric.run_directory)) == 1
    kill(harness)
    wait_clean(fabric)
    wait_converged(fabric)
    assert configurations(fabric) == before
    assert fabric.dirty() is None


def lost(dc: LiveDataCenter, target: Address, log: Path, act: Callable[[], None]) -> float:
    """Return the share of packets from rack 0, in percent, that are lost while something is done."""
    source = dc.topology.router("rack0-tor0").loopback.ip
    argv = ["ping", "-n", "-q", "-i", "0.01", "-c", "200", "-W", "1", "-I", str(source), str(target)]
    with log.open("wb") as output:
        process = start(in_namespace(dc.plan.context.device_netns("rack0-tor0"), argv), output=output)
        act()
        process.wait(60)
    found = re.search(r" ([0-9.]+)% packet loss", log.read_text())
    assert found is not None, log.read_text()
    return float(found[1])


def test_packets_go_on_over_a_router_that_restarts_gracefully(fabric: LiveDataCenter, tmp_path: Path) -> None:
    def restart() -> None:
        with injected(fabric, GracefulRestart("spine0")), injected(fabric, GracefulRestart("spine1")):
            pass

    assert lost(fabric, fabric.topology.router("rack1-tor0").loopback.ip, tmp_path / "ping", restart) == 0.0


def test_packets_to_a_hijacked_prefix_are_lost_at_the_hijacker(fabric: LiveDataCenter, tmp_path: Path) -> None:
    client = fabric.topology.externals[0].addresses[0].ip
    assert lost(fabric, client, tmp_path / "before", lambda: None) == 0.0
    with injected(fabric, RouteHijacked("rack2-tor0", ip_network(client))):
        assert lost(fabric, client, tmp_path / "within", lambda: None) == 100.0
        assert fabric.routers["rack2-tor0"].run(["ip", "route", "get", str(client)], check=False).status != 0
    assert lost(fabric, client, tmp_path / "after", lambda: None) == 0.0


def test_a_frozen_bird_still_has_its_processes_and_a_killed_one_none(fabric: LiveDataCenter) -> None:
    router = fabric.routers["spine0"]
    with injected(fabric, BirdFrozen(("spine0",))):
        (pid,) = router.birds()
        assert re.search(r"^State:\tT", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert router.birds() == [pid]
    with injected(fabric, BirdKilled(("spine0",))):
        assert router.birds() == []
    wait_converged(fabric)
