"""A data centre that is brought up for the run, or does not come up: what is left behind, and what is not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from vdc.datacenter.live import UP
from vdc.errors import DirtyError, InputError, WaitTimeout
from vdc.model.topology import Topology
from vdc.plan.plan import Plan
from vdc.pytest_plugin.session import Options, Session
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.testing import FakeDataCenter

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"


@dataclass
class Life:
    """Brings a data centre in memory up, unless it is to fail with `error`."""

    directory: Path
    error: BaseException | None = None
    undying: bool = False
    there: dict[str, FakeDataCenter] = field(default_factory=dict)
    releases: tuple[str, ...] = ()
    tied: bool = False

    def prepare(
        self, topology: Topology, name: str | None, settings: Settings, steps: Steps, *, releases: Sequence[str] = ()
    ) -> Plan:
        del settings, steps
        self.releases = tuple(releases)
        return cast(Plan, SimpleNamespace(topology=topology, instance=name or topology.name))

    def up(
        self, plan: Plan, settings: Settings, steps: Steps, *, retain: bool = False, tied: bool = False
    ) -> FakeDataCenter:
        del settings, steps
        self.tied = tied
        dc = FakeDataCenter(plan.topology, self.directory)
        dc.recorder.start()
        (self.directory / "consoles").mkdir()
        (self.directory / "consoles" / "rack0-cs0.log").write_text("Kernel panic")
        (self.directory / UP).write_text(json.dumps({"seconds": {"fabric": 1.5, "up": 30.0}}))
        if self.error is None or retain:
            self.there[plan.instance] = dc
        if self.error is not None:
            raise self.error
        return dc

    def attach(self, name: str, settings: Settings, steps: Steps) -> FakeDataCenter:
        del settings, steps
        return self.there[name]

    def down(self, name: str, settings: Settings, steps: Steps) -> None:
        del settings, steps
        if self.undying:
            raise DirtyError("it does not go")
        del self.there[name]


class Silent:
    """Listens to steps and says nothing."""

    def started(self, name: str, depth: int) -> None:
        """Say nothing."""

    def ended(self, name: str, depth: int, seconds: float, error: str | None) -> None:
        """Say nothing."""


@pytest.fixture
def life(tmp_path: Path) -> Life:
    (tmp_path / "state").mkdir()
    return Life(tmp_path / "state")


@pytest.fixture
def chosen(tmp_path: Path) -> Options:
    return Options(
        topology=SMALL,
        name="small",
        keep=False,
        run_directory=tmp_path / "report",
        releases=("debian-13",),
        started=0.0,
    )


def bring_up(chosen: Options, life: Life) -> Session:
    session = Session(chosen, Silent(), life=life)
    with session.data_center():
        assert list(life.there) == ["small"]
    return session


def test_what_was_brought_up_is_taken_down_and_its_times_are_reported(chosen: Options, life: Life) -> None:
    session = bring_up(chosen, life)
    assert life.there == {}
    session.finish()
    durations = session.result().durations
    assert list(durations) == ["prepare", "fabric", "up", "scenarios", "down", "total"]
    # both count from when the command began, before this process
    assert 0 < durations["prepare"] < durations["total"]
    assert durations["fabric"] == 1.5


def test_the_images_of_all_scenarios_are_prepared(chosen: Options, life: Life) -> None:
    bring_up(chosen, life)
    assert life.releases == ("debian-13",)


def test_what_is_to_be_kept_stays_up(chosen: Options, life: Life) -> None:
    bring_up(replace(chosen, keep=True), life)
    assert list(life.there) == ["small"]


def test_what_did_not_come_up_leaves_its_consoles_and_goes(chosen: Options, life: Life) -> None:
    life.error = WaitTimeout("rack0-cs0 to answer", deadline=1.0, last="silence")
    with pytest.raises(WaitTimeout) as caught:
        bring_up(chosen, life)
    assert life.there == {}
    folder = cast(Path, chosen.run_directory) / "artifacts" / "bring-up"
    assert (folder / "consoles-rack0-cs0.log").read_text() == "Kernel panic"
    assert caught.value.__notes__ == [f"its consoles and logs are in {folder}", "small was taken down after that"]


def test_what_did_not_come_up_stays_where_it_is_to_be_kept(chosen: Options, life: Life) -> None:
    life.error = WaitTimeout("rack0-cs0 to answer", deadline=1.0, last="silence")
    with pytest.raises(WaitTimeout):
        bring_up(replace(chosen, keep=True), life)
    assert list(life.there) == ["small"]


def test_an_interrupted_bring_up_goes_at_once(chosen: Options, life: Life) -> None:
    life.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bring_up(chosen, life)
    assert life.there == {}
    assert not (cast(Path, chosen.run_directory) / "artifacts").exists()


@pytest.mark.parametrize("error", [InputError("it is up already"), DirtyError("another process builds it")])
def test_a_data_centre_of_somebody_else_is_left_alone(chosen: Options, life: Life, error: Exception) -> None:
    life.error = error
    with pytest.raises(type(error)):
        bring_up(chosen, life)
    assert list(life.there) == ["small"]


def test_an_error_on_the_way_down_does_not_hide_why_it_did_not_come_up(chosen: Options, life: Life) -> None:
    life.error, life.undying = WaitTimeout("rack0-cs0 to answer", deadline=1.0, last="silence"), True
    with pytest.raises(WaitTimeout) as caught:
        bring_up(chosen, life)
    assert caught.value.__notes__[-1] == "taking it down failed too: it does not go; `vdc down small` tries again"
