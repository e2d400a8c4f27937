"""Which addresses a node announces, and what BIRD is told of them."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Address

import pytest

from tests.cluster.kubernetes.agent.fake_api import Object, endpoint, endpoint_slice, service
from vdc.cluster.kubernetes.agent.announcing import (
    Announcement,
    Backends,
    announced_in,
    announcement,
    backed,
    bird_text,
)
from vdc.cluster.kubernetes.agent.objects import read_service, read_slice

FIRST, SECOND = IPv4Address("10.140.0.1"), IPv4Address("10.140.0.2")
NOBODY = frozenset[IPv4Address]()
WEB = service("web", type="LoadBalancer", ingress="10.140.0.1")


POD, OTHER = IPv4Address("10.80.0.2"), IPv4Address("10.80.0.3")


def _backed(said: Object, *endpoints: Object) -> Backends:
    return backed([read_service(said)], [read_slice(endpoint_slice("web", *endpoints))], "n0")


def _announced(
    so_far: Collection[IPv4Address] = (), *, local: Collection[IPv4Address] = (POD,), programmed: bool = True
) -> Announcement:
    wanted = {FIRST: frozenset({POD}), SECOND: frozenset({POD, OTHER})}
    return announcement(wanted, so_far, local.__contains__, lambda _, __: programmed)


def test_an_address_is_backed_by_what_is_ready_here() -> None:
    assert _backed(WEB, endpoint("10.80.0.2"), endpoint("10.80.0.3")) == {FIRST: {POD, OTHER}}


@pytest.mark.parametrize(
    "other", [endpoint("10.80.0.2", ready=False), endpoint("10.80.1.2", node="n1"), endpoint("10.80.1.2", node="")]
)
def test_a_backend_that_is_not_ready_or_elsewhere_does_not_count(other: Object) -> None:
    assert _backed(WEB, other) == {}


def test_a_service_that_is_not_balanced_is_not_announced() -> None:
    said = service("web", type="ClusterIP", ingress="10.140.0.1")
    assert _backed(said, endpoint("10.80.0.2")) == {}


def test_what_is_backed_is_announced() -> None:
    assert _announced() == (frozenset({FIRST, SECOND}), NOBODY)
    assert announcement({}, {FIRST}, lambda _: True, lambda _, __: True) == (NOBODY, NOBODY)


def test_a_backend_that_the_kernel_knows_no_way_to_is_waited_for() -> None:
    assert _announced(local=[OTHER]) == (frozenset({SECOND}), frozenset({FIRST}))
    assert _announced([FIRST, SECOND], local=[]) == (NOBODY, frozenset({FIRST, SECOND}))


def test_a_new_address_waits_for_kube_proxy_and_an_old_one_does_not() -> None:
    assert _announced([FIRST], programmed=False) == (frozenset({FIRST}), frozenset({SECOND}))


def test_kube_proxy_is_asked_for_the_backends_that_are_here() -> None:
    asked: list[tuple[IPv4Address, frozenset[IPv4Address]]] = []

    def programmed(address: IPv4Address, backends: frozenset[IPv4Address]) -> bool:
        asked.append((address, backends))
        return True

    announcement({SECOND: frozenset({POD, OTHER})}, (), lambda each: each == OTHER, programmed)
    assert asked == [(SECOND, frozenset({OTHER}))]


def test_what_bird_is_told_is_read_back() -> None:
    text = bird_text({SECOND, FIRST})
    assert text == (
        "protocol static services4 {\n\tipv4;\n"
        '\troute 10.140.0.1/32 via "node0";\n\troute 10.140.0.2/32 via "node0";\n}\n'
    )
    assert announced_in(text) == {FIRST, SECOND}
    assert announced_in(bird_text(())) == NOBODY
