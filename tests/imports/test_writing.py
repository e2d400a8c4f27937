from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from vdc.imports.writing import WIDTH, write
from vdc.model.yamltree import Path

SCALARS = (
    st.booleans()
    | st.integers(min_value=0, max_value=1 << 32)
    | st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=30)
    | st.sampled_from(
        ["00000001", "1.5", "1e3", "true", "No", "null", "~", "10.0.0.0/8", "fd00::1/64", "0x1f", "12:30"]
    )
)
KEYS = st.text(alphabet="abcdefgh_-01", min_size=1, max_size=12) | st.sampled_from(["on", "y", "1", "roles", "racks"])
DATA = st.dictionaries(
    KEYS,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=20,
    ),
    min_size=1,
    max_size=6,
)


def read(text: str) -> object:
    return YAML(typ="safe", pure=True).load(text)


def without_dollars(data: object) -> object:
    """As a topology means it: a dollar at the start of a text is written twice."""
    match data:
        case str():
            return data[1:] if data.startswith("$$") else data
        case dict():
            return {without_dollars(key): without_dollars(value) for key, value in data.items()}
        case list():
            return list(map(without_dollars, data))
        case _:
            return data


@settings(max_examples=50, deadline=None)
@given(DATA)
def test_what_is_written_reads_as_what_was_meant(data: Mapping[str, object]) -> None:
    assert without_dollars(read(write(data, {}))) == data


@settings(max_examples=50, deadline=None)
@given(DATA, st.text(alphabet="words and more ", max_size=300))
def test_comments_change_nothing(data: Mapping[str, object], text: str) -> None:
    comments: dict[Path, str] = {(key,): text for key in data}
    assert read(write(data, comments)) == read(write(data, {}))


def test_a_section_is_one_line_if_it_fits_and_lines_of_its_own_if_not() -> None:
    short, long = {"borders": 1, "spines": 2}, {f"key{number}": "x" * 20 for number in range(6)}
    text = write({"fabric": short, "routing": long}, {})
    assert text.startswith("fabric: {borders: 1, spines: 2}\n\nrouting:\n  key0: xxx")
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("debian-12", "debian-12"),
        ("00000001", '"00000001"'),
        ("4GiB", "4GiB"),
        ("10.0.0.0/24", "10.0.0.0/24"),
        ("https://example.com/x.img", "https://example.com/x.img"),
        ("yes", '"yes"'),
        ("a: b", '"a: b"'),
        ("", '""'),
        ("$HOME", '"$$HOME"'),
        (True, "true"),
        ([], "[]"),
    ],
)
def test_a_text_has_quotes_only_where_it_needs_them(value: object, text: str) -> None:
    assert write({"key": value}, {}) == f"key: {text}\n"


def test_a_comment_stands_above_a_section_and_beside_a_value() -> None:
    comments: dict[Path, str] = {("pools",): "Where.", ("pools", "link"): "wires"}
    text = write({"a": 1, "pools": {"link": "x", "loopback": "z"}}, comments)
    assert text == "a: 1\n\n# Where.\npools:\n  link: x  # wires\n  loopback: z\n"
