from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdc.imports.units import plain_name, role_name, size
from vdc.model.values import parse_size


@pytest.mark.parametrize(
    ("text", "unit", "ours"),
    [
        ("4G", "b", "4GiB"),
        ("512m", "b", "512MiB"),
        ("1536M", "b", "1536MiB"),
        ("1.5G", "b", "1536MiB"),
        ("2048", "m", "2GiB"),
        ("1T", "m", "1TiB"),
        ("1025", "b", "2KiB"),
        ("3k", "b", "3KiB"),
    ],
)
def test_a_size_of_qemu_is_written_as_ours(text: str, unit: str, ours: str) -> None:
    assert size(text, unit=unit) == ours


@given(st.integers(min_value=1, max_value=1 << 50))
def test_no_size_becomes_smaller_nor_a_kibibyte_larger(octets: int) -> None:
    assert 0 <= parse_size(size(str(octets))) - octets < 1024


@pytest.mark.parametrize("text", ["", "G", "4GiB", "-1", "1,5G", "4 G", "1e3"])
def test_what_is_not_a_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size such as"):
        size(text)


@pytest.mark.parametrize(
    ("text", "taken", "name"),
    [
        ("node1", set(), "node1"),
        ("Node_1.example", set(), "node-1-exampl"),
        ("1st", set(), "n1st"),
        ("---", set(), "x"),
        ("node1", {"node1"}, "node1-2"),
        ("a-long-name-here", {"a-long-name-h"}, "a-long-name-2"),
    ],
)
def test_a_name_stays_as_close_as_it_can(text: str, taken: set[str], name: str) -> None:
    assert plain_name(text, taken, longest=13) == name


@given(st.text(max_size=40), st.sets(st.text("ab-12", max_size=4)), st.integers(min_value=6, max_value=32))
def test_every_name_is_one_of_ours_and_free(text: str, taken: set[str], longest: int) -> None:
    name = plain_name(text, taken, longest=longest)
    assert name not in taken
    assert len(name) <= longest
    assert name[0].isalpha()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize(
    ("device", "role"), [("rack0-cs1", "cs"), ("boot-0", "boot"), ("host_12", "host"), ("7", "server"), ("a-b", "b")]
)
def test_a_role_is_what_the_name_says(device: str, role: str) -> None:
    assert role_name(device) == role
