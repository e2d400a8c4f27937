"""What is asked of the Eviction API, and what its answers mean."""

from __future__ import annotations

from typing import cast

import pytest

from vdc.cluster.kubernetes.api import DisruptionError
from vdc.cluster.kubernetes.client import Api, RefusedError
from vdc.cluster.kubernetes.draining import evict
from vdc.cluster.kubernetes.spec import Version
from vdc.errors import ClusterError


class Refusing:
    """An API that answers with a status."""

    def __init__(self, status: int = 0) -> None:
        self._status = status
        self.asked: list[tuple[str, str, str]] = []

    def request(self, method: str, path: str, *, body: dict[str, str]) -> str:
        self.asked.append((method, path, body["apiVersion"]))
        if self._status:
            raise RefusedError(self._status, "no")
        return ""


def evicted(api: Refusing, version: Version = (1, 20, 2)) -> None:
    evict(cast(Api, api), "shop", "web-0", version=version)


@pytest.mark.parametrize(
    ("version", "spoken"),
    [
        ((1, 20, 2), "policy/v1beta1"),
        ((1, 21, 0), "policy/v1beta1"),
        ((1, 22, 0), "policy/v1"),
        ((1, 35, 0), "policy/v1"),
    ],
)
def test_an_eviction_is_of_the_version_that_the_api_server_knows(version: Version, spoken: str) -> None:
    api = Refusing()
    evicted(api, version)
    assert api.asked == [("POST", "/api/v1/namespaces/shop/pods/web-0/eviction", spoken)]


def test_one_that_a_budget_forbids_is_told_apart() -> None:
    with pytest.raises(DisruptionError, match="no"):
        evicted(Refusing(429))


def test_one_that_is_gone_is_fine() -> None:
    evicted(Refusing(404))


def test_any_other_refusal_is_an_error() -> None:
    with pytest.raises(ClusterError) as caught:
        evicted(Refusing(403))
    assert not isinstance(caught.value, DisruptionError)
