"""The fault of a component that was stopped: proven by those who ask it, for each that somebody asks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vdc.cluster.kubernetes.api import Component
from vdc.errors import HealError, WaitTimeout
from vdc.faults import ComponentsStopped, injected
from vdc.testing import FakeKubernetes, Lie

Make = Callable[..., FakeKubernetes]

ASKED = (
    Component.API_SERVER,
    Component.API_PROXY,
    Component.ETCD,
    Component.KUBELET,
    Component.KUBE_PROXY,
    Component.RUNTIME,
)


@pytest.mark.parametrize("component", [*ASKED, Component.SCHEDULER])
def test_it_does_not_run_in_the_body_and_runs_after_it(make: Make, component: Component) -> None:
    cluster = make()
    fault = ComponentsStopped(cluster, (component,), ("rack0-cp0", "rack1-cp0"))
    with injected(cluster.dc, fault):
        assert not cluster.running(component, "rack0-cp0")
    assert cluster.running(component, "rack0-cp0")
    assert fault.name == f"{component} of rack0-cp0, rack1-cp0 stopped"


@pytest.mark.parametrize("component", ASKED)
def test_one_that_goes_on_answering_does_not_bite(make: Make, component: Component) -> None:
    cluster = make(Lie.FAULT_WITHOUT_EFFECT)
    with (
        pytest.raises(WaitTimeout, match="of rack0-cp0 still answers"),
        injected(cluster.dc, ComponentsStopped(cluster, (component,), ("rack0-cp0",))),
    ):
        raise AssertionError("the body ran")


@pytest.mark.parametrize("component", ASKED)
def test_one_that_says_it_runs_and_does_not_answer_is_not_healed(make: Make, component: Component) -> None:
    cluster = make(Lie.NEVER_HEALS)
    with (
        pytest.raises(HealError, match="of rack0-cp0 does not answer"),
        injected(cluster.dc, ComponentsStopped(cluster, (component,), ("rack0-cp0",))),
    ):
        pass
    assert cluster.dc.dirty() is not None


def test_several_stop_together_and_each_is_proven(make: Make) -> None:
    cluster = make()
    fault = ComponentsStopped(cluster, (Component.KUBELET, Component.KUBE_PROXY), ("rack0-cs0",))
    assert fault.name == "kubelet, kube-proxy of rack0-cs0 stopped"
    with injected(cluster.dc, fault):
        assert not cluster.running(Component.KUBELET, "rack0-cs0")
        assert not cluster.running(Component.KUBE_PROXY, "rack0-cs0")
    assert cluster.running(Component.KUBE_PROXY, "rack0-cs0")
