"""Nodes are led one after the other; whoever dies is continued, wherever that was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.cluster.changing import changing
from vdc.errors import ClusterError, WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.rolling.queue import Limits, Node
from vdc.testing import FakeDataCenter
from vdc.upgrade.journal import Begun, Direction, Journal
from vdc.upgrade.upgrader import Boundary, Moment, Upgrader
from vdc.upgrade.way import Step

ROOT = Path(__file__).parents[2]
SMALL = expand(load(ROOT / "topologies" / "small.yml"))
BEGUN = Begun(path="a-path", origin="old", target="new")
STEPS = ("away", "change", "back")


class Killed(BaseException):
    """Nobody catches it."""


@dataclass
class Nodes:
    """Nodes that are away, or at a release; `away` are those of each moment in which anybody was."""

    nodes: tuple[Node, ...]
    releases: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    together: list[frozenset[str]] = field(default_factory=list)
    refused: str | None = None
    ignores: bool = False

    def at(self, node: str) -> str:
        return "nothing" if node in self.gone else self.releases.get(node, "old")

    def forward(self, node: str) -> tuple[Step, ...]:
        return self._steps(node, "new")

    def back(self, node: str) -> tuple[Step, ...]:
        return self._steps(node, "old")

    def no_return(self) -> str | None:
        return self.refused

    def _steps(self, node: str, release: str) -> tuple[Step, ...]:
        return tuple(Step(name, partial(self._do, node, name, release), lambda: None) for name in STEPS)

    def _do(self, node: str, step: str, release: str) -> None:
        self.done.append(f"{node} {step}")
        if step == "away":
            self.gone.add(node)
            self.together.append(frozenset(self.gone))
        if step == "change" and not self.ignores:
            assert node in self.gone
            self.releases[node] = release
        if step == "back":
            self.gone.discard(node)


def nodes(racks: Mapping[str, int], *, votes: bool = True) -> Nodes:
    return Nodes(tuple(Node(name=name, rack=rack, votes=votes) for name, rack in racks.items()))


def going(way: Nodes, folder: Path, *, boundary: Boundary | None = None, at_once: int = 1) -> Upgrader:
    upgrader = Upgrader(
        dc=FakeDataCenter(SMALL, folder),
        way=way,
        begun=BEGUN,
        journal=Journal(folder / "upgrade.jsonl"),
        limits=Limits(at_once=at_once),
    )
    return upgrader if boundary is None else replace(upgrader, boundary=boundary)


def killer(moment: Moment, after: int) -> Boundary:
    left = [after]

    def boundary(node: str, step: str, now: Moment) -> None:
        del node, step
        if now is moment:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    return boundary


def test_each_node_gets_the_new_release_in_turn(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1, "c": 2})
    assert going(way, tmp_path).run() == ("a", "b", "c")
    assert way.done == [f"{node} {step}" for node in "abc" for step in STEPS]
    assert way.releases == {"a": "new", "b": "new", "c": "new"}
    assert way.together == [frozenset("a"), frozenset("b"), frozenset("c")]


def test_two_do_not_lead_one_data_centre_at_a_time(tmp_path: Path) -> None:
    way = nodes({"a": 0})
    upgrader = going(way, tmp_path)
    with changing(upgrader.dc, "vdc rotate small"):
        for verb in (upgrader.run, upgrader.back):
            with pytest.raises(ClusterError, match=r"is being changed by `vdc rotate small`, process \d+"):
                verb()
    assert way.done == []
    assert not (tmp_path / "upgrade.jsonl").exists()

    def boundary(*_: object) -> None:
        with pytest.raises(ClusterError, match="is being changed by `upgrade a-path`"):
            going(way, tmp_path).run()

    assert going(way, tmp_path, boundary=boundary).run() == ("a",)


@pytest.mark.parametrize("console", [True, False])
def test_a_step_that_fails_says_where_and_what_there_is_to_read(tmp_path: Path, console: bool) -> None:
    way = nodes({"a": 0})
    upgrader = going(way, tmp_path)
    folder = upgrader.dc.run_directory
    if console:
        (folder / "consoles").mkdir(parents=True)
        (folder / "consoles/a.log").touch()

    def never() -> None:
        raise WaitTimeout("a to serve", deadline=12.0, last="it starts")

    way.forward = lambda node: (Step("change", lambda: None, never),)  # type: ignore[method-assign]
    with pytest.raises(WaitTimeout) as caught:
        upgrader.run()
    read = f"its console is {folder}/consoles/a.log" if console else f"what was done is in {folder}"
    assert str(caught.value) == f"a-path: a: change: waited 12.0 s for a to serve; last: it starts\n  {read}"


def test_a_second_run_touches_nobody(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1})
    going(way, tmp_path).run()
    way.done.clear()
    assert going(way, tmp_path).run() == ()
    assert way.done == []


def test_it_is_held_after_so_many_and_goes_on(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1, "c": 2})
    assert going(way, tmp_path).run(most=1) == ("a",)
    assert going(way, tmp_path).run(most=1) == ()
    assert going(way, tmp_path).run(most=2) == ("b",)
    assert going(way, tmp_path).run() == ("c",)


def test_nodes_of_one_rack_go_together_where_that_is_allowed(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 0, "c": 0, "d": 1}, votes=False)
    going(way, tmp_path, at_once=2).run()
    assert max(map(len, way.together)) == 2
    assert frozenset("cd") not in way.together
    assert set(way.releases.values()) == {"new"}


def test_one_goes_back_midway_and_forward_again(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1})
    upgrader = going(way, tmp_path)
    upgrader.run(most=1)
    assert upgrader.back(["a"]) == ("a",)
    assert way.releases["a"] == "old"
    assert upgrader.run() == ("a", "b")
    assert way.releases == {"a": "new", "b": "new"}


def test_nobody_goes_back_while_another_was_left_half_way(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1})
    going(way, tmp_path).run(most=1)
    with pytest.raises(Killed):
        going(way, tmp_path, boundary=killer(Moment.DONE, 0)).run()
    with pytest.raises(ClusterError, match="b: left half-way, so no other may go away"):
        going(way, tmp_path).back(["a"])
    assert way.releases["a"] == "new"
    assert going(way, tmp_path).back() == ("b", "a")
    assert way.releases == {"a": "old", "b": "old"}


@pytest.mark.parametrize("there", ["another release", "nothing"])
def test_where_one_is_elsewhere_by_somebody_elses_doing_nobody_is_touched(tmp_path: Path, there: str) -> None:
    way = nodes({"a": 0, "b": 1})
    way.releases["b"] = "other"
    way.gone = {"b"} if there == "nothing" else set()
    for go in (going(way, tmp_path).run, going(way, tmp_path).back):
        with pytest.raises(ClusterError, match=r"b runs .*: neither old nor new, so nobody was touched"):
            go()
    assert way.done == []


def test_nobody_goes_away_before_all_is_whole(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1})

    def whole() -> None:
        raise ClusterError("c does not serve")

    with pytest.raises(ClusterError, match="c does not serve"):
        replace(going(way, tmp_path), whole=whole).run()
    assert way.done == []
    with pytest.raises(Killed):
        going(way, tmp_path, boundary=killer(Moment.RECORDED, 0)).run()
    with pytest.raises(ClusterError, match="c does not serve"):
        replace(going(way, tmp_path), whole=whole).run()
    assert way.releases == {"a": "new"}, "who was away is brought back first"


def test_past_the_point_of_no_return_nothing_is_touched(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1})
    going(way, tmp_path).run()
    way.done.clear()
    way.refused = "the cluster version is 3.5.0"
    with pytest.raises(ClusterError, match=r"a, b cannot go back to old: the cluster version is 3\.5\.0") as caught:
        going(way, tmp_path).back()
    assert "point of no return" in str(caught.value)
    assert way.done == []


def test_steps_that_change_nothing_are_told(tmp_path: Path) -> None:
    way = nodes({"a": 0})
    way.ignores = True
    with pytest.raises(ClusterError, match="a: all steps to new are done, and it runs old"):
        going(way, tmp_path).run()


@settings(max_examples=40, deadline=None)
@given(deaths=st.lists(st.tuples(st.sampled_from(Moment), st.integers(0, 8)), max_size=6))
def test_whoever_dies_is_continued_and_the_result_is_the_same(
    deaths: list[tuple[Moment, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("died")
    way = nodes({"a": 0, "b": 1, "c": 2})
    for moment, after in deaths:
        with suppress(Killed):
            going(way, folder, boundary=killer(moment, after)).run()
    going(way, folder).run()
    assert way.releases == {"a": "new", "b": "new", "c": "new"}
    assert way.gone == set()
    assert all(len(away) == 1 for away in way.together), "two were away at once"


def test_a_step_that_was_not_in_the_journal_is_done_again_and_no_other(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1})
    with pytest.raises(Killed):
        going(way, tmp_path, boundary=killer(Moment.DONE, 1)).run()
    assert way.done == ["a away", "a change"]
    way.done.clear()
    going(way, tmp_path).run()
    assert way.done == ["a change", "a back", *(f"b {step}" for step in STEPS)]


def test_another_upgrade_is_refused_while_one_is_not_finished(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.open(BEGUN)
    journal.begin("a", Direction.FORWARD)
    with pytest.raises(ClusterError, match="the upgrade a-path from old to new is not finished"):
        journal.open(Begun(path="b-path", origin="old", target="other"))
    journal.finish()
    journal.open(Begun(path="b-path", origin="old", target="other"))


def test_a_line_that_was_cut_off_is_none(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    journal = Journal(file)
    journal.open(BEGUN)
    journal.record("a", Direction.FORWARD, "away")
    whole = file.read_bytes()
    journal.record("a", Direction.FORWARD, "change")
    file.write_bytes(file.read_bytes()[:-5])
    assert journal.done("a", Direction.FORWARD) == {"away"}
    journal.record("a", Direction.FORWARD, "back")
    assert file.read_bytes().startswith(whole)
    assert journal.done("a", Direction.FORWARD) == {"away", "back"}


def test_a_node_that_fell_back_and_is_led_again_is_resumed_amid_that_too(tmp_path: Path) -> None:
    way = nodes({"a": 0, "b": 1})
    assert going(way, tmp_path).run(most=1) == ("a",)
    way.releases.clear()
    with pytest.raises(Killed):
        going(way, tmp_path, boundary=killer(Moment.RECORDED, 0)).run()
    assert way.at("a") == "nothing"
    going(way, tmp_path).run()
    assert way.releases == {"a": "new", "b": "new"}


def test_a_damaged_journal_is_told_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    journal = Journal(file)
    journal.open(BEGUN)
    file.write_bytes(file.read_bytes() + b"\0\0\0\n")
    with pytest.raises(ClusterError, match=r"journal:2: the journal of the upgrade is damaged"):
        journal.latest("a")
