"""Faults on a fabric of real namespaces: measured, healed without a trace, and healed where the harness dies."""

from __future__ import annotations

import json
import resource
import statistics
import sys
from collections.abc import Iterator
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


def test_to_inject_and_to_heal_a_link_fault_costs_at_most_50_ms(fabric: LiveDataCenter) -> None:
    """Of a processor: what else runs on this host makes it longer, but not more. The median of ten."""
    fault = LinkDisturbed(*CABLE, outgoing=Disturbance(loss=1.0), incoming=Disturbance(loss=1.0))
    spent: dict[str, list[float]] = {"inject": [], "heal": []}
    for _ in range(10):
        for verb, seconds in spent.items():
            begun = _processor_seconds()
            getattr(fault, verb)(fabric)
            seconds.append(_processor_seconds() - begun)
    assert max(map(statistics.median, spent.values())) <= 0.05, spent
    wait_clean(fabric)


def _processor_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
