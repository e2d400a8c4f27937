"""Fakes in memory for tests of scenarios, faults and deployers: ours, and those of other people."""

from vdc.testing.cluster import FakeCluster
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.devices import FakeClient, FakeMachine, FakeRouter
from vdc.testing.kubernetes import FakeKubernetes
from vdc.testing.lies import Lie
from vdc.testing.probe import FakeProbe
from vdc.testing.upgrades import FakeUpgrades

__all__ = [
    "FakeClient",
    "FakeCluster",
    "FakeDataCenter",
    "FakeKubernetes",
    "FakeMachine",
    "FakeProbe",
    "FakeRouter",
    "FakeUpgrades",
    "Lie",
]
