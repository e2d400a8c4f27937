"""Who gets which address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vdc.cluster.kubernetes.agent.allocation import Pool, allocate, needs_work, stale
from vdc.cluster.kubernetes.agent.objects import Service

POOL = Pool(networks=(IPv4Network("10.140.0.0/29"),), taken=frozenset({IPv4Address("10.140.0.2")}))
FIRST, TAKEN, SECOND, THIRD = (IPv4Address("10.140.0.1") + each for each in range(4))


def _service(uid: str, *, created: str = "1", **more: Any) -> Service:
    return Service(namespace="vdc", name=uid, uid=uid, version="1", created=created, **{"balanced": True, **more})


def test_the_oldest_comes_first() -> None:
    found = allocate([_service("young", created="2"), _service("old", created="1")], {}, POOL)
    assert found.record == {FIRST: "old", SECOND: "young"}
    assert found.refused == {}


def test_who_has_an_address_keeps_it_and_the_gone_one_s_is_free() -> None:
    record = {FIRST: "gone", THIRD: "a"}
    found = allocate([_service("a"), _service("b", created="2")], record, POOL)
    assert found.record == {THIRD: "a", FIRST: "b"}
    assert found.address_of(_service("b")) == (FIRST,)


def test_who_asks_for_an_address_gets_it_before_others() -> None:
    found = allocate([_service("a"), _service("b", created="2", wanted=FIRST)], {}, POOL)
    assert found.record == {FIRST: "b", SECOND: "a"}


def test_who_asks_for_another_one_gives_back_what_it_had() -> None:
    found = allocate([_service("a", wanted=THIRD)], {FIRST: "a"}, POOL)
    assert found.record == {THIRD: "a"}


def test_an_address_that_another_has_is_refused() -> None:
    found = allocate([_service("a"), _service("b", wanted=FIRST)], {FIRST: "a"}, POOL)
    assert found.record == {FIRST: "a"}
    assert found.refused["b"].reason == "AddressUnavailable"
    assert found.refused["b"].message == "10.140.0.1 cannot be had: another service has it"


def test_an_address_outside_of_the_pool_is_refused() -> None:
    found = allocate([_service("a", wanted=TAKEN)], {}, POOL)
    assert (
        found.refused["a"].message == "10.140.0.2 cannot be had: it is none of 10.140.0.0/29 that is free for services"
    )
    assert allocate([_service("a", wanted=IPv4Address("10.140.0.7"))], {}, POOL).record == {}


def test_more_services_than_addresses_is_said() -> None:
    found = allocate([_service(f"s{number}", created=str(number)) for number in range(6)], {}, POOL)
    assert len(found.record) == 5
    assert found.refused["s5"].reason == "AddressesExhausted"
    assert found.refused["s5"].message == "no address is left in 10.140.0.0/29"


def test_an_address_that_a_service_shows_is_kept_where_the_record_is_lost() -> None:
    assert allocate([_service("a", ingress=(THIRD,))], {}, POOL).record == {THIRD: "a"}


def test_two_that_show_the_same_address_do_not_both_keep_it() -> None:
    found = allocate([_service("a", ingress=(FIRST,)), _service("b", created="2", ingress=(FIRST,))], {}, POOL)
    assert found.record == {FIRST: "a", SECOND: "b"}


def test_there_is_work_where_a_service_shows_something_else_than_it_should() -> None:
    served = _service("a", ingress=(FIRST,))
    assert not needs_work([served, _service("c", balanced=False)], POOL)
    for wrong in (
        _service("b"),
        _service("b", ingress=(FIRST,)),
        _service("b", ingress=(IPv4Address("192.0.2.1"),)),
        _service("b", ingress=(SECOND,), wanted=THIRD),
        _service("b", balanced=False, ingress=(SECOND,)),
    ):
        assert needs_work([served, wrong], POOL), wrong


def test_an_address_of_others_that_a_service_shows_is_not_ours_to_remove() -> None:
    assert not stale(_service("a", balanced=False, ingress=(IPv4Address("192.0.2.1"),)), POOL)


def test_a_single_address_is_a_pool() -> None:
    pool = Pool(networks=(IPv4Network("10.140.0.9/32"),))
    assert list(pool) == [IPv4Address("10.140.0.9")]
    assert IPv4Address("10.140.0.9") in pool


_ADDRESSES = st.sampled_from(list(IPv4Network("10.140.0.0/29")))
_SERVICES = st.lists(
    st.builds(
        _service,
        st.sampled_from("abcdefgh"),
        created=st.sampled_from("123"),
        balanced=st.booleans(),
        wanted=st.none() | _ADDRESSES,
        ingress=st.lists(_ADDRESSES, max_size=1).map(tuple),
    ),
    unique_by=lambda each: each.uid,
)


@given(_SERVICES, st.dictionaries(_ADDRESSES, st.sampled_from("abcdefghi")))
def test_each_balanced_service_has_one_address_of_the_pool_or_a_reason(
    services: list[Service], record: dict[IPv4Address, str]
) -> None:
    found = allocate(services, record, POOL)
    owners = list(found.record.values())
    assert len(set(owners)) == len(owners)
    assert all(address in POOL for address in found.record)
    assert {*owners} | {*found.refused} == {each.uid for each in services if each.balanced}
    assert not {*owners} & {*found.refused}
    for each in services:
        assert each.wanted is None or found.address_of(each) in ((), (each.wanted,))
    assert allocate(services, found.record, POOL).record == found.record, "a second time changes nothing"
