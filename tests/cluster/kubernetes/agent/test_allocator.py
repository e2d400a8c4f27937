"""Allocators of several control planes, against the same API."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.cluster.kubernetes.agent.fake_api import LEASES, SERVICES, FakeApi, Object, service
from vdc.cluster.kubernetes.agent.allocator import NAME, RECORD, Allocator
from vdc.cluster.kubernetes.agent.api import Api, RefusedError
from vdc.cluster.kubernetes.agent.objects import Service, read_service
from vdc.cluster.kubernetes.agent.settings import Settings


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def allocator(settings: Settings, clock: Clock, node: str = "n0") -> Allocator:
    own = replace(settings, node=node)
    return Allocator(own, Api(own), clock)


def balanced(api: FakeApi, name: str, **more: Any) -> None:
    api.put(SERVICES, service(name, type="LoadBalancer", **more))


def known(api: FakeApi) -> tuple[Service, ...]:
    return tuple(map(read_service, api.objects[SERVICES].values()))


def shown(api: FakeApi) -> dict[str, list[str]]:
    return {each.name: [str(address) for address in each.ingress] for each in known(api)}


def lease(api: FakeApi) -> Object:
    return api.objects[LEASES][NAME]


def record(api: FakeApi) -> dict[str, str]:
    found: dict[str, str] = json.loads(lease(api)["metadata"]["annotations"][RECORD])
    return found


def test_a_service_gets_an_address_and_the_lease_has_the_record(api: FakeApi, settings: Settings, clock: Clock) -> None:
    balanced(api, "web")
    assert allocator(settings, clock).step(known(api)) is None
    assert shown(api) == {"web": ["10.140.0.1"]}
    assert record(api) == {"10.140.0.1": "uid-web"}
    assert lease(api)["spec"]["holderIdentity"] == "n0"
    assert lease(api)["spec"]["leaseDurationSeconds"] == 15


def test_nothing_is_asked_while_there_is_nothing_to_do(api: FakeApi, settings: Settings, clock: Clock) -> None:
    balanced(api, "web")
    own = allocator(settings, clock)
    own.step(known(api))
    api.asked.clear()
    assert own.step(known(api)) is None
    assert api.asked == []


def test_another_one_waits_until_the_holder_has_not_moved_for_long(
    api: FakeApi, settings: Settings, clock: Clock
) -> None:
    balanced(api, "a")
    allocator(settings, clock, "n0").step(known(api))
    balanced(api, "b")
    other = allocator(settings, clock, "n1")
    assert other.step(known(api)) == 15.0
    clock.now += 10
    assert other.step(known(api)) == 5.0
    assert shown(api)["b"] == []
    clock.now += 5
    assert other.step(known(api)) is None
    assert shown(api) == {"a": ["10.140.0.1"], "b": ["10.140.0.2"]}
    assert lease(api)["spec"]["leaseTransitions"] == 2


def test_a_holder_that_moves_is_waited_for_again(api: FakeApi, settings: Settings, clock: Clock) -> None:
    first, other = allocator(settings, clock, "n0"), allocator(settings, clock, "n1")
    balanced(api, "a")
    first.step(known(api))
    balanced(api, "b")
    stale = known(api)
    assert other.step(stale) == 15.0
    first.step(known(api))
    clock.now += 14
    assert other.step(stale) == 15.0


def test_one_that_was_taken_for_dead_gives_nothing_away_twice(api: FakeApi, settings: Settings, clock: Clock) -> None:
    """It has read the record, and sleeps; meanwhile another one has taken over, and given away the next address."""
    first, other = allocator(settings, clock, "n0"), allocator(settings, clock, "n1")
    balanced(api, "a")
    first.step(known(api))
    balanced(api, "b", created="2026-01-02T00:00:00Z")
    assert other.step(known(api)) == 15.0
    clock.now += 15
    balanced(api, "c", created="2026-01-03T00:00:00Z")
    api.before["PUT"] = lambda: other.step(known(api))
    with pytest.raises(RefusedError, match="modified"):
        first.step(known(api))
    assert shown(api)["b"] == ["10.140.0.2"]
    assert record(api) == {"10.140.0.1": "uid-a", "10.140.0.2": "uid-b"}
    assert lease(api)["spec"]["holderIdentity"] == "n1"


def test_an_address_is_free_when_its_service_is_gone(api: FakeApi, settings: Settings, clock: Clock) -> None:
    own = allocator(settings, clock)
    for name in ("a", "b"):
        balanced(api, name)
    own.step(known(api))
    api.delete(SERVICES, "vdc/a")
    balanced(api, "c")
    own.step(known(api))
    assert shown(api) == {"b": ["10.140.0.2"], "c": ["10.140.0.1"]}


def test_a_service_of_the_same_name_is_another_one(api: FakeApi, settings: Settings, clock: Clock) -> None:
    """What is known is from before; the address goes to the service that there is now."""
    own = allocator(settings, clock)
    balanced(api, "a")
    before = known(api)
    api.delete(SERVICES, "vdc/a")
    balanced(api, "a", uid="uid-new")
    own.step(before)
    assert record(api) == {"10.140.0.1": "uid-new"}


def test_a_service_that_changes_meanwhile_is_left_to_the_next_step(
    api: FakeApi, settings: Settings, clock: Clock
) -> None:
    own = allocator(settings, clock)
    balanced(api, "a")
    api.before["PATCH"] = lambda: balanced(api, "a", loadBalancerIP="10.140.0.2")
    own.step(known(api))
    assert shown(api) == {"a": []}
    own.step(known(api))
    assert shown(api) == {"a": ["10.140.0.2"]}
    assert record(api) == {"10.140.0.2": "uid-a"}


def test_a_service_that_is_balanced_no_more_loses_its_address(api: FakeApi, settings: Settings, clock: Clock) -> None:
    api.put(SERVICES, service("a", type="ClusterIP", ingress="10.140.0.1"))
    allocator(settings, clock).step(known(api))
    assert shown(api) == {"a": []}


def test_a_pool_that_is_exhausted_is_said_once(api: FakeApi, settings: Settings, clock: Clock) -> None:
    for number in range(3):
        balanced(api, f"s{number}", created=f"2026-01-0{number + 1}T00:00:00Z")
    own = allocator(settings, clock)
    own.step(known(api))
    own.step(known(api))
    assert shown(api)["s2"] == []
    (event,) = api.events
    assert (event["type"], event["reason"]) == ("Warning", "AddressesExhausted")
    assert event["message"] == "no address is left in 10.140.0.0/30"
    assert event["involvedObject"]["uid"] == "uid-s2"
    assert event["metadata"] == {"generateName": "s2.", "namespace": "vdc"}


def test_an_api_that_does_not_answer_is_said(settings: Settings, clock: Clock) -> None:
    wanting = read_service(service("a", type="LoadBalancer"))
    with pytest.raises(OSError, match="refused"):
        allocator(settings, clock).step((wanting,))


def test_an_answer_that_is_none_is_said(api: FakeApi, settings: Settings, clock: Clock) -> None:
    balanced(api, "a")
    api.refusals.append(500)
    with pytest.raises(RefusedError, match="500: not now"):
        allocator(settings, clock).step(known(api))
