from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vdc.cli.bench import faulting, rows
from vdc.cli.bench import lab as lab_module
from vdc.cli.bench.clos import bare_script, clos, racks
from vdc.cli.bench.faulting import Compared, Struck, compared
from vdc.cli.bench.figures import Figure, Outcome, outcomes_text
from vdc.cli.bench.lab import Lab, durations, open_lab
from vdc.cli.bench.memory import resident, settled
from vdc.cli.bench.results import Came, Drawn, Planned, Ready
from vdc.cli.bench.rows import ROWS, Row
from vdc.cli.bench.samples import one_of_six, six, stock
from vdc.cluster.etcd import EtcdDeployer
from vdc.cluster.kubernetes.deployer import KubernetesDeployer
from vdc.datacenter import checkpoint_stores, fork, lifecycle
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import UP, boot_id
from vdc.errors import BuildError, InputError
from vdc.host import images
from vdc.host.claims import PLAN
from vdc.model.expand import expand
from vdc.model.load import load, parse, read_topology
from vdc.model.topology import Topology
from vdc.plan.images import IMAGES
from vdc.plan.plan import PlanContext, make_plan
from vdc.report import FIRST_SCENARIO, FROM_CHECKPOINT, STANDARD_SUITE, RunResult, render_summary
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.testing import FakeDataCenter
from vdc.wait import NotYet

from .conftest import TOPOLOGIES, Vdc


@pytest.fixture(autouse=True)
def in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TOPOLOGIES.parent)


@pytest.mark.parametrize(
    ("figure", "ok"),
    [
        (Figure(what="x", ours=2.0), True),
        (Figure(what="x", ours=2.0, most=2.0), True),
        (Figure(what="x", ours=2.1, most=2.0), False),
        (Figure(what="x", ours=2.0, against=20.0, times=10.0), True),
        (Figure(what="x", ours=2.0, against=19.0, times=10.0), False),
        (Figure(what="x", ours=2.0, times=10.0), False),
        (Figure(what="x", ours=2.0, against=20.0, times=10.0, most=1.0), False),
        (Figure(what="x", ours=2.0, against=10.0, times=10.0, most=2.0), False),
    ],
)
def test_a_figure_is_ok_if_all_that_it_must_be_is_so(figure: Figure, ok: bool) -> None:
    assert figure.ok is ok
    assert Outcome(row="x", figures=(figure,)).ok is ok


def test_the_table_has_each_figure_and_each_error() -> None:
    figures = (
        Figure(what="a clone", ours=150.0, unit="MiB", against=300.0, times=1 / 0.6),
        Figure(what="first", ours=20.0, against=100.0, times=8.0, most=15.0),
        Figure(what="alone", ours=1.0),
    )
    said = outcomes_text([Outcome(row="one", figures=figures, error="BuildError: domain:a: no\nmore of it")])
    assert said.splitlines() == [
        "row  what                      took       against    ratio  must",
        "one  a clone                   150.0 MiB  300.0 MiB  2.0x   ≥ 1.67x       ok",
        "one  first                     20.0 s     100.0 s    5.0x   ≥ 8x, ≤ 15 s  MISSED",
        "one  alone                     1.0 s      -          -      -             ok",
        "one  BuildError: domain:a: no  -          -          -      -             ERROR",
    ]


def test_the_rows_are_listed_to_anybody(vdc: Vdc, tmp_path: Path) -> None:
    said = vdc("bench", "--list")
    assert said.status == 0
    assert [line.split()[0] for line in said.out.splitlines()] == ["row", *ROWS]
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_row_names_those_there_are(vdc: Vdc) -> None:
    said = vdc("bench", "speed", uid=0)
    assert said.status == 2
    assert "no row 'speed'" in said.err
    assert "there is boot, checkers, dctest, fabric, faults, flows, fork, kubernetes, kubernetes-ha, lean, " in said.err
    assert "plan, report, restore, save, wiring\n" in said.err


def _good(_lab: Lab) -> Iterator[Figure]:
    yield Figure(what="good", ours=1.0, most=2.0)


def _missed(_lab: Lab) -> Iterator[Figure]:
    yield Figure(what="missed", ours=3.0, most=2.0)


def _fails(_lab: Lab) -> Iterator[Figure]:
    yield Figure(what="before", ours=1.0)
    raise BuildError("domain:a", "refused")


@pytest.fixture
def invented(monkeypatch: pytest.MonkeyPatch) -> None:
    measures = {"fails": _fails, "missed": _missed, "good": _good}
    made = {name: Row(name, measure) for name, measure in measures.items()}
    monkeypatch.setattr(rows, "ROWS", made | {"unusual": Row("unusual", _missed, usual=False)})


@pytest.mark.usefixtures("invented")
def test_a_row_that_fails_keeps_its_figures_and_the_others_go_on(vdc: Vdc, tmp_path: Path) -> None:
    file = tmp_path / "runs" / "bench.json"
    said = vdc("bench", "--json", str(file), uid=0)
    assert said.status == 1
    assert [line.split()[-1] for line in said.out.splitlines()[1:]] == ["ok", "ERROR", "MISSED", "ok"]
    assert "measure fails: failed: BuildError: domain:a: refused" in said.err
    written = json.loads(file.read_text())
    assert [(each["row"], each["ours"], each["ok"]) for each in written["figures"]] == [
        ("fails", 1.0, True),
        ("missed", 3.0, False),
        ("good", 1.0, True),
    ]
    assert written["errors"] == {"fails": "BuildError: domain:a: refused"}


@pytest.mark.usefixtures("invented")
@pytest.mark.parametrize(
    ("chosen", "status"), [(["good"], 0), (["good", "missed"], 1), (["fails"], 1), (["unusual"], 1)]
)
def test_only_the_chosen_rows_are_measured_and_count(vdc: Vdc, chosen: list[str], status: int) -> None:
    said = vdc("bench", *chosen, uid=0)
    assert said.status == status
    assert {line.split()[0] for line in said.out.splitlines()[1:]} == set(chosen)


class Fake:
    """A lab in which all has been measured; a name that is not there fails as a wrong one does."""

    ordinary = 150.0
    small = SimpleNamespace(seconds=60.0)
    saved = SimpleNamespace(seconds=2.0, checkpoint=SimpleNamespace(memory=1 << 29, stood_still=1.0))

    def drawn(self) -> Drawn:
        return Drawn(made=20.0, size=4_000_000, opened=0.5)

    def converged(self, topology: Topology, boot: str) -> float:
        return {("debian-12", "fork"): 9.0, ("debian-12", "cold"): 90.0, ("debian-12-stock", "cold"): 180.0}[
            topology.release, boot
        ]

    def idle_memory(self, topology: Topology, boot: str) -> float:
        assert len(topology.servers) == 6
        return (100 if boot == "fork" else 400) << 20

    def answering(self, topology: Topology) -> float:
        return 20.0 if topology.release.endswith("stock") else 5.0

    def first_scenario(self, *options: str) -> float:
        return 80.0 if options else 8.0

    def forked(self) -> float:
        return 4.0

    def ready(self, file: Path) -> Ready:
        three = sum(server.role == "cp" for server in read_topology(file).servers) == 3
        return Ready(nothing=800.0 if three else 200.0, checkpoint=40.0 if three else 10.0, idle=0.5)

    def suite(self, file: Path) -> float:
        return 400.0 if file.name == "k8s.yml" else 250.0

    def restored(self) -> float:
        return 5.0

    def planned(self, text: str) -> Planned:
        count = int(text.partition("count: ")[2].partition(",")[0])
        return Planned(seconds=count / 200, memory=count << 19)

    def came(self, make: Callable[[], Topology]) -> Came:
        topology = make()
        slower = 2 if topology.routing.bfd else 1
        return Came(converged=slower * len(topology.links) / 100, down=0.25, memory=len(topology.routers) << 20)

    def struck(self) -> tuple[Compared, ...]:
        bare = Struck(inject=0.002, heal=0.004)
        delayed = Compared("delayed", Struck(inject=0.03, heal=0.04), None)
        return Compared("cut", Struck(inject=0.001, heal=0.002), bare), delayed

    def flowing(self) -> float:
        return 0.03125

    def wired(self, topology: Topology) -> float:
        return len(topology.links) / 1024

    def wired_bare(self, topology: Topology) -> float:
        return len(topology.links) / 2048


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "plan",
            [
                (0.05, None, None, None),
                (0.5, None, None, None),
                (250.0, 250.0, None, 1 / 1.3),
                (5.0, None, 10.0, None),
                (250.0, 250.0, None, 1 / 1.3),
                (500.0, None, 1024.0, None),
            ],
        ),
        ("wiring", [(0.125, 0.0625, None, 1 / 3), (1.0, 0.5, None, 1 / 3), (4.0, 2.0, None, 1 / 3)]),
        (
            "fabric",
            [
                (1.28, None, 3.0, None),
                (0.25, None, 0.5, None),
                (10.24, None, 13.0, None),
                (0.25, None, 1.0, None),
                (40.96, None, 75.0, None),
                (0.25, None, 2.0, None),
                (20.48, None, None, None),
            ],
        ),
        (
            "moonshot",
            [(160.0, None, None, None), (1016 / 1024, None, 24.0, None), (0.25, None, None, None)],
        ),
        ("report", [(4.0, None, 10.0, None), (20.0, None, None, None), (0.5, None, 2.0, None)]),
        (
            "faults",
            [(1.0, 2.0, 50.0, None), (2.0, 4.0, 50.0, None), (30.0, None, 50.0, None), (40.0, None, 50.0, None)],
        ),
        ("flows", [(3.125, None, 5.0, None)]),
        ("boot", [(1.5, None, 2.0, None), (9.0, 90.0, None, 5.0), (9.0, 180.0, None, 10.0)]),
        ("memory", [(100.0, 400.0, None, 1 / 0.6)]),
        ("lean", [(5.0, 20.0, None, 2.0)]),
        ("dctest", [(8.0, 80.0, 15.0, 8.0)]),
        (
            "kubernetes",
            [
                (200.0, None, 360.0, None),
                (10.0, 200.0, 20.0, None),
                (50.0, None, None, None),
                (250.0, None, 300.0, None),
            ],
        ),
        (
            "kubernetes-ha",
            [
                (800.0, None, 900.0, None),
                (40.0, 800.0, None, None),
                (50.0, None, None, None),
                (400.0, None, None, None),
            ],
        ),
        ("save", [(4.0, None, 6.0, None), (2.0, None, 6.0, None)]),
        ("fork", [(6.0, None, 10.0, None)]),
        ("restore", [(5.0, 60.0, 10.0, 10.0), (5.0, 150.0, None, 10.0)]),
    ],
)
def test_a_row_compares_what_it_says(row: str, expected: list[tuple[float | None, ...]]) -> None:
    figures = list(ROWS[row].measure(cast(Lab, Fake())))
    assert [(each.ours, each.against, each.most, each.times) for each in figures] == expected


def test_faults_of_cables_are_timed_and_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dc = FakeDataCenter(expand(load(TOPOLOGIES / "fabric.yml")), tmp_path)
    argvs: list[list[str]] = []
    monkeypatch.setattr(faulting, "run", lambda argv, **_: argvs.append(argv))
    found = list(compared(dc))
    assert [each.bare is not None for each in found] == [True, True, False, False]
    assert all(0 <= seconds < 1 for each in found for seconds in each.ours)
    assert not dc.world.cut
    assert dc.leftovers() == ()
    downs, ups = (sum(argv[-1] == state for argv in argvs) for state in ("down", "up"))
    assert downs == ups == faulting.TIMES
    assert sum("nft" in argv for argv in argvs) == 4 * faulting.TIMES, "at both ends, there and back"


def test_the_durations_of_a_run_are_found_in_its_summary() -> None:
    result = _result({"prepare": 0.26, FIRST_SCENARIO: 12.31, "total": 100.0})
    assert durations(render_summary(result)) == {"prepare": 0.3, FIRST_SCENARIO: 12.3, "total": 100.0}


def _result(took: dict[str, float]) -> RunResult:
    return RunResult(
        name="a", topology="small", host="h", accelerator="tcg", slowness=1.0, scenarios=(), durations=took
    )


def test_what_grows_has_not_settled() -> None:
    looks = iter([1000, 1100, 1105])
    check = settled(lambda: next(looks))
    for said in ("from 0 to 1000", "from 1000 to 1100"):
        with pytest.raises(NotYet, match=said):
            check()
    assert check() == 1105


def test_the_memory_of_a_process_is_found() -> None:
    assert 1 << 20 < resident(os.getpid()) < 1 << 34


def test_a_bare_script_makes_the_namespaces_links_and_addresses_of_a_plan() -> None:
    context = PlanContext(instance="b", state_dir=Path("/s"), cache_dir=Path("/c"), accelerator="tcg", slowness=1.0)
    calls = list(bare_script(make_plan(clos(1, 2), context)))
    assert [argv for argv, _ in calls[:3]] == [["ip", "-batch", "-"]] * 2 + [["ip", "-n", "vdc-b", "-batch", "-"]]
    assert calls[0][1].splitlines() == [
        "netns add vdc-b",
        "netns add vdc-b.spine0",
        "netns add vdc-b.rack0-tor0",
        "netns add vdc-b.rack1-tor0",
    ]
    pair = calls[1][1].splitlines()[1]
    assert re.fullmatch(
        "link add name rack1-tor0 netns vdc-b.spine0 mtu 1500 address [0-9a-f:]{17} "
        "type veth peer name spine0 netns vdc-b.rack1-tor0 mtu 1500 address [0-9a-f:]{17}",
        pair,
    )
    tor = calls[-1][1].splitlines()
    assert (tor[0], tor[-1]) == ("link set lo up", "link set spine0 up")
    assert len(tor) == 4, "an address on lo, and one on the link"


def test_the_racks_to_compile_are_a_valid_topology() -> None:
    topology = expand(parse(racks(10), file="racks.yml"))
    assert (len(topology.racks), len(topology.servers)) == (10, 200)


def test_compiling_is_measured_in_a_process_of_its_own(world: World) -> None:
    with open_lab(world.settings, Steps()) as lab:
        planned = lab.planned(racks(1))
    assert 0 < planned.seconds < 60
    assert planned.memory > 10 << 20


def test_one_of_six_is_a_server_like_the_others() -> None:
    one, all_six = one_of_six(), six()
    (server,) = one.servers
    assert len(all_six.servers) == 6
    assert {(each.cpu, each.memory, each.data, len(each.ports)) for each in all_six.servers} == {
        (server.cpu, server.memory, server.data, len(server.ports))
    }
    assert stock(one).release in IMAGES


class World:
    """Data centres that are a folder with a plan in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def prepare(self, topology: Any, name: str, *_: Any, boot: str) -> SimpleNamespace:
        return SimpleNamespace(topology=topology, instance=name, boot=boot)

    def up(self, plan: Any, *_: Any, tied: bool) -> SimpleNamespace:
        assert tied
        self.leave(plan.instance)
        return SimpleNamespace(name=plan.instance)

    def leave(self, name: str) -> None:
        (self.settings.state_dir / name).mkdir(parents=True)
        (self.settings.state_dir / name / PLAN).touch()

    def down(self, name: str, *_: Any) -> None:
        (self.settings.state_dir / name / PLAN).unlink()
        (self.settings.state_dir / name).rmdir()

    def there(self) -> list[str]:
        return sorted(path.name for path in self.settings.state_dir.iterdir())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    settings = Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    settings.state_dir.mkdir()
    made = World(settings)
    for verb in ("prepare", "up", "down"):
        monkeypatch.setattr(lifecycle, verb, getattr(made, verb))
    monkeypatch.setattr(lifecycle, "seconds", lambda _: {"fabric": 1.5, "answering": 4.0, "up": 9.5})
    return made


def test_what_was_measured_is_taken_down(world: World) -> None:
    with open_lab(world.settings, Steps()) as lab:
        assert lab.answering(one_of_six()) == 2.5
        assert lab.converged(six(), "fork") == 8.0
        assert world.there() == []


def test_what_failed_to_deploy_is_taken_down_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def deploy(_self: object, _dc: object) -> None:
        assert world.there() == ["bench-small"]
        raise BuildError("etcd", "no")

    monkeypatch.setattr(EtcdDeployer, "deploy", deploy)
    with open_lab(world.settings, Steps()) as lab:
        for _ in range(2):
            with pytest.raises(BuildError, match="etcd: no"):
                _ = lab.small
            assert world.there() == []


def test_what_several_rows_need_runs_until_all_are_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place = checkpoint_stores.store(world.settings) / "bench-small" / "bench"
    saved = Checkpoint(name="bench-small", tag="bench", taken="", size=0, stood_still=0.0, directory=place)

    def save(dc: Any, tag: str) -> Checkpoint:
        assert (dc.name, tag) == (saved.name, saved.tag)
        place.mkdir(parents=True)
        return saved

    monkeypatch.setattr(EtcdDeployer, "deploy", lambda _self, _dc: None)
    monkeypatch.setattr(checkpoint_stores, "save", save)
    with open_lab(world.settings, Steps()) as lab:
        assert lab.small.seconds == pytest.approx(9.5, abs=0.5)
        first = lab.small
        assert lab.saved.checkpoint is saved
        assert lab.small is first
        assert world.there() == ["bench-small"]
    assert world.there() == []
    assert list(checkpoint_stores.store(world.settings).iterdir()) == []


def test_kubernetes_is_measured_from_nothing_and_from_a_checkpoint_which_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = checkpoint_stores.store(world.settings) / "bench-k8s" / "bench"
    done: list[str] = []

    def save(_dc: Any, tag: str) -> SimpleNamespace:
        done.append(f"save {tag}")
        place.mkdir(parents=True)
        return SimpleNamespace(name="bench-k8s")

    used = iter((3.0, 3.5))
    woken = SimpleNamespace(
        topology=expand(load(TOPOLOGIES / "k8s-small.yml")),
        servers={"rack0-cp0": SimpleNamespace(cpu_seconds=lambda: next(used))},
    )

    def wake(_found: Any, name: str, *_: Any, tied: bool) -> SimpleNamespace:
        assert tied
        assert world.there() == [], "what was saved is down before its copy comes up"
        world.leave(name)
        done.append(f"wake {name}")
        return woken

    serving = SimpleNamespace(wait_serving=lambda: done.append("serving"))
    monkeypatch.setattr(images, "ensure", lambda release, *_: done.append(f"image {release}"))
    monkeypatch.setattr(KubernetesDeployer, "deploy", lambda _self, dc: done.append(f"deploy {dc.name}"))
    monkeypatch.setattr(KubernetesDeployer, "attach", lambda _self, _dc: serving)
    monkeypatch.setattr(checkpoint_stores, "save", save)
    monkeypatch.setattr(fork, "fork", wake)
    monkeypatch.setattr(lab_module, "_IDLE_SECONDS", 0.1)
    with open_lab(world.settings, Steps()) as lab:
        ready = lab.ready(TOPOLOGIES / "k8s-small.yml")
        assert done == ["image kubernetes-1.20", "deploy bench-k8s", "save bench", "wake bench-k8s", "serving"]
        assert 0 < ready.checkpoint < ready.nothing + 5
        assert ready.idle > 0
        assert (world.there(), place.exists()) == ([], False)


def test_the_suite_of_a_kubernetes_is_measured_by_the_report_of_a_run_on_what_was_deployed(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    ran: list[tuple[str, ...]] = []

    def run_vdc(argv: list[str], *, timeout: float, env: dict[str, str]) -> None:
        assert timeout > 900
        assert env["VDC_STATE_DIR"] == str(world.settings.state_dir)
        ran.append(tuple(argv[3:]))
        took = {FROM_CHECKPOINT: 14.0, STANDARD_SUITE: 250.5, "total": 260.0} if len(ran) > 1 else {"total": 300.0}
        summary = tmp_path / "runs" / "bench-t" / "summary.md"
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(render_summary(_result(took)))

    monkeypatch.setattr(lab_module, "run", run_vdc)
    with open_lab(world.settings, Steps()) as lab:
        assert lab.suite(Path("topologies/k8s-small.yml")) == 250.5
    whole = ("test", "topologies/k8s-small.yml", "--name", "bench-t", "--suite", "standard")
    assert ran == [(*whole, "-k", "test_cluster"), whole]


def test_what_a_killed_bench_left_is_removed_first(world: World) -> None:
    place = checkpoint_stores.store(world.settings) / "bench-small" / "bench"
    place.mkdir(parents=True)
    for name in ("bench-six", "bench-fork", "mine"):
        world.leave(name)
    with open_lab(world.settings, Steps()):
        assert world.there() == ["mine"]
        assert not place.exists()


def test_another_bench_is_let_alone(world: World) -> None:
    place = checkpoint_stores.store(world.settings) / "bench-small" / "bench"
    place.mkdir(parents=True)
    world.leave("bench-fork")
    (world.settings.state_dir / "bench-fork" / UP).write_text(json.dumps({"boot": boot_id(), "owner": None}))
    with pytest.raises(InputError, match="bench-fork is up"), open_lab(world.settings, Steps()):
        pytest.fail("it went on")
    assert world.there() == ["bench-fork"]
    assert place.exists()
