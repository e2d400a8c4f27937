"""How boots ended, from what real journals said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.rolling.boots import JOURNAL_BEGINS, JOURNAL_ENDS, UNIT_STARTED, Boot, End, boots_of, checked, parse
from vdc.testing import FakeDataCenter, Lie

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
A, B = "6e11e14d7b464406abcb4154d462171c", "aa949ff6a30f4cd6aafd7f86ca2dc948"


def line(boot: str, at: float, message: str, unit: str = "") -> str:
    entry = {"_BOOT_ID": boot, "__REALTIME_TIMESTAMP": str(round(at * 1e6)), "MESSAGE_ID": message}
    return json.dumps({**entry, "UNIT": unit} if unit else entry)


REAL = (
    '{"MESSAGE_ID":"f77379a8490b408bbe5f6940505a777b","__CURSOR":"s=3674","__REALTIME_TIMESTAMP":"1795383110000000",'
    '"_BOOT_ID":"6e11e14d7b464406abcb4154d462171c"}',
    '{"__MONOTONIC_TIMESTAMP":"11582217","_BOOT_ID":"6e11e14d7b464406abcb4154d462171c","__CURSOR":"s=3674",'
    '"__REALTIME_TIMESTAMP":"1795383112252594","MESSAGE_ID":"39f53479d3a045ac8e11786248231fbf","UNIT":"reboot.target"}',
    '{"__REALTIME_TIMESTAMP":"1795383112417254","MESSAGE_ID":"d93fb3c9c24d451a97cea615ce59c00b",'
    '"_BOOT_ID":"6e11e14d7b464406abcb4154d462171c"}',
    '{"__REALTIME_TIMESTAMP":"1795383122000000","MESSAGE_ID":"f77379a8490b408bbe5f6940505a777b",'
    '"_BOOT_ID":"aa949ff6a30f4cd6aafd7f86ca2dc948"}',
)


def test_a_real_journal_tells_of_a_restart() -> None:
    assert parse(REAL, ahead=1795383000.0) == (
        Boot(
            id="6e11e14d-7b46-4406-abcb-4154d462171c",
            begun=110.0,
            ended=1795383112.417254 - 1795383000.0,
            end=End.RESTART,
        ),
        Boot(id="aa949ff6-a30f-4cd6-aafd-7f86ca2dc948", begun=122.0, ended=None, end=End.RUNS),
    )


ENDS = {
    "restart": ([(UNIT_STARTED, "reboot.target"), (JOURNAL_ENDS, "")], End.RESTART),
    "power-off": ([(UNIT_STARTED, "poweroff.target"), (JOURNAL_ENDS, "")], End.POWER_OFF),
    "cut": ([], End.CUT),
    "cut while it restarted": ([(UNIT_STARTED, "reboot.target")], End.CUT),
    "its journal was started once more, then cut": ([(JOURNAL_ENDS, ""), (JOURNAL_BEGINS, "")], End.CUT),
}


@pytest.mark.parametrize(("said", "end"), ENDS.values(), ids=ENDS)
def test_a_boot_ended_as_its_journal_says(said: list[tuple[str, str]], end: End) -> None:
    told = [line(A, 1.0, JOURNAL_BEGINS), *(line(A, 2.0, *each) for each in said), line(B, 9.0, JOURNAL_BEGINS)]
    assert [boot.end for boot in parse(told)] == [end, End.RUNS]


def test_a_journal_that_says_nothing_knows_of_no_boot() -> None:
    assert parse([]) == ()


def boots(end: End) -> tuple[Boot, ...]:
    return (Boot(id="a", begun=1, ended=None, end=end), Boot(id="b", begun=2, ended=None, end=End.RUNS))


@pytest.mark.parametrize(
    ("said", "recovered", "end"),
    [
        (End.CUT, True, End.CUT),
        (End.CUT, False, End.DOUBTFUL),
        (End.RESTART, False, End.RESTART),
        (End.RESTART, True, End.DOUBTFUL),
    ],
)
def test_the_kernel_bears_the_journal_out_or_not(said: End, recovered: bool, end: End) -> None:
    assert checked(boots(said), recovered=recovered)[0].end is end


def test_the_kernel_has_nothing_to_say_of_a_first_boot() -> None:
    (only,) = checked(boots(End.CUT)[1:], recovered=True)
    assert only.end is End.RUNS


@pytest.mark.parametrize(("lies", "ends"), [((), ["restart", "cut"]), ([Lie.CAUSE_WRONG], ["cut", "restart"])])
def test_a_server_in_memory_tells_of_its_boots_or_lies(tmp_path: Path, lies: list[Lie], ends: list[str]) -> None:
    dc = FakeDataCenter(expand(load(TOPOLOGIES / "small.yml")), tmp_path, lies=lies)
    machine = dc.servers["rack0-cs0"]
    machine.reboot()
    machine.power_off()
    machine.power_on()
    found = boots_of(dc, machine)
    assert [boot.end for boot in found] == [*ends, End.RUNS]
    assert found[-1].id == machine.boot_id()
    assert [boot.begun for boot in found] == sorted(boot.begun for boot in found)
