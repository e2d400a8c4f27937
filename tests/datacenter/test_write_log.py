"""What is on a disk after the power went: all that was flushed, and of the rest what chance left, whole or torn."""

from __future__ import annotations

import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.host.write_log import SECTOR, Entry, after_power_loss, extents, parse, unflushed

FLUSH = Entry(flush=True)


def write(sector: int, text: str, *, through: bool = False) -> Entry:
    """A write of one sector for each letter."""
    return Entry(sector=sector, data=b"".join(letter.encode() * SECTOR for letter in text), through=through)


def encoded(entries: list[Entry]) -> bytes:
    """As QEMU writes it: a super block, then each entry and its data."""
    log = struct.pack("<QQQI", 0x6A736677736872, 1, len(entries), SECTOR).ljust(SECTOR, b"\0")
    for each in entries:
        flags = each.flush | each.through << 1
        log += struct.pack("<QQQQ", each.sector, len(each.data) // SECTOR, flags, 0).ljust(SECTOR, b"\0") + each.data
    return log


def letters(sectors: dict[int, bytes]) -> dict[int, str]:
    return {number: data[:1].decode() for number, data in sectors.items()}


writes = st.builds(
    write, st.integers(0, 20), st.text("abcdef", min_size=1, max_size=4), through=st.booleans()
) | st.just(FLUSH)
histories = st.lists(writes, max_size=30)


@given(histories)
def test_a_log_is_read_as_it_was_written(entries: list[Entry]) -> None:
    assert list(parse(encoded(entries))) == entries
    assert list(parse(encoded(entries) + bytes(4096))) == entries
    assert list(parse(bytes(SECTOR) + encoded(entries)[SECTOR:])) == entries, "nothing was flushed yet"


@given(histories, st.integers(0, 4096))
def test_a_log_that_was_cut_off_tells_what_came_before(entries: list[Entry], cut: int) -> None:
    log = encoded(entries)
    found = list(parse(log[: max(0, len(log) - cut)]))
    assert found == entries[: len(found)]


def test_what_was_discarded_has_no_data() -> None:
    log = encoded([]) + struct.pack("<QQQQ", 8, 100, 4, 0).ljust(SECTOR, b"\0")
    assert list(parse(log + encoded([write(3, "a")])[SECTOR:])) == [Entry(sector=8), write(3, "a")]


@pytest.mark.parametrize("head", [(1, 1, 0, SECTOR), (0x6A736677736872, 2, 0, SECTOR), (0x6A736677736872, 1, 0, 4096)])
def test_what_is_no_such_log_is_refused(head: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no log of writes"):
        list(parse(struct.pack("<QQQI", *head).ljust(SECTOR, b"\0")))


@given(histories, st.integers())
def test_what_was_flushed_or_written_through_is_never_lost(entries: list[Entry], seed: int) -> None:
    last = max((place for place, each in enumerate(entries) if each.flush), default=-1)
    safe = [each for place, each in enumerate(entries) if place < last or each.through]
    found = after_power_loss(entries, Random(seed)).sectors
    possible: dict[int, set[bytes]] = {}
    for each in safe:
        for place in range(len(each.data) // SECTOR):
            possible[each.sector + place] = {each.data[place * SECTOR : (place + 1) * SECTOR]}
    assert set(possible) <= set(found)
    for each in entries[last + 1 :]:  # these may be there or not
        for place in range(len(each.data) // SECTOR):
            data = each.data[place * SECTOR : (place + 1) * SECTOR]
            possible[each.sector + place] = (
                {data} if each.through else {*possible.get(each.sector + place, set()), data}
            )
    assert all(data in possible[number] for number, data in found.items())


@given(histories, st.integers())
def test_the_counts_tell_of_each_write_what_came_of_it(entries: list[Entry], seed: int) -> None:
    outcome = after_power_loss(entries, Random(seed))
    assert outcome.kept + outcome.unflushed == sum(1 for each in entries if each.data)
    assert outcome.unflushed == unflushed(entries)
    assert min(outcome.lost, outcome.torn) >= 0
    assert (outcome.lost + outcome.torn > 0) is (outcome.unflushed > 0)
    assert outcome == after_power_loss(entries, Random(seed))


def test_a_torn_write_is_there_in_part() -> None:
    outcomes = [after_power_loss([write(0, "aaaa"), FLUSH, write(0, "bbbb")], Random(seed)) for seed in range(50)]
    assert {(each.lost, each.torn) for each in outcomes} == {(1, 0), (0, 1)}
    for each in outcomes:
        found = sorted(letters(dict(each.sectors)).values())
        assert (found == ["a"] * 4) is (each.lost == 1)
        assert "a" in found


@given(st.dictionaries(st.integers(0, 30), st.just(b"x" * SECTOR)))
def test_pieces_are_the_sectors_again_and_no_two_touch(sectors: dict[int, bytes]) -> None:
    pieces = list(extents(sectors))
    assert {first + place for first, data in pieces for place in range(len(data) // SECTOR)} == set(sectors)
    ends = [first + len(data) // SECTOR for first, data in pieces]
    assert all(end < first for end, (first, _) in zip(ends, pieces[1:], strict=False))
