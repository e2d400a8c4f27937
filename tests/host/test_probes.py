"""Flows over a fabric of real namespaces: what is lost, doubled, overtaken or not sent is told apart."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from tests.host.conftest import TOPOLOGIES
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.faults import LinkDisturbed, RouterOff, injected
from vdc.model.disturbance import Disturbance
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.flow_checkers import judge_flows
from vdc.observe.flow_watch import FlowSeen, FlowWatch, flows
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import ticks

BFD_SECONDS = 2.0
"""Between routers BFD finds out in 1 s; the rest is for BIRD and the kernel."""

RACKS = {"rack0", "rack1"}
CABLE = ("rack0-tor0", "spine0")


@pytest.fixture(scope="module")
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    plan = lifecycle.prepare(expand(load(TOPOLOGIES / "fabric.yml")), "t-probes", settings, Steps())
    dc = lifecycle.up(plan, settings, Steps())
    yield dc
    lifecycle.down(dc.name, settings, Steps())


def let_pass(seconds: float) -> None:
    for _ in ticks(seconds, duration=seconds):
        pass


def disturbed(dc: LiveDataCenter, what: Disturbance, seconds: float = 3.0) -> FlowWatch:
    """Watch two racks while what one of their ToRs sends over one of its cables is disturbed, once that is so."""
    with injected(dc, LinkDisturbed(*CABLE, outgoing=what)), flows(dc, racks=[0, 1], period=0.002) as watch:
        let_pass(seconds)
    return watch


def sums(found: Collection[FlowSeen]) -> dict[str, int]:
    return {kind: sum(getattr(flow, kind) for flow in found) for kind in ("lost", "duplicated", "reordered")}


def over_cable(watch: FlowWatch) -> tuple[set[str], tuple[FlowSeen, ...], tuple[FlowSeen, ...]]:
    """Return the flows that begin where the cable does, echo requests among them, and all others."""
    mine = tuple(flow for flow in watch.flows if CABLE[0] in flow.ends)
    return {flow.name for flow in mine}, mine, tuple(flow for flow in watch.flows if flow not in mine)


def processes_of(dc: LiveDataCenter) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (entry / "cmdline").exists():
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "vdc.observe.flow_probe" in words and any(str(dc.run_directory) in word for word in words):
                found.append(int(entry.name))
    return found


def test_every_pair_of_racks_and_the_client_are_joined_over_every_way_and_nothing_is_lost(
    fabric: LiveDataCenter, capsys: pytest.CaptureFixture[str]
) -> None:
    with flows(fabric) as watch:
        let_pass(3.0)
    assert {flow.lane for flow in watch.flows} == {
        f"{pair} {protocol}"
        for protocol in ("udp", "icmp")
        for pair in ("rack0 ↔ rack1", "rack0 ↔ rack2", "rack1 ↔ rack2", *(f"external → rack{n}" for n in range(3)))
    }
    assert all(flow.sent > 100 for flow in watch.flows)
    assert sums(watch.flows) == {"lost": 0, "duplicated": 0, "reordered": 0}
    judge_flows(watch, longest=0.5)
    with capsys.disabled():
        print(f"\n{len(watch.flows)} flows, {watch.cpu:.1%} of a core for the dearest process, {len(watch.gaps)} gaps")  # noqa: T201
    assert watch.cpu < 0.2, "it spins; what it may cost is a row of `vdc bench`"


def test_the_loss_of_one_way_of_several_is_an_outage_of_those_that_take_it(fabric: LiveDataCenter) -> None:
    """All that a ToR sends to a spine is lost, which BFD notices; the streams over the other spine lose nothing."""
    with flows(fabric) as watch, injected(fabric, LinkDisturbed(*CABLE, outgoing=Disturbance(loss=1.0))):
        let_pass(3.0)
    wait_converged(fabric)
    lost = [outage for flow in watch.flows if flow.lost for outage in flow.outages]
    assert lost
    assert {"spine0" in outage.over or not outage.over for outage in lost} == {True}
    mine = [flow for flow in watch.flows if flow.ends[0] == CABLE[0] and flow.name.endswith("udp")]
    assert mine
    assert all(0.1 < flow.longest < BFD_SECONDS for flow in mine), [(flow.name, flow.longest) for flow in mine]
    assert watch.longest(besides={CABLE[0]}) == 0.0
    with pytest.raises(AssertionError, match="over spine0: nothing came for"):
        judge_flows(watch, longest=0.02)


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (Disturbance(loss=0.05), "lost"),
        (Disturbance(duplicate=0.2), "duplicated"),
        (Disturbance(reorder=0.2), "reordered"),
    ],
    ids=str,
)
def test_what_happens_to_packets_of_one_cable_is_told_apart(
    fabric: LiveDataCenter, what: Disturbance, kind: str
) -> None:
    watch = disturbed(fabric, what)
    names, mine, others = over_cable(watch)
    assert names
    assert sums(others) == {"lost": 0, "duplicated": 0, "reordered": 0}
    found = sums(mine)
    assert found[kind] > 10, found
    assert {each: number for each, number in found.items() if number} == {kind: found[kind]}
    share = found[kind] / sum(flow.sent for flow in mine)
    assert 0 < share < max(what.loss, what.duplicate, what.reorder), "only one of two ways, and one of two directions"


def test_one_direction_is_told_from_the_other(fabric: LiveDataCenter) -> None:
    watch = disturbed(fabric, Disturbance(loss=0.05))
    one_way = {flow.ends[0] == CABLE[0] for flow in watch.flows if flow.lost and flow.name.endswith("udp")}
    assert one_way == {True}


def test_a_probe_that_was_stopped_says_so_and_sees_no_outage(fabric: LiveDataCenter) -> None:
    with flows(fabric, racks=[0, 1]) as watch:
        let_pass(0.5)
        processes = processes_of(fabric)
        assert processes
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        let_pass(1.5)
        for process in processes:
            os.kill(process, signal.SIGCONT)
        let_pass(0.5)
    assert max(gap.seconds for gap in watch.gaps) == pytest.approx(1.5, abs=0.2)
    assert sums(watch.flows) == {"lost": 0, "duplicated": 0, "reordered": 0}
    with pytest.raises(AssertionError, match=r"longest_flow_outage: unknown: .*starved for up to 1\.[456]"):
        judge_flows(watch, longest=0.5)


def test_the_loss_of_a_router_is_an_outage_of_the_flows_that_end_there_alone(fabric: LiveDataCenter) -> None:
    with flows(fabric) as watch:
        with injected(fabric, RouterOff("rack0-tor0")):
            let_pass(1.0)
        wait_converged(fabric)
        let_pass(0.5)
    gone = [flow for flow in watch.flows if "rack0-tor0" in flow.ends]
    assert gone
    assert all(flow.longest > 0.9 for flow in gone), [(flow.name, flow.longest) for flow in gone]
    judge_flows(watch, longest=BFD_SECONDS, besides=["rack0-tor0"])
    with pytest.raises(AssertionError, match="longest_flow_outage: invalid"):
        judge_flows(watch, longest=0.5)


def test_nothing_is_left_of_a_probe(fabric: LiveDataCenter) -> None:
    with flows(fabric, racks=[0, 1]):
        assert processes_of(fabric)
    assert processes_of(fabric) == []
