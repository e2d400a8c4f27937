"""A data centre that is brought up for the run, or does not come up: what is left behind, and what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vdc.cluster import deployed
from vdc.cluster.api import Cluster
from vdc.cluster.changing import changing
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError, CommandError, DirtyError, InputError, WaitTimeout
from vdc.plan.plan import Plan
from vdc.pytest_plugin import old, session
from vdc.pytest_plugin.options import Options, instance_name
from vdc.pytest_plugin.session import Session
from vdc.report import FROM_CHECKPOINT, FROM_NOTHING, STANDARD_SUITE
from vdc.testing import FakeMachine

from .fakes import DAMAGED, SMALL, WHOLE, Deployer, Life, Silent

FABRIC = SMALL.with_name("fabric.yml")


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path / "state", tmp_path / "calls")


@pytest.fixture
def chosen(tmp_path: Path) -> Options:
    return Options(topology=SMALL, name="small", run_directory=tmp_path / "report", deployer="fake", started=0.0)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the deployed state is kept."""
    monkeypatch.setenv("VDC_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("VDC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(deployed, "place", lambda *_: tmp_path / "deployed" / "0123")
    return tmp_path / "deployed" / "0123"


Bring = Callable[..., Session]


@pytest.fixture
def bring_up(state: Path, life: Life, chosen: Options) -> Bring:
    """Runs a session of some modules to its end."""
    assert not state.exists()

    def run(modules: int = 1, listener: Silent | None = None, suites: Sequence[str] = (), **changes: object) -> Session:
        options = replace(chosen, **changes)  # type: ignore[arg-type]
        session = Session(
            options,
            listener or Silent(),
            deployers={"fake": Deployer},
            life=life,
            fork=life.fork,
            store=life,
        )
        for suite in suites or [""] * modules:
            with session.module(suite) as dc:
                assert life.instances(None) == (dc.run_directory.name,)  # type: ignore[arg-type]
        session.close()
        return session

    return run


def test_what_was_brought_up_is_saved_and_taken_down_and_its_times_are_reported(bring_up: Bring, life: Life) -> None:
    durations = bring_up().result().durations
    assert life.called() == ["up small", "write small", "down small"]
    phases = ["prepare", "fabric", "up", "deploy", FROM_NOTHING, "deployed", "first scenario", "scenarios", "down"]
    assert list(durations) == phases
    # both count from when the command began, before this process
    assert 0 < durations["prepare"] < durations["first scenario"]
    assert durations["fabric"] == 1.5


def test_each_further_module_starts_from_a_restore(bring_up: Bring, life: Life) -> None:
    durations = bring_up(modules=3).result().durations
    again = ["down small", "fork small"]
    assert life.called() == ["up small", "write small", *again, *again, "down small"]
    assert {"deployed", "deployed again"} <= set(durations)


def test_modules_of_the_suite_standard_share_a_data_centre_and_others_do_not(bring_up: Bring, life: Life) -> None:
    bring_up(suites=["standard", "standard", "reboot", "reboot", "standard", "standard"])
    again = ["down small", "fork small"]
    assert life.called() == ["up small", "write small", *again * 3, "down small"]


def test_the_suite_standard_is_timed_where_all_of_it_ran_on_what_was_restored(bring_up: Bring) -> None:
    built = bring_up(suites=["standard", "standard"]).result().durations
    assert FROM_NOTHING in built
    assert not {FROM_CHECKPOINT, STANDARD_SUITE} & set(built)
    restored = bring_up(suites=["standard", "standard", "fault"]).result().durations
    assert FROM_NOTHING not in restored
    assert 0 < restored[FROM_CHECKPOINT] < restored[STANDARD_SUITE]


def test_versions_are_asked_once_before_all_and_after_what_may_change_them(
    bring_up: Bring, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def versions(self: FakeMachine) -> dict[str, str]:
        asked.append(self.name)
        return {"os": str(len(asked))}

    monkeypatch.setattr(FakeMachine, "versions", versions)
    assert bring_up(suites=["standard", "standard"]).result().versions_after == {}
    assert len(asked) == 3
    asked.clear()
    result = bring_up(suites=["standard", "upgrade"]).result()
    assert len(asked) == 6
    assert set(result.versions_after) == set(result.versions_before) == set(asked)


def test_a_second_run_restores_what_the_first_one_saved(bring_up: Bring, life: Life) -> None:
    bring_up()
    life.calls.unlink()
    bring_up()
    assert life.called() == ["fork small", "down small"]


@pytest.mark.parametrize(("file", "why"), [(DAMAGED, "the checkpoint is damaged: ram"), (WHOLE, "is not whole")])
def test_a_damaged_deployed_state_is_rebuilt_with_a_message(
    bring_up: Bring, life: Life, state: Path, file: str, why: str
) -> None:
    bring_up()
    life.calls.unlink()
    (state / file).unlink() if file == WHOLE else (state / file).touch()
    listener = Silent()
    bring_up(listener=listener)
    assert life.called() == ["discard", "up small", "write small", "down small"]
    (said,) = [name for name in listener.heard if name.startswith("rebuild")]
    assert said.startswith("rebuild the deployed state: ")
    assert said.endswith(why)


def test_a_deployed_state_that_was_damaged_during_the_run_is_rebuilt_in_its_place(
    bring_up: Bring, life: Life, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Life, "write", lambda self, dc, directory: (directory.mkdir(), (directory / "x").touch()))
    bring_up(modules=2)
    assert state.exists()
    assert life.called() == ["up small", "down small", "discard", "up small", "down small"]


def test_a_data_centre_that_came_up_meanwhile_is_not_taken_down_for_ours(
    bring_up: Bring, life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_up()
    prepare = life.prepare

    def prepare_slowly(*args: Any, **kwargs: Any) -> Plan:
        life._make("small", tied=False)
        return prepare(*args, **kwargs)

    monkeypatch.setattr(life, "prepare", prepare_slowly)
    life.calls.unlink()
    with pytest.raises(InputError, match="small is up already"):
        bring_up()
    assert life.called() == []


def test_without_checkpoints_each_module_is_built_from_cold(bring_up: Bring, life: Life, state: Path) -> None:
    bring_up(modules=2, checkpoint=False)
    assert life.called() == ["up small", "down small", "up small", "down small"]
    assert life.boot == "cold"
    assert not state.exists()


def test_a_fabric_without_servers_is_built_each_time(bring_up: Bring, life: Life) -> None:
    bring_up(modules=2, topology=FABRIC, deploys=False)
    assert life.called() == ["up small", "down small", "up small", "down small"]
    assert life.boot is None


def test_a_data_centre_that_is_named_is_neither_restored_nor_taken_down(bring_up: Bring, life: Life) -> None:
    bring_up(modules=2, topology=None)
    assert life.called() == []
    assert list(life.made) == ["small"]


def test_the_images_of_all_scenarios_are_prepared(bring_up: Bring, life: Life) -> None:
    bring_up(releases=("debian-13",))
    assert life.releases == ("debian-13",)


def test_what_is_to_be_kept_stays_up(bring_up: Bring, life: Life) -> None:
    bring_up(keep=True)
    assert life.called() == ["up small", "write small"]


def test_a_worker_has_a_data_centre_and_a_history_of_its_own(bring_up: Bring, life: Life, chosen: Options) -> None:
    bring_up(worker="gw1")
    assert life.called() == ["up small-gw1", "write small-gw1", "down small-gw1"]
    assert [path.name for path in chosen.run_directory.iterdir()] == ["gw1-history.jsonl"]


def test_the_name_of_a_worker_s_data_centre_is_a_name() -> None:
    assert instance_name("dctest", "") == "dctest"
    assert instance_name("a" * 20, "gw12") == f"{'a' * 15}-gw12"


def test_what_did_not_come_up_leaves_its_consoles_and_goes(bring_up: Bring, life: Life, chosen: Options) -> None:
    life.error = WaitTimeout("rack0-cs0 to answer", deadline=1.0, last="silence")
    with pytest.raises(WaitTimeout) as caught:
        bring_up()
    assert life.called() == ["up small", "down small"]
    folder = chosen.run_directory / "artifacts" / "bring-up"
    assert "\nconsoles/rack0-cs0.log: 12 bytes\n" in (folder / "index.txt").read_text()
    assert (folder / "bring-up.tar.gz").exists()
    assert caught.value.__notes__ == [f"its consoles and logs are in {folder}", "small was taken down after that"]


def test_what_did_not_come_up_stays_where_it_is_to_be_kept(bring_up: Bring, life: Life) -> None:
    life.error = WaitTimeout("rack0-cs0 to answer", deadline=1.0, last="silence")
    with pytest.raises(WaitTimeout):
        bring_up(keep=True)
    assert life.called() == ["up small"]


def test_an_interrupted_bring_up_goes_at_once(bring_up: Bring, life: Life, chosen: Options) -> None:
    life.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bring_up()
    assert life.called() == ["up small", "down small"]
    assert not (chosen.run_directory / "artifacts").exists()


@pytest.mark.parametrize("error", [InputError("it is up already"), DirtyError("another process builds it")])
def test_a_data_centre_of_somebody_else_is_left_alone(bring_up: Bring, life: Life, error: Exception) -> None:
    life.error = error
    with pytest.raises(type(error)):
        bring_up()
    assert life.called() == ["up small"]


def test_an_error_on_the_way_down_does_not_hide_why_it_did_not_come_up(bring_up: Bring, life: Life) -> None:
    life.error, life.undying = WaitTimeout("rack0-cs0 to answer", deadline=1.0, last="silence"), True
    with pytest.raises(WaitTimeout) as caught:
        bring_up()
    assert caught.value.__notes__[-1] == "taking it down failed too: it does not go; `vdc down small` tries again"


def test_variables_of_the_topology_are_set_for_the_run(bring_up: Bring, tmp_path: Path) -> None:
    file = tmp_path / "varied.yml"
    file.write_text("name: varied\nvars: {racks: 2}\nracks: [{count: $racks, tors: 1}]\n")
    with pytest.raises(InputError, match=r"--set rakcs=1: vars: unknown variable"):
        bring_up(topology=file, sets=("rakcs=1",))
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        bring_up(topology=file, sets=("racks=0",))


def test_on_a_data_centre_of_somebody_else_nobody_else_deploys_meanwhile_and_nothing_is_taken_back(
    state: Path, life: Life, chosen: Options
) -> None:
    assert not state.exists()
    kept: list[bool] = []

    class Noting(Deployer):
        def deploy(self, dc: DataCenter, *, retain: bool = False) -> Cluster:
            kept.append(retain)
            with (
                pytest.raises(ClusterError, match="is being changed by `vdc test on small`"),
                changing(dc, "vdc deploy"),
            ):
                pass
            return super().deploy(dc, retain=retain)

    class Other(Deployer):
        def begun(self, dc: DataCenter) -> bool:
            return dc.name == "small"

    options = replace(chosen, topology=None)
    deployers: dict[str, Callable[[], Deployer]] = {"fake": Noting}
    session = Session(options, Silent(), deployers=deployers, life=life, fork=life.fork, store=life)
    with session.module() as dc:
        session.cluster(dc)
        assert kept == [True]
        deployers["other"] = Other
        with pytest.raises(ClusterError, match="small has a cluster already, or a part of one, by the deployer other"):
            session.cluster(dc)
    session.close()


@pytest.fixture
def old_code(monkeypatch: pytest.MonkeyPatch, life: Life) -> list[str]:
    """The code of then: it brings a data centre up, and what it is told to raise."""
    raises: list[str] = []

    def deploy(tree: Path, file: Path, name: str, **how: object) -> None:
        assert how["deploys"]
        if raises:
            raise CommandError("host", [str(tree), str(file)], 1, raises[0])
        life.attach(name, None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(old, "checkout", lambda ref, _: Path("/then", ref))
    monkeypatch.setattr(old, "deploy", deploy)
    return raises


def test_what_the_code_of_then_deployed_is_upgraded_and_taken_down(
    bring_up: Bring, life: Life, old_code: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tied: list[Path] = []
    monkeypatch.setattr(session, "tie", tied.append)
    assert not old_code
    bring_up(old="v1")
    assert life.called() == ["down small"]
    assert [path.name for path in tied] == ["small"]


def test_what_is_there_already_is_left_alone_by_the_code_of_then(
    bring_up: Bring, life: Life, old_code: list[str]
) -> None:
    assert not old_code
    life.attach("small", None, None)  # type: ignore[arg-type]
    with pytest.raises(DirtyError, match="small is there, or what is left of it"):
        bring_up(old="v1")
    assert life.called() == []
    assert life.instances(None) == ("small",)  # type: ignore[arg-type]


def test_where_the_code_of_then_fails_nothing_is_taken_down(bring_up: Bring, life: Life, old_code: list[str]) -> None:
    old_code.append("small is up already")
    with pytest.raises(DirtyError, match=r"the definition of then failed: .*small is up already"):
        bring_up(old="v1")
    assert life.called() == []
