"""Every family of faults: it bites, is undone, and is found out where it does neither."""

from collections.abc import Callable

import pytest

from vdc.datacenter.convergence import differences
from vdc.errors import HarnessTimeout, HealError, HostError, WaitTimeout
from vdc.faults import Fault, Isolated, LinkCut, RackOff, RouterOff, RoutersOff, ServerCrash, injected
from vdc.faults.partition import ruleset
from vdc.history import read
from vdc.testing import FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]

FAULTS = (
    RouterOff("rack0-tor0"),
    RouterOff("spine0"),
    RoutersOff(("rack0-tor0", "rack1-tor0", "rack2-tor0")),
    LinkCut("rack0-cs0", "eth0"),
    LinkCut("rack0-tor0", "spine0"),
    ServerCrash("rack1-cs0"),
    RackOff(2),
    Isolated("rack0-cs0"),
)
every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))


class BodyError(Exception):
    """What a scenario may raise."""


@every_fault
def test_a_fault_is_there_in_the_body_and_gone_after_it(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        fault.bites(dc)
        assert differences(dc) != () or dc.world.blocked != {}
    assert differences(dc) == ()
    assert not any(dc.world.blocked.values())
    assert dc.dirty() is None


@every_fault
def test_a_fault_is_healed_when_the_body_fails(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with pytest.raises(BodyError), injected(dc, fault):
        raise BodyError
    assert differences(dc) == ()
    assert not any(dc.world.blocked.values())
    assert dc.dirty() is None


@every_fault
def test_the_body_never_runs_where_a_fault_does_not_bite(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.FAULT_WITHOUT_EFFECT)
    ran: list[str] = []
    with pytest.raises(HarnessTimeout, match="to bite"), injected(dc, fault):
        ran.append("body")
    assert ran == []
    # Nothing was broken, so there is nothing to prove by new boot IDs, and nothing to distrust.
    assert dc.dirty() is None
    assert differences(dc) == ()


@every_fault
def test_a_fault_that_cannot_be_healed_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError, match="was not healed"), injected(dc, fault):
        pass
    assert fault.name in (dc.dirty() or "")


@pytest.mark.parametrize("fault", [ServerCrash("rack1-cs0"), RackOff(2)], ids=["crash", "rack"])
def test_healing_a_server_demands_another_boot_id(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.REBOOT_IGNORED)
    with pytest.raises(HealError), injected(dc, fault):
        pass
    assert dc.dirty() is not None


@every_fault
def test_the_history_tells_every_phase_in_order(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        pass
    told = [event.data for event in read(dc.recorder.path) if event.kind == "fault"]
    assert [data["phase"] for data in told] == ["inject", "bites", "heal", "healed"]
    assert {data["name"] for data in told} == {fault.name}


def test_a_heal_that_fails_does_not_hide_what_the_body_raised(make_dc: MakeDataCenter) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError) as caught, injected(dc, RouterOff("spine0")):
        raise BodyError
    links = [caught.value, caught.value.__cause__, getattr(caught.value.__cause__, "__context__", None)]
    assert any(isinstance(link, WaitTimeout) for link in links)
    assert isinstance(_root(caught.value), BodyError)


def test_a_fault_on_an_unknown_device_touches_nothing_else(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with pytest.raises(HostError, match="there is no router spine9"), injected(dc, RouterOff("spine9")):
        raise AssertionError("the body ran")
    assert differences(dc) == ()
    assert dc.dirty() is None


def test_what_explains_a_failed_body_is_gathered_before_it_is_healed(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    seen: list[set[str]] = []
    with (
        pytest.raises(BodyError),
        injected(dc, RouterOff("spine0"), on_failure=lambda: seen.append(set(dc.world.down))),
    ):
        raise BodyError
    assert seen == [{"spine0"}]
    assert dc.world.down == set()


def test_what_explains_a_fault_that_did_not_bite_is_gathered(make_dc: MakeDataCenter) -> None:
    dc = make_dc(Lie.FAULT_WITHOUT_EFFECT)
    seen: list[str] = []
    spine = dc.routers["spine0"]
    fault = injected(dc, RouterOff("spine0"), on_failure=lambda: seen.append(spine.power()))
    with pytest.raises(WaitTimeout, match="to bite"), fault:
        pass
    assert seen == ["off"]


def test_nothing_is_gathered_where_nothing_failed(make_dc: MakeDataCenter) -> None:
    seen: list[str] = []
    with injected(make_dc(), RouterOff("spine0"), on_failure=lambda: seen.append("gathered")):
        pass
    assert seen == []


def test_a_fault_is_healed_even_where_gathering_fails(make_dc: MakeDataCenter) -> None:
    dc = make_dc()

    def gather() -> None:
        raise OSError("disk full")

    with pytest.raises(BodyError) as caught, injected(dc, RouterOff("spine0"), on_failure=gather):
        raise BodyError
    assert caught.value.__notes__ == ["what explains it could not be gathered: disk full"]
    assert differences(dc) == ()


def test_faults_nest_and_heal_inside_out(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with injected(dc, RouterOff("spine0")), injected(dc, RouterOff("rack0-tor0")):
        assert dc.world.down == {"spine0", "rack0-tor0"}
    assert differences(dc) == ()


def test_the_rules_of_a_partition_drop_both_directions(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    rules = ruleset((dc.topology.server("rack1-cs0").node.ip,), "inet x")
    address = dc.topology.server("rack1-cs0").node.ip
    assert f"hook input priority -300; ip saddr {{ {address} }} drop;" in rules
    assert f"hook output priority -300; ip daddr {{ {address} }} drop;" in rules


def test_partitions_of_one_server_do_not_undo_one_another() -> None:
    assert Isolated("a", ("b",))._table != Isolated("a", ("c",))._table


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (LinkCut("spine9", "eth0"), "there is no router or server spine9"),
        (LinkCut("spine0", "eth9"), "spine0 has no session over eth9"),
    ],
)
def test_a_cable_that_nobody_would_miss_is_not_touched(make_dc: MakeDataCenter, fault: Fault, why: str) -> None:
    dc = make_dc()
    with pytest.raises(HostError, match=why), injected(dc, fault):
        raise AssertionError("the body ran")
    assert dc.dirty() is None
    assert not dc.world.cut


def _root(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error
