"""Faults on a fabric of real namespaces: measured, healed without a trace, and healed where the harness dies."""

from __future__ import annotations

import json
import re
import resource
import statistics
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process

import pytest

from tests.host.conftest import TOPOLOGIES, Command
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.faults import Fault, LinkCut, LinkDisturbed, LinkOneWay, RouterOff, injected, partition
from vdc.faults import lease as leases
from vdc.faults.leftovers import expect_nothing_left
from vdc.faults.leftovers import leftovers as fault_leftovers
from vdc.history import read
from vdc.host import netlink, processes
from vdc.model.disturbance import Disturbance
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.settings import Settings
from vdc.shell import in_namespace, run, start
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

Harness = Popen[bytes]

NAME = "t-faults"
CABLE = ("spine1", "rack1-tor0")

DISTURBANCES = {
    "loss": Disturbance(loss=0.1),
    "delay": Disturbance(delay=0.1),
    "jitter": Disturbance(delay=0.05, jitter=0.03),
    "reorder": Disturbance(reorder=0.2),
    "duplicate": Disturbance(duplicate=0.1),
    "corrupt": Disturbance(corrupt=0.1),
    "rate": Disturbance(rate=2_000_000),
    "MTU black hole": Disturbance(mtu=1000),
    "combined": Disturbance(delay=0.05, loss=0.1, duplicate=0.1),
}

HARNESS = """
import sys
from dataclasses import replace
from pathlib import Path
from vdc.datacenter.lifecycle import attach
from vdc.faults.base import injected
from vdc.faults.catalogue import from_record
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import ticks
import json

settings = replace(Settings.from_environment(), state_dir=Path(sys.argv[1]))
dc = attach(sys.argv[2], settings, Steps())
fault = from_record(json.loads(sys.argv[3]), dc)
type(fault).lease_seconds = float(sys.argv[4])
with injected(dc, fault):
    print("bites", flush=True)
    for _ in ticks(1.0):
        pass
"""


@pytest.fixture(scope="module")
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    plan = lifecycle.prepare(expand(load(TOPOLOGIES / "fabric.yml")), NAME, settings, Steps())
    yield lifecycle.up(plan, settings, Steps())
    lifecycle.down(NAME, settings, Steps())


def namespaces() -> tuple[str, ...]:
    return netlink.namespaces(f"vdc-{NAME}")


def leftovers(dc: LiveDataCenter) -> list[str]:
    """Everything that a fault may leave: nftables, queues, taps, processes, leases."""
    found = [str(path) for path in (dc.run_directory / leases.FOLDER).glob("*") if path.suffix != ".log"]
    for name in namespaces():
        tables = run(in_namespace(name, ["nft", "list", "tables"]), timeout=30).stdout.split("\n")
        queues = run(in_namespace(name, ["tc", "qdisc", "show"]), timeout=30).stdout.split("\n")
        found += [f"{name}: {line}" for line in tables if line]
        found += [f"{name}: {line}" for line in queues if line and "noqueue" not in line]
        found += [f"{name}: {link}" for link in netlink.carriers(name) if link.startswith("vf")]
        identity = netlink.identity(name)
        assert identity is not None
        found += [f"{name}: {processes.command(pid)}" for pid in processes.living({identity}) if _is_python(pid)]
    return found


def processor_seconds(dc: LiveDataCenter, fault: Fault, times: int) -> dict[str, list[float]]:
    """Return what it took of a processor to inject and to heal a fault, each time."""
    took: dict[str, list[float]] = {"inject": [], "heal": []}
    for _ in range(times):
        for verb, seconds in took.items():
            begun = _used()
            getattr(fault, verb)(dc)
            seconds.append(_used() - begun)
        wait_for(partial(_expect_undone, dc, fault), what="nothing to be left", timeout=20, interval=0.01)
    return took


def _used() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _expect_undone(dc: LiveDataCenter, fault: Fault) -> None:
    if isinstance(fault, LinkDisturbed):
        dc.wire(fault.device, fault.interface).expect_restored(fault.key)


def _is_python(pid: int) -> bool:
    return processes.command(pid).startswith("python")


def wait_clean(dc: LiveDataCenter) -> None:
    def clean() -> None:
        if found := leftovers(dc):
            raise NotYet(", ".join(found))

    wait_for(clean, what="nothing to be left of a fault", timeout=60)


@pytest.mark.parametrize("what", DISTURBANCES.values(), ids=DISTURBANCES)
def test_numbered_packets_show_a_disturbance_and_nothing_is_left_of_it(
    fabric: LiveDataCenter, what: Disturbance
) -> None:
    with injected(fabric, LinkDisturbed(*CABLE, outgoing=what)):
        assert leftovers(fabric) != []
    wait_clean(fabric)


def test_both_directions_are_disturbed_each_in_its_way(fabric: LiveDataCenter) -> None:
    fault = LinkDisturbed(*CABLE, outgoing=Disturbance(delay=0.05), incoming=Disturbance(loss=0.2))
    with injected(fabric, fault):
        pass
    wait_clean(fabric)


def test_the_cable_of_a_client_on_a_bridge_is_disturbed(fabric: LiveDataCenter) -> None:
    client = fabric.topology.externals[0]
    slow, lossy = Disturbance(delay=0.05), Disturbance(loss=0.2)
    with injected(fabric, LinkDisturbed(client.name, client.interface, outgoing=slow, incoming=lossy)):
        pass
    wait_clean(fabric)


def test_a_cable_that_carries_only_one_way_ends_its_session_and_gets_it_back(fabric: LiveDataCenter) -> None:
    with injected(fabric, LinkOneWay(*CABLE)):
        wait_converged(fabric, cut=(CABLE,))
    wait_converged(fabric)
    wait_clean(fabric)


def kill(harness: Harness) -> None:
    harness.kill()
    harness.wait()


def start_harness(fabric: LiveDataCenter, fault: Fault, lease: float, log: Path) -> Harness:
    """Start a harness of its own that holds a fault; return it once that bites."""
    from vdc.faults.catalogue import to_record

    record = json.dumps(to_record(fault))
    argv = [sys.executable, "-c", HARNESS, str(fabric.settings.state_dir), fabric.name, record, str(lease)]
    with log.open("wb") as output:
        process = start(argv, output=output)

    def bites() -> None:
        if "bites" not in log.read_text():
            assert process.poll() is None, log.read_text()
            raise NotYet(log.read_text())

    wait_for(bites, what="the harness to hold the fault", timeout=120)
    return process


LEASED = [LinkCut(*CABLE), LinkDisturbed(*CABLE, outgoing=Disturbance(delay=0.1)), RouterOff("rack1-tor1")]


@pytest.mark.parametrize("fault", LEASED, ids=lambda fault: type(fault).__name__)
def test_a_fault_whose_harness_is_killed_is_healed_by_its_lease(
    fabric: LiveDataCenter, fault: Fault, tmp_path: Path
) -> None:
    before = len(list(read(fabric.recorder.path)))
    harness = start_harness(fabric, fault, 600.0, tmp_path / "log")
    assert len(leases.held(fabric.run_directory)) == 1
    kill(harness)
    wait_clean(fabric)
    wait_converged(fabric)
    wait_converged(fabric)
    assert fabric.dirty() is None
    told = list(read(fabric.recorder.path))[before:]
    assert [each.data["why"] for each in told if each.source == "lease"] == ["its holder died or could not heal it"]
    phases = [each.data["phase"] for each in told if each.kind == "fault"]
    assert phases == ["inject", "bites", "heal", "healed"]


def test_a_fault_whose_lease_runs_out_is_healed_and_its_body_fails(fabric: LiveDataCenter, tmp_path: Path) -> None:
    log = tmp_path / "log"
    harness = start_harness(fabric, LinkCut(*CABLE), 1.0, log)
    wait_converged(fabric)
    wait_converged(fabric)
    kill(harness)
    wait_clean(fabric)
    why = [each.data["why"] for each in read(fabric.recorder.path) if each.source == "lease"]
    assert why[-1] == "its time is up"


def test_taking_the_data_centre_down_ends_the_keeper_too(settings: Settings, tmp_path: Path) -> None:
    name = "t-faults2"
    plan = lifecycle.prepare(expand(load(TOPOLOGIES / "fabric.yml")), name, settings, Steps())
    dc = lifecycle.up(plan, settings, Steps())
    harness = start_harness(dc, LinkCut(*CABLE), 600.0, tmp_path / "log")
    lifecycle.down(name, settings, Steps())
    kill(harness)
    keepers = [path for path in Path("/proc").glob("[0-9]*/cmdline") if f"/{name}/leases/" in _text(path)]
    assert keepers == []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


PARTITIONS = [
    ("halves", "racks"),
    ("isolate-one", "racks"),
    ("bridge", "racks"),
    ("asymmetric", "racks"),
    ("halves", "tiers"),
]


@pytest.mark.parametrize(("shape", "of"), PARTITIONS)
def test_routers_are_parted_and_nothing_is_left_of_it(fabric: LiveDataCenter, shape: str, of: str) -> None:
    with injected(fabric, partition(fabric.topology, shape, of, Random(5))):
        assert leftovers(fabric) != []
    wait_converged(fabric)
    wait_clean(fabric)


def test_the_command_line_injects_holds_and_heals(fabric: LiveDataCenter, vdc: Command) -> None:
    argv = ("link-disturbed", "device=one(tier(spine))", "interface=rack1-tor0", "outgoing.loss=20%", "delay=50ms")
    done = vdc("fault", "run", NAME, *argv, "--for", "1s", "--seed", "7")
    assert "seed 7: " in done.stdout
    assert "bites after" in done.stdout
    assert "healed after" in done.stdout
    again = vdc("fault", "run", NAME, *argv, "--for", "1s", "--seed", "7")
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[0]
    wait_clean(fabric)


def test_what_a_history_tells_is_injected_once_more(fabric: LiveDataCenter, vdc: Command, tmp_path: Path) -> None:
    with injected(fabric, LinkCut(*CABLE)):
        pass
    events = [each for each in read(fabric.recorder.path) if each.data.get("name", "").endswith("unplugged")][-4:]
    history = tmp_path / "history.jsonl"
    history.write_text("".join(each.to_line() for each in events))
    done = vdc("fault", "replay", NAME, str(history))
    assert done.stdout.count("healed after") == 1
    wait_clean(fabric)


def _both_ways(what: Disturbance) -> LinkDisturbed:
    return LinkDisturbed(*CABLE, outgoing=what, incoming=what)


LINK_FAULTS = {
    "cut": LinkCut(*CABLE),
    "loss": _both_ways(Disturbance(loss=1.0)),
    "delay": _both_ways(Disturbance(delay=0.1)),
}


@pytest.mark.parametrize("kind", LINK_FAULTS)
def test_to_inject_and_to_heal_a_link_fault_costs_at_most_50_ms(fabric: LiveDataCenter, kind: str) -> None:
    """Of a processor, the median of ten, without what proves it: what else runs on this host makes it longer, but not
    more. `vdc bench faults` measures the same on the wall, where nothing else runs.
    """
    took = processor_seconds(fabric, LINK_FAULTS[kind], times=10)
    assert max(map(statistics.median, took.values())) <= 0.05, took
    wait_clean(fabric)
    wait_converged(fabric)


def test_what_is_in_effect_is_known_by_name_and_nothing_is_afterwards(fabric: LiveDataCenter) -> None:
    fault = _both_ways(Disturbance(delay=0.1))
    with injected(fabric, fault):
        found = fabric.leftovers()
        assert fault_leftovers(fabric) == (), "it is held"
    for sign in (f"table vdc-fault-{fault.key}h", f"tap vf{fault.key}h", "packet_relay.py", "vdc.host.keeper"):
        assert any(sign in each for each in found), (sign, found)
    expect_nothing_left(fabric)
    assert fabric.leftovers() == ()


def test_what_a_killed_process_left_without_a_lease_is_told(fabric: LiveDataCenter) -> None:
    fault = _both_ways(Disturbance(loss=1.0))
    run(in_namespace(f"vdc-{NAME}.{CABLE[0]}", ["tc", "qdisc", "add", "dev", CABLE[1], "root", *TBF]), timeout=30)
    fault.inject(fabric)
    try:
        found = fault_leftovers(fabric)
    finally:
        fault.heal(fabric)
        run(in_namespace(f"vdc-{NAME}.{CABLE[0]}", ["tc", "qdisc", "del", "dev", CABLE[1], "root"]), timeout=30)
    assert f"vdc-{NAME}.{CABLE[0]}: queue tbf of {CABLE[1]}" in found
    assert f"vdc-{NAME}.{CABLE[1]}: nftables table vdc-fault-{fault.key}h" in found
    assert fault_leftovers(fabric) == ()


TBF = ("tbf", "rate", "1mbit", "burst", "10kb", "latency", "1ms")


def test_each_direction_of_a_partition_is_proven_by_packets(fabric: LiveDataCenter) -> None:
    fault = partition(fabric.topology, "halves", "racks", Random(5))
    a, b = (party[0] for party in (fault.parties[pair] for pair in fault.cut[0]))
    with pytest.raises(NotYet, match="still hears"):
        fault.bites(fabric)
    with injected(fabric, fault):
        fault.bites(fabric)
        fabric.undrop(fault.key, [a])
        with pytest.raises(NotYet) as caught:
            fault.bites(fabric)
        assert f"{b} still hears {a}" in str(caught.value)
        assert f"{a} still hears {b}" not in str(caught.value)
        with pytest.raises(NotYet, match=f"{a} does not hear {b}"):
            fault.healed(fabric)
    wait_clean(fabric)


SCHEDULE = """
faults:
  - {fault: link-disturbed, with: {device: rack0-tor0, interface: spine0, loss: 20%}, at: 0s, for: 2s}
  - {fault: link-cut, with: {device: rack1-tor0, interface: spine0}, at: 500ms, for: 3s}
  - {fault: link-cut, with: {device: rack2-tor1, interface: spine1}, at: 500ms, for: 2s}
  - {fault: link-cut, with: {device: rack1-tor0, interface: spine1}, at: 1s, for: 3s}
expect: {outage: 1s}
"""


def test_a_schedule_that_fails_is_reduced_to_the_pair_that_breaks_the_fabric(
    fabric: LiveDataCenter, vdc: Command, tmp_path: Path
) -> None:
    file, least = tmp_path / "four.yml", tmp_path / "two.yml"
    file.write_text(SCHEDULE)
    argv = ("--dc", NAME, "--seed", "1")
    done = vdc("fault", "schedule", str(file), *argv, "--shrink", "--to", str(least), status=1, timeout=580)
    assert "longest_flow_outage: invalid" in done.stderr
    assert "2 of its 4 faults are enough" in done.stderr
    again = vdc("fault", "schedule", str(least), *argv, "--dry-run")
    assert again.stdout.count("fault: link-cut") == 2
    assert {"spine0", "spine1"} == set(re.findall(r"interface: (spine\d)", again.stdout))
    assert again.stdout.count("device: rack1-tor0") == 2
    file.write_text("".join(line for line in SCHEDULE.splitlines(True) if "interface: spine1" not in line))
    done = vdc("fault", "schedule", str(file), *argv)
    assert "all holds" in done.stdout
    wait_converged(fabric)
    wait_clean(fabric)


def test_a_schedule_whose_harness_is_killed_is_healed_by_its_leases(
    fabric: LiveDataCenter, vdc: Command, tmp_path: Path
) -> None:
    file, log = tmp_path / "long.yml", tmp_path / "log"
    file.write_text(SCHEDULE.replace("for: 2s", "for: 99s").replace("for: 3s", "for: 99s"))
    with log.open("wb") as output:
        process = start([*vdc.argv, "fault", "schedule", str(file), "--dc", NAME], output=output, env=vdc.environment)

    def all_bite() -> None:
        if (count := log.read_text().count("bites, for 99 s")) < 4:
            assert process.poll() is None, log.read_text()
            raise NotYet(f"{count} bite")

    wait_for(all_bite, what="all faults to bite", timeout=60)
    assert len(leases.held(fabric.run_directory)) == 4
    kill(process)
    wait_clean(fabric)
    wait_converged(fabric)
    assert fabric.leftovers() == ()
    assert fabric.dirty() is None
