"""A cable that comes and goes, and a far end that counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vdc.datacenter.convergence import differences
from vdc.errors import HarnessTimeout, HealError
from vdc.faults import LinkFlap, injected
from vdc.faults.catalogue import from_record, parse, to_record
from vdc.testing import FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]
BETWEEN, TO_SERVER = LinkFlap("rack0-tor0", "spine0", 4), LinkFlap("rack0-cs0", "eth0", 2, 0.5, 7)
either = pytest.mark.parametrize("fault", [BETWEEN, TO_SERVER], ids=lambda fault: fault.name)


@either
def test_it_goes_so_often_is_out_in_the_end_and_back_after_it(make_dc: MakeDataCenter, fault: LinkFlap) -> None:
    dc = make_dc()
    with injected(dc, fault):
        assert dc.world.flips == 2 * fault.times - 1
        assert not dc.world.cut.isdisjoint({(fault.device, fault.interface)})
    assert differences(dc) == ()
    assert from_record(to_record(fault), dc) == fault


@either
@pytest.mark.parametrize(
    ("lie", "error"), [(Lie.FAULT_WITHOUT_EFFECT, HarnessTimeout), (Lie.NEVER_HEALS, HealError)], ids=str
)
def test_a_cable_that_does_not_go_or_does_not_come_back_is_found_out(
    make_dc: MakeDataCenter, fault: LinkFlap, lie: Lie, error: type[Exception]
) -> None:
    with pytest.raises(error), injected(make_dc(lie), fault):
        raise AssertionError("the body ran")


def test_one_that_only_goes_is_no_flap(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    dc = make_dc()
    monkeypatch.setattr(dc.routers["spine0"], "carrier_changes", lambda _: int(bool(dc.world.cut)))
    with (
        pytest.raises(HarnessTimeout, match="spine0 rack0-tor0 saw its carrier change 1 times, expected 7"),
        injected(dc, BETWEEN),
    ):
        raise AssertionError("the body ran")
    assert differences(dc) == ()


@pytest.mark.parametrize(("times", "within"), [(1, 1.0), (2, 0.0)])
def test_what_is_no_flap_is_refused(times: int, within: float) -> None:
    with pytest.raises(ValueError, match="at least twice"):
        LinkFlap("a", "b", times, within)


def test_a_person_says_it_in_words(make_dc: MakeDataCenter) -> None:
    words = {"device": "spine0", "interface": "border0", "times": "5", "within": "2.5"}
    assert parse("link-flap", words, make_dc()) == LinkFlap("spine0", "border0", 5, 2.5)
