"""Whatever of the resources there is: a valid topology, or an InputError that says where."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.imports.conftest import GOLDEN, beside, menu, placemat
from vdc.errors import InputError
from vdc.imports.documents import Source
from vdc.imports.draft import Options
from vdc.imports.menu import import_menu
from vdc.imports.placemat import import_placemat
from vdc.imports.pools import free_prefix, moved
from vdc.model.expand import expand
from vdc.model.ip import Prefix
from vdc.model.load import parse, read_seeds

PLACEMAT, MENU = GOLDEN / "placemat", GOLDEN / "menu"
RESOURCES = sorted(
    document
    for name in ("flat", "alike", "routed", "dual")
    for document in (PLACEMAT / f"{name}.yml").read_text(encoding="utf-8").split("---\n")
)
COURSES = sorted(
    document
    for name in ("two-racks", "full")
    for document in (MENU / f"{name}.yml").read_text(encoding="utf-8").split("---\n")
)
WORDS = sorted({word for text in (*RESOURCES, *COURSES) for word in re.findall(r"[\w./-]+", text)})


def check(text: str) -> None:
    """It is valid, and says a data centre."""
    spec = parse(text, file=str(PLACEMAT / "t.yml"))
    assert expand(spec, read_seeds(spec)).name


def _placemat(text: str) -> None:
    try:
        imported = import_placemat([Source("t.yml", text)], Options(target=str(PLACEMAT / "t.yml")))
    except InputError:
        return
    check(imported.text)


def _menu(text: str) -> None:
    try:
        imported = import_menu(Source("t.yml", text), beside(MENU))
    except InputError:
        return
    check(imported.text)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(RESOURCES), unique=True))
def test_any_subset_of_resources_is_a_topology_or_a_mistake(resources: list[str]) -> None:
    _placemat("---\n".join(resources))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["flat", "alike", "routed", "dual"]), st.data())
def test_a_data_centre_may_lack_any_of_its_devices(case: str, data: st.DataObject) -> None:
    """Their networks and images are there, so that nothing is wrong with the rest."""
    documents = (PLACEMAT / f"{case}.yml").read_text(encoding="utf-8").split("---\n")
    devices = [each for each in documents if re.search(r"^kind: (Node|NetworkNamespace)$", each, re.MULTILINE)]
    gone = data.draw(st.sets(st.sampled_from(devices)))
    text = "---\n".join(each for each in documents if each not in gone)
    check(import_placemat([Source("t.yml", text)], Options(target=str(PLACEMAT / "t.yml"))).text)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(COURSES), unique=True))
def test_any_subset_of_a_menu_is_a_topology_or_a_mistake(resources: list[str]) -> None:
    _menu("---\n".join(resources))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["flat", "routed", "alike"]), st.integers(min_value=0), st.sampled_from(WORDS))
def test_any_word_may_be_another_one(case: str, at: int, word: str) -> None:
    text = (PLACEMAT / f"{case}.yml").read_text(encoding="utf-8")
    places = list(re.finditer(r"[\w./-]+", text))
    place = places[at % len(places)]
    _placemat(text[: place.start()] + word + text[place.end() :])


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["two-racks", "full"]), st.integers(min_value=0), st.sampled_from(WORDS))
def test_any_word_of_a_menu_may_be_another_one(case: str, at: int, word: str) -> None:
    text = (MENU / f"{case}.yml").read_text(encoding="utf-8")
    places = list(re.finditer(r"[\w./-]+", text))
    place = places[at % len(places)]
    _menu(text[: place.start()] + word + text[place.end() :])


@pytest.mark.parametrize("case", ["flat", "alike", "routed", "dual"])
def test_resources_without_mistakes_can_be_expanded(case: str) -> None:
    check(placemat(PLACEMAT / f"{case}.yml").text)


@pytest.mark.parametrize("case", ["two-racks", "full"])
def test_a_menu_without_mistakes_can_be_expanded(case: str) -> None:
    check(menu(MENU / f"{case}.yml").text)


PREFIXES = st.builds(
    lambda address, length: ip_network((address, length), strict=False),
    st.integers(min_value=10 << 24, max_value=(11 << 24) - 1),
    st.integers(min_value=9, max_value=30),
)


def overlap(one: Prefix, other: Prefix) -> bool:
    return isinstance(one, IPv4Network) and isinstance(other, IPv4Network) and one.overlaps(other)


@given(st.sets(PREFIXES, max_size=12))
def test_moved_pools_overlap_with_nothing(taken: set[Prefix]) -> None:
    found = [ip_network(text) for text in moved(taken).values()]
    assert not any(overlap(one, other) for one in found for other in taken)
    assert not any(overlap(one, other) for one in found for other in found if one is not other)


def test_where_there_is_no_room_nothing_is_found() -> None:
    everything = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
    with pytest.raises(ValueError, match="no room for a /24"):
        free_prefix(ip_network("10.0.0.0/24"), everything)
