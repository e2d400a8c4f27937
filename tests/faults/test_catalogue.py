"""Faults as plain data, as words of a person, and as a history tells them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from vdc.cluster.kubernetes.api import Component
from vdc.errors import InputError
from vdc.faults import (
    ComponentsStopped,
    Fault,
    Isolated,
    LinkCut,
    LinkDisturbed,
    LinkOneWay,
    PowerFlap,
    RackOff,
    RoutersOff,
    ServerCrash,
    injected,
    partition,
)
from vdc.faults.catalogue import described, from_record, parse, to_record
from vdc.faults.kinds import KINDS
from vdc.faults.replay import recorded
from vdc.history import Event, read
from vdc.model.disturbance import Disturbance
from vdc.model.topology import Topology
from vdc.testing import FakeDataCenter

MakeDataCenter = Callable[..., FakeDataCenter]


def every_fault(topology: Topology) -> list[Fault]:
    return [
        Isolated("rack0-cs0", ("rack1-cs0",)),
        LinkCut("spine0", "rack0-tor0"),
        LinkDisturbed("spine0", "rack0-tor0", incoming=Disturbance(delay=0.1, jitter=0.05, rate=10**6)),
        LinkOneWay("spine0", "rack0-tor0"),
        RackOff(1),
        RoutersOff(("spine0", "spine1")),
        ServerCrash("rack0-cs0"),
        partition(topology, "halves", "racks", Random(1)),
    ]


def test_each_fault_comes_back_from_its_record(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    for fault in every_fault(dc.topology):
        assert from_record(to_record(fault), dc) == fault


def test_a_fault_has_the_same_key_when_it_comes_back_from_its_record(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    one = (LinkDisturbed("spine0", "rack0-tor0", Disturbance(loss=1)), PowerFlap(("rack0-cs0",), within=5))
    for fault in (*every_fault(dc.topology), *one):
        assert from_record(to_record(fault), dc).key == fault.key


def test_each_kind_is_described() -> None:
    told = described()
    assert set(told) == set(KINDS)
    assert all(what and needs for what, _, needs in told.values())
    assert told["link-cut"][1] == ("device=NAME", "interface=NAME")
    assert "[outgoing.|incoming.]delay=100ms" in told["link-disturbed"][1]
    assert told["routers-off"][1] == ("routers=NAME,…",)


def test_a_cluster_is_not_written_but_found_again(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    dc = make_dc()
    record = to_record(ComponentsStopped(None, (Component.KUBELET,), ("rack0-cs0",)))  # type: ignore[arg-type]
    assert record == {"kind": "components-stopped", "components": ["kubelet"], "servers": ["rack0-cs0"]}
    monkeypatch.setattr("vdc.faults.catalogue.deployed", lambda _: iter(()))
    with pytest.raises(InputError, match="no Kubernetes runs on small"):
        from_record(record, dc)


@dataclasses.dataclass(frozen=True, slots=True)
class Own(Fault):
    """Somebody's own."""

    server: str

    @property
    def name(self) -> str:
        return f"{self.server} is mine"

    def inject(self, dc: Any) -> None: ...
    def bites(self, dc: Any) -> None: ...
    def heal(self, dc: Any) -> None: ...
    def healed(self, dc: Any) -> None: ...


def test_a_fault_of_somebody_else_is_known_by_its_module(make_dc: MakeDataCenter) -> None:
    record = to_record(Own("a"))
    assert record == {"kind": f"{__name__}:Own", "server": "a"}
    assert from_record(record, make_dc()) == Own("a")


if TYPE_CHECKING:
    from vdc.model.topology import Server


@dataclasses.dataclass(frozen=True, slots=True)
class Unknowable(Own):
    """One with a type that is not there when it runs."""

    other: Server | None = None


def test_a_fault_that_no_other_process_would_find_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Local(Own):
        """One that nobody can import."""

    with pytest.raises(TypeError, match="no other process could find"):
        to_record(Local("a"))
    with pytest.raises(TypeError, match="Unknowable is not known"):
        to_record(Unknowable("a"))
    alone = ModuleType("only_here")
    alone.Own = Own  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", alone)
    monkeypatch.setattr(Own, "__module__", "only_here")
    with pytest.raises(TypeError, match="no other process could find only_here:Own"):
        to_record(Own("a"))
    monkeypatch.setitem(sys.modules["__main__"].__dict__, "Own", Own)
    monkeypatch.setattr(Own, "__module__", "__main__")
    with pytest.raises(TypeError, match="no other process could find __main__:Own"):
        to_record(Own("a"))


def test_a_partition_is_said_by_its_shape_and_its_parties(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    words = {"shape": "halves", "of": "racks"}
    assert parse("partitioned", words, dc, dice=Random(4)) == partition(dc.topology, "halves", "racks", Random(4))
    with pytest.raises(InputError, match="takes a shape, and of what"):
        parse("partitioned", {"shape": "halves"}, dc)
    assert described()["partitioned"][1][1] == "of=racks|tiers|roles|servers"


def test_components_are_said_with_commas(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vdc.faults.catalogue._cluster", lambda _: None)
    fault = parse("components-stopped", {"components": "kubelet,kube-proxy", "servers": "rack0-cs0"}, make_dc())
    assert isinstance(fault, ComponentsStopped)
    assert fault.components == (Component.KUBELET, Component.KUBE_PROXY)


@pytest.mark.parametrize("kind", ["nonsense", "os:path", "no.such.module:X", "vdc.errors:VdcError"])
def test_a_record_of_no_fault_is_refused(make_dc: MakeDataCenter, kind: str) -> None:
    with pytest.raises(InputError, match="fault"):
        from_record({"kind": kind}, make_dc())


@pytest.mark.parametrize(
    ("kind", "words", "fault"),
    [
        ("link-cut", {"device": "spine0", "interface": "rack0-tor0"}, LinkCut("spine0", "rack0-tor0")),
        ("routers-off", {"routers": "spine0, spine1"}, RoutersOff(("spine0", "spine1"))),
        ("rack-off", {"rack": "2"}, RackOff(2)),
        (
            "link-disturbed",
            {"device": "a", "interface": "b", "delay": "100ms", "incoming.loss": "5%", "outgoing.mtu": "1400"},
            LinkDisturbed("a", "b", Disturbance(delay=0.1, mtu=1400), Disturbance(delay=0.1, loss=0.05)),
        ),
    ],
)
def test_a_person_says_it_in_words(make_dc: MakeDataCenter, kind: str, words: dict[str, str], fault: Fault) -> None:
    assert parse(kind, words, make_dc()) == fault


@pytest.mark.parametrize(
    ("kind", "words", "why"),
    [
        ("link-snapped", {}, "no fault 'link-snapped'"),
        ("link-cut", {"device": "a"}, "interface"),
        ("link-cut", {"device": "a", "interface": "b", "colour": "red"}, "link-cut has no colour"),
        ("link-cut", {"device": "a,b", "interface": "c"}, "device is one, and a, b was chosen"),
        ("rack-off", {"rack": "one"}, "rack-off: rack: "),
        ("link-disturbed", {"device": "a", "interface": "b", "delay": "fast"}, "delay=fast: expected a duration"),
        ("link-disturbed", {"device": "a", "interface": "b", "loss": "0.01%"}, "nobody could prove it"),
        ("link-disturbed", {"device": "a", "interface": "b"}, "nothing is done to any packet"),
    ],
)
def test_words_that_mean_nothing_are_refused(
    make_dc: MakeDataCenter, kind: str, words: dict[str, str], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        parse(kind, words, make_dc())


def test_a_history_tells_what_was_injected_and_for_how_long(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with injected(dc, LinkCut("spine0", "rack0-tor0")), injected(dc, RoutersOff(("spine1",))):
        pass
    told = recorded(read(dc.recorder.path))
    assert [from_record(each.fault, dc) for each in told] == [LinkCut("spine0", "rack0-tor0"), RoutersOff(("spine1",))]
    assert told[0].after == 0.0
    assert told[1].after >= 0.0
    assert told[0].seconds >= told[1].seconds >= 0.0


def test_what_never_bit_is_not_injected_once_more() -> None:
    def event(time: float, phase: str, **more: object) -> Event:
        return Event(time=time, kind="fault", source="harness", data={"name": "x", "phase": phase, **more})

    fault = {"kind": "rack-off", "rack": 1}
    assert recorded([event(1, "inject", fault=fault), event(2, "failed"), event(3, "heal"), event(4, "healed")]) == ()
    assert recorded([event(1, "inject"), event(2, "bites"), event(3, "heal")]) == ()
    (told,) = recorded([event(1, "inject", fault=fault), event(2, "bites"), event(5, "heal"), event(6, "healed")])
    assert (told.after, told.seconds) == (0, 3)
