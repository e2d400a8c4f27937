"""Who may go away next: rules that hold whatever happens, and the order on ordinary days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vdc.errors import ClusterError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.rolling.queue import Limits, Node, Order, Phase, Queue, nodes_of

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def worker(name: str, rack: int | None) -> Node:
    return Node(name=name, rack=rack)


def voter(name: str, rack: int) -> Node:
    return Node(name=name, rack=rack, votes=True)


SITE = (voter("cp0", 0), voter("cp1", 1), worker("a0", 0), worker("a1", 0), worker("b0", 1), worker("b1", 1))

nodes = st.lists(
    st.builds(
        Node,
        name=st.sampled_from("abcdefgh"),
        rack=st.none() | st.integers(0, 2),
        role=st.just("cs"),
        votes=st.booleans(),
    ),
    unique_by=lambda node: node.name,
    min_size=1,
)
limits = st.builds(
    Limits,
    at_once=st.integers(1, 4),
    order=st.sampled_from(Order),
    back_off=st.floats(0.5, 2),
    longest=st.floats(2, 30),
    patience=st.just(1e9),
)


def expect_lawful(away: Sequence[Node], at_once: int) -> None:
    assert len(away) <= at_once
    assert sum(node.votes for node in away) <= 1
    racks = {node.rack if node.rack is not None else node.name for node in away}
    assert len(racks) <= 1


@settings(max_examples=60, deadline=None)
@given(nodes=nodes, limits=limits, data=st.data())
def test_whatever_happens_the_rules_hold_and_each_has_its_turn_once(
    nodes: list[Node], limits: Limits, data: st.DataObject
) -> None:
    queue, now, finished = Queue.of(nodes, limits), 0.0, list[str]()
    by_name = {node.name: node for node in nodes}
    for _ in range(40):
        for name in queue.ready(now):
            assert name not in finished
            queue = queue.started(name)
        expect_lawful([by_name[name] for name in queue.away], limits.at_once)
        on_their_way = [name for name in sorted(queue.away) if queue.turn(name).phase is Phase.AWAY]
        if on_their_way:
            name = data.draw(st.sampled_from(on_their_way))
            outcome = data.draw(st.sampled_from(["finished", "finished", "failed", "held"]))
            if outcome == "finished":
                queue, finished = queue.finished(name), [*finished, name]
            else:
                queue = queue.failed(name, "x", now) if outcome == "failed" else queue.held(name, "x", now)
        now += data.draw(st.floats(0, 40))
    assert len(finished) == len(set(finished))
    assert set(finished) == queue.done


@settings(max_examples=60, deadline=None)
@given(nodes=nodes, limits=limits)
def test_where_nothing_fails_all_have_their_turn_group_after_group(nodes: list[Node], limits: Limits) -> None:
    queue, waves = Queue.of(nodes, limits), list[tuple[str, ...]]()
    while queue.left:
        wave = queue.ready(0.0)
        assert wave, "the queue stands still"
        waves.append(wave)
        for name in wave:
            queue = queue.started(name).finished(name)
    voters = [node.votes for wave in waves for name in wave for node in nodes if node.name == name]
    assert sorted(name for wave in waves for name in wave) == sorted(node.name for node in nodes)
    assert voters == sorted(voters, reverse=limits.order is Order.VOTERS_FIRST)


@settings(max_examples=60, deadline=None)
@given(nodes=nodes, limits=limits, data=st.data())
def test_what_is_down_already_counts(nodes: list[Node], limits: Limits, data: st.DataObject) -> None:
    down = data.draw(st.sets(st.sampled_from([node.name for node in nodes])))
    queue = Queue.of(nodes, limits)
    started = queue.ready(0.0, down=down)
    if started:
        expect_lawful([node for node in nodes if node.name in {*down, *started}], limits.at_once)


def test_workers_of_a_rack_go_together_and_voters_last_one_by_one() -> None:
    assert waves(Queue.of(SITE, Limits(at_once=2))) == [("a0", "a1"), ("b0", "b1"), ("cp0",), ("cp1",)]


def test_voters_go_first_where_asked() -> None:
    queue = Queue.of(SITE, Limits(at_once=9, order=Order.VOTERS_FIRST))
    assert waves(queue) == [("cp0",), ("cp1",), ("a0", "a1"), ("b0", "b1")]


def test_nodes_in_no_rack_go_one_by_one() -> None:
    assert waves(Queue.of([worker("x", None), worker("y", None)], Limits(at_once=2))) == [("x",), ("y",)]


def waves(queue: Queue) -> list[tuple[str, ...]]:
    found = []
    while wave := queue.ready(0.0):
        found.append(wave)
        for name in wave:
            queue = queue.started(name).finished(name)
    return found


def test_who_is_done_already_does_not_go_again() -> None:
    assert waves(Queue.of(SITE[2:], done=["a0", "b1"])) == [("a1",), ("b0",)]


def test_one_that_is_held_lets_others_go_but_not_the_voters() -> None:
    queue = Queue.of(SITE, Limits(at_once=2))
    for name in ("a1", "b0", "b1"):
        assert name in queue.ready(0.0, held=["a0"])
        queue = queue.started(name).finished(name)
    assert queue.ready(0.0, held=["a0"]) == ()
    assert queue.ready(0.0) == ("a0",)


def test_one_that_did_not_come_back_keeps_all_others_from_going() -> None:
    queue = Queue.of(SITE[2:]).started("a0").failed("a0", "no answer", 10.0)
    assert queue.away == {"a0"}
    assert queue.ready(11.0) == ()
    assert queue.due() == 12.0
    assert queue.ready(12.0) == ("a0",)


def test_what_is_no_node_cannot_be_down() -> None:
    with pytest.raises(KeyError, match="no node 'spine0' in the queue"):
        Queue.of(SITE).ready(0.0, down=["spine0"])


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Limits(back_off=2, longest=15)
    assert [pauses.pause(attempts) for attempts in (1, 2, 3, 4, 5, 5000)] == [2, 4, 8, 15, 15, 15]


@pytest.mark.parametrize("verb", [Queue.held, Queue.failed])
def test_after_its_patience_the_queue_stops_and_names_the_node(verb: Callable[[Queue, str, str, float], Queue]) -> None:
    queue = Queue.of(SITE[2:4], Limits(patience=60))
    for now in (100.0, 130.0, 159.9):
        queue = verb(queue, "a1", "web-1 may not be evicted", now)
    with pytest.raises(ClusterError) as caught:
        verb(queue, "a1", "web-1 may not be evicted", 160.0)
    assert str(caught.value) == (
        "a1: the queue stops: 4 attempts in 60 s, the last: web-1 may not be evicted\n  hint: not done yet: a0"
    )


def test_an_attempt_that_goes_well_ends_it() -> None:
    queue = Queue.of(SITE[2:3], Limits(patience=5)).held("a0", "x", 0.0).started("a0").finished("a0")
    assert (queue.left, queue.due()) == ((), None)


@pytest.mark.parametrize("wrong", [{"at_once": 0}, {"back_off": 0.0}, {"longest": 1.0}, {"patience": -1.0}], ids=str)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        Limits(**wrong)  # type: ignore[arg-type]


def test_two_nodes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name: a, a"):
        Queue.of([worker("a", 0), worker("a", 1)])


def test_every_member_of_an_etcd_votes_and_of_a_kubernetes_its_control_planes() -> None:
    small, k8s = (expand(load(TOPOLOGIES / file)) for file in ("small.yml", "k8s.yml"))
    assert {(node.name, node.rack, node.votes) for node in nodes_of(small)} == {
        ("rack0-cs0", 0, True),
        ("rack1-cs0", 1, True),
        ("rack2-cs0", 2, True),
    }
    assert [node.name for node in nodes_of(k8s) if node.votes] == ["rack0-cp0", "rack1-cp0", "rack2-cp0"]
    assert len(nodes_of(k8s)) == 5
