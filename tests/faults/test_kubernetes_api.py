"""Faults of API servers and of nodes: proven by those who ask, and undone whatever happens in the body."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vdc.cluster.kubernetes.api import Manifest
from vdc.errors import ClusterError, HealError, WaitTimeout
from vdc.faults import ApiServerUnreachable, Cordoned, injected
from vdc.faults.api_server import REFUSE
from vdc.testing import FakeKubernetes, Lie
from vdc.wait import NotYet

Make = Callable[..., FakeKubernetes]


def test_an_api_server_is_away_in_the_body_and_the_others_are_not(make: Make) -> None:
    cluster = make()
    fault = ApiServerUnreachable(cluster, "rack0-cp0")
    assert fault.name == "API server of rack0-cp0 unreachable"
    with injected(cluster.dc, fault):
        with pytest.raises(ClusterError, match="no API server answers via rack0-cp0"):
            cluster.ask_api("/readyz", via="rack0-cp0")
        assert cluster.ask_api("/readyz", via="rack0-cp0", proxied=True).status == 200
    assert cluster.ask_api("/readyz", via="rack0-cp0").status == 200


def test_it_is_back_after_an_error(make: Make) -> None:
    cluster = make()
    with (
        pytest.raises(ValueError, match="in the body"),
        injected(cluster.dc, ApiServerUnreachable(cluster, "rack0-cp0")),
    ):
        raise ValueError("in the body")
    assert cluster.ask_api("/readyz", via="rack0-cp0").status == 200
    assert cluster.dc.dirty() is None


def test_one_that_still_answers_does_not_bite(make: Make) -> None:
    cluster = make(Lie.FAULT_WITHOUT_EFFECT)
    with (
        pytest.raises(WaitTimeout, match="of rack0-cp0 still answers"),
        injected(cluster.dc, ApiServerUnreachable(cluster, "rack0-cp0")),
    ):
        raise AssertionError("the body ran")


def test_one_that_stays_away_is_not_healed(make: Make) -> None:
    cluster = make(Lie.NEVER_HEALS)
    with (
        pytest.raises(HealError, match="of rack0-cp0 does not answer"),
        injected(cluster.dc, ApiServerUnreachable(cluster, "rack0-cp0")),
    ):
        pass
    assert cluster.dc.dirty() is not None


def test_what_refuses_a_connection_tells_so_at_once() -> None:
    assert "tcp dport 6443 reject with tcp reset" in REFUSE


def test_nodes_are_cordoned_in_the_body_and_no_more_after_an_error(make: Make) -> None:
    cluster = make()
    fault = Cordoned(cluster, ("rack0-cs0", "rack1-ss0"))
    assert fault.name == "rack0-cs0, rack1-ss0 cordoned"
    with injected(cluster.dc, fault):
        assert cluster.get("Node", "rack0-cs0")["spec"]["unschedulable"] is True
    with pytest.raises(ValueError, match="in the body"), injected(cluster.dc, fault):
        raise ValueError("in the body")
    assert cluster.get("Node", "rack0-cs0")["spec"]["unschedulable"] is False


class Restless(FakeKubernetes):
    """A cluster whose API refuses the first writes after a node was cordoned."""

    refusals = 0

    def apply(self, *manifests: Manifest) -> None:
        if self.refusals:
            self.refusals -= 1
            raise ClusterError("the API is busy")
        super().apply(*manifests)


def test_a_cordon_that_could_not_be_lifted_at_once_is_lifted_later(make: Make) -> None:
    cluster = Restless(make().dc)
    fault = Cordoned(cluster, ("rack0-cs0",))
    fault.inject(cluster.dc)
    cluster.refusals = 1
    fault.heal(cluster.dc)
    with pytest.raises(NotYet, match="rack0-cs0 is still cordoned"):
        fault.healed(cluster.dc)
    fault.healed(cluster.dc)
