"""`vdc fault`: what it lists, and what it refuses before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vdc.errors import DirtyError
from vdc.faults.kinds import KINDS
from vdc.history import Event, read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.ledger import FlowOutage
from vdc.observe.ops import Gap, Operation, Outcome
from vdc.observe.probe import Watch
from vdc.observe.verdict import Kind, Verdict
from vdc.testing import FakeCluster, FakeDataCenter

from .conftest import TOPOLOGIES, Vdc

RESTLESS = TOPOLOGIES.with_name("scenarios") / "schedules" / "restless.yml"


def test_every_kind_is_listed_with_what_it_takes_and_needs(vdc: Vdc) -> None:
    said = vdc("fault", "list")
    assert said.status == 0
    assert [line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")] == list(KINDS)
    assert said.out.count("    needs ") == len(KINDS)
    assert "link-cut  device=NAME interface=NAME\n" in said.out


@pytest.mark.parametrize(
    "argv",
    [
        ("run", "n", "link-cut", "device=a"),
        ("heal", "n"),
        ("replay", "n", "history.jsonl"),
        ("schedule", str(RESTLESS)),
    ],
    ids=lambda argv: argv[0],
)
def test_a_fault_needs_root(vdc: Vdc, argv: tuple[str, ...]) -> None:
    said = vdc("fault", *argv)
    assert said.status == 77
    assert "needs root" in said.err


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("run", "n", "link-cut"), "no data centre 'n'"),
        (("run", "n", "link-cut", "--for", "long"), "--for long: expected a duration"),
        (("run", "n", "link-cut", "--for", "0s"), "--for 0s: a fault lasts longer than that"),
        (("replay", "n", "nowhere.jsonl"), "nowhere.jsonl tells of no fault that bit"),
        (("heal", "n"), "no data centre 'n'"),
        (("schedule", "nowhere.yml"), "nowhere.yml:1:1: topology: no such file or directory"),
        (("schedule", str(RESTLESS)), "which data centre?\n  hint: --dc NAME; there is none"),
        (("schedule", str(RESTLESS), "--dc", "n"), "no data centre 'n'"),
    ],
)
def test_what_cannot_be_is_refused(vdc: Vdc, argv: tuple[str, ...], why: str) -> None:
    said = vdc("fault", *argv, uid=0)
    assert said.status == 2
    assert why in said.err


def test_what_nobody_holds_any_more_is_healed_first(vdc: Vdc, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdc.datacenter.lifecycle.attach", lambda *_: None)
    monkeypatch.setattr("vdc.cli.fault.expect_up", lambda _: None)
    monkeypatch.setattr("vdc.faults.lease.heal_orphans", lambda _: ("spine0 off",))
    monkeypatch.setattr("vdc.cli.fault.chooser", lambda *_: lambda _, text: (text,))
    said = vdc("fault", "run", "n", "nonsense", uid=0)
    assert said.out == "healed, since nobody holds it any more: spine0 off\n"
    assert "no fault 'nonsense'" in said.err


@pytest.fixture
def dc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDataCenter:
    """A data centre in memory, which is the one that is up; its flows see no outage."""
    made = FakeDataCenter(expand(load(TOPOLOGIES / "fabric.yml")), tmp_path)

    @contextmanager
    def flows(dc: FakeDataCenter) -> Iterator[FlowWatch]:
        watch = FlowWatch(started=0.0)
        before = len(list(read(dc.recorder.path)))
        yield watch
        both = {"rack1-tor0 spine0 unplugged", "rack1-tor0 spine1 unplugged"}
        events = list(read(dc.recorder.path))[before:]
        lost = 9.0 if both <= {each.data["name"] for each in events if _injected(each)} else 0.0
        outages = (FlowOutage(start=0.0, end=lost, lost=9),) if lost else ()
        watch.ended = watch.latest = 10.0
        ends = ("external", "rack1-tor0")
        watch.flows = (FlowSeen(name="external → rack1-tor0 udp", ends=ends, lane="x", sent=9, outages=outages),)

    monkeypatch.setattr("vdc.datacenter.lifecycle.instances", lambda _: ("only",))
    monkeypatch.setattr("vdc.datacenter.lifecycle.attach", lambda *_: made)
    monkeypatch.setattr("vdc.cli.schedule.expect_up", lambda _: None)
    monkeypatch.setattr("vdc.observe.flow_watch.flows", flows)
    return made


def _injected(event: Event) -> bool:
    return event.kind == "fault" and event.data["phase"] == "inject"


SCHEDULE = """faults:
  - {fault: routers-off, with: {routers: rack0-tor0}, at: 1s, for: 8s}
  - {fault: link-cut, with: {device: rack1-tor0, interface: spine0}, at: 2s, for: 8s}
  - {fault: link-cut, with: {device: one(rack(2)), interface: spine0}, at: 0s..4s, for: 8s}
  - {fault: link-cut, with: {device: rack1-tor0, interface: spine1}, at: 3s, for: 8s}
expect: {outage: 2s}
"""


def test_a_schedule_is_drawn_printed_and_run(vdc: Vdc, dc: FakeDataCenter, tmp_path: Path) -> None:
    file = tmp_path / "it.yml"
    file.write_text(SCHEDULE.replace("rack1-tor0, interface: spine1", "rack1-tor1, interface: spine1"))
    dry = vdc("fault", "schedule", str(file), "--seed", "3", "--dry-run", uid=0)
    assert dry.status == 0
    assert dry.out.startswith("# it.yml with seed 3\n")
    assert len(read_text_faults(dry.out)) == 4
    assert not dc.recorder.path.exists() or not any(map(_injected, read(dc.recorder.path)))
    done = vdc("fault", "schedule", str(file), "--seed", "3", uid=0)
    assert done.status == 0, done.err
    assert done.out.splitlines()[0] == "seed 3: 4 faults"
    assert done.out.splitlines()[-2:] == ["longest outage between racks and clients: 0.00 s", "all holds"]


def test_the_longest_outage_of_the_cluster_is_told_and_judged(
    vdc: Vdc, dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def etcd(_: object, __: object) -> Iterator[Watch]:
        watch = Watch(prefix="probe", started=0.0)
        yield watch
        watch.ended = 10.0
        watch.operations = tuple(sampled(op, number) for number in range(100) for op in ("read", "write"))

    def sampled(op: str, number: int) -> Operation:
        outcome, at = Outcome.FAILED if 30 < number < 54 else Outcome.OK, 0.1 * number
        return Operation(op=op, key=str(number), value="1", start=at, end=at, outcome=outcome, member="m")

    fake = type("Fake", (FakeCluster,), {"__init__": lambda _: None, "wait_serving": lambda *_: None})()
    monkeypatch.setattr("vdc.cluster.deployers.deployed", lambda _: iter((fake,)))
    monkeypatch.setattr("vdc.cluster.api.SpeaksEtcd", FakeCluster)
    monkeypatch.setattr("vdc.observe.probe.Probe.etcd", etcd)
    kept = Verdict(kind=Kind.VALID, checker="no_write_lost", message="")
    monkeypatch.setattr("vdc.observe.service.no_write_lost", lambda *_: kept)
    file = tmp_path / "it.yml"
    cut = "faults: [{fault: link-cut, with: {device: rack1-tor0, interface: spine0}, at: 1s, for: 1s}]\n"
    file.write_text(f"{cut}expect: {{service: 3s}}\n")
    done = vdc("fault", "schedule", str(file), uid=0)
    assert done.status == 0, done.err
    assert "longest outage of the cluster: 2.40 s" in done.out
    file.write_text(f"{cut}expect: {{service: 1s}}\n")
    assert "longest_outage: invalid" in vdc("fault", "schedule", str(file), uid=0).err


def read_text_faults(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("- fault: ")]


def test_a_schedule_that_fails_is_told_and_shrunk(vdc: Vdc, dc: FakeDataCenter, tmp_path: Path) -> None:
    file = tmp_path / "it.yml"
    file.write_text(SCHEDULE)
    failed = vdc("fault", "schedule", str(file), "--seed", "3", uid=0)
    assert failed.status == 1
    assert "longest_flow_outage: invalid: external → rack1-tor0 udp" in failed.err
    assert "--shrink finds a smallest part" in failed.err
    shrunk = vdc("fault", "schedule", str(file), "--seed", "3", "--shrink", uid=0)
    assert shrunk.status == 1
    least = tmp_path / "it.smallest.yml"
    assert f"2 of its 4 faults are enough: {least}" in shrunk.err
    text = least.read_text()
    assert text.startswith("# a smallest part of it.yml, with seed 3, that fails: longest_flow_outage: invalid")
    assert len(read_text_faults(text)) == 2
    assert text.count("device: rack1-tor0") == 2
    assert text.count("for: 1s") == 2
    assert dc.leftovers() == ()


def test_where_nothing_more_can_be_tried_the_smallest_so_far_is_written(
    vdc: Vdc, dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "it.yml"
    file.write_text(SCHEDULE)
    monkeypatch.setattr("vdc.cli.schedule.Attempt.make_whole", _refuse)
    shrunk = vdc("fault", "schedule", str(file), "--seed", "3", "--shrink", uid=0)
    assert shrunk.status == 1
    assert "stopped: fabric is dirty: gone" in shrunk.out
    assert "4 of its 4 faults are enough" in shrunk.err


def _refuse(_: object) -> None:
    raise DirtyError("fabric is dirty: gone")


def test_who_is_struck_in_part_only_is_not_excused(vdc: Vdc, dc: FakeDataCenter, tmp_path: Path) -> None:
    file = tmp_path / "it.yml"
    shut = "  - {fault: session-shut, with: {router: rack1-tor0, peer: spine0}, at: 20s, for: 1s}\n"
    file.write_text(SCHEDULE.replace("expect:", shut + "expect:"))
    failed = vdc("fault", "schedule", str(file), uid=0)
    assert failed.status == 1
    assert "longest_flow_outage: invalid: external → rack1-tor0 udp" in failed.err
    off = "  - {fault: routers-off, with: {routers: rack1-tor0}, at: 20s, for: 1s}\n"
    file.write_text(SCHEDULE.replace("expect:", off + "expect:").replace("outage: 2s", "converge: 9s"))
    assert "longest outage between racks and clients: 0.00 s" in vdc("fault", "schedule", str(file), uid=0).out
    assert dc.leftovers() == ()


def _starved(dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch, *, at: int) -> None:
    """Have the probes of flows be starved from the run of this number on."""
    from vdc.observe import flow_watch

    honest, runs = flow_watch.flows, iter(range(99))

    @contextmanager
    def flows(dc: FakeDataCenter) -> Iterator[FlowWatch]:
        with honest(dc) as watch:
            yield watch
        if next(runs) >= at:
            watch.gaps = (Gap(end=9.0, seconds=9.0),)

    monkeypatch.setattr("vdc.observe.flow_watch.flows", flows)


def test_a_starved_probe_proves_nothing(
    vdc: Vdc, dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _starved(dc, monkeypatch, at=0)
    file = tmp_path / "it.yml"
    file.write_text(SCHEDULE)
    unsure = vdc("fault", "schedule", str(file), "--seed", "3", "--shrink", uid=0)
    assert unsure.status == 75
    assert "longest_flow_outage: unknown: inconclusive" in unsure.err
    assert not (tmp_path / "it.smallest.yml").exists()


def test_a_part_of_which_nothing_can_be_told_does_not_fail(
    vdc: Vdc, dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _starved(dc, monkeypatch, at=1)
    file = tmp_path / "it.yml"
    file.write_text(SCHEDULE)
    shrunk = vdc("fault", "schedule", str(file), "--seed", "3", "--shrink", uid=0)
    assert shrunk.status == 1
    assert "cannot be told: longest_flow_outage: unknown" in shrunk.out
    assert "4 of its 4 faults are enough" in shrunk.err


def test_a_part_that_fails_in_another_way_does_not_count(
    vdc: Vdc, dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vdc.cli.schedule import Attempt, Complaint

    told = iter([(Complaint("a", "as told first"),)])
    monkeypatch.setattr(Attempt, "__call__", lambda *_: next(told, (Complaint("b", "another"),)))
    file = tmp_path / "it.yml"
    file.write_text(SCHEDULE)
    shrunk = vdc("fault", "schedule", str(file), "--shrink", uid=0)
    assert "error: " in shrunk.err
    assert "as told first" in shrunk.err
    assert "4 of its 4 faults are enough" in shrunk.err
