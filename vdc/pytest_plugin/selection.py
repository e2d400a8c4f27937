"""Which scenarios the topology and the cluster of a run can have. The others are left out; the report says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from vdc.cluster.deployers import DEPLOYERS
from vdc.model.topology import Topology
from vdc.pytest_plugin import LEFT_OUT, uses_dc
from vdc.pytest_plugin.options import deployer_of, topology_of

_NEEDS: Mapping[str, str] = MappingProxyType({"kubernetes": "kubernetes", "probe": "etcd"})
"""Fixture to the API that the cluster must speak for it; the first that a test asks for decides."""


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the tests out of `items` that ask for what the deployed cluster does not speak."""
    deployer, topology = deployer_of(config), topology_of(config)
    by_day = topology is not None and not config.getoption("--nightly")
    found = {item.nodeid: _unlike(item, topology) or misfit(item, deployer) or _late(item, by_day) for item in items}
    reasons = {test: reason for test, reason in found.items() if reason}
    config.stash[LEFT_OUT] = reasons
    left_out = [item for item in items if item.nodeid in reasons]
    if left_out:
        items[:] = [item for item in items if item.nodeid not in reasons]
        config.hook.pytest_deselected(items=left_out)


def misfit(item: pytest.Item, deployer: str) -> str:
    """Return why a test cannot have the cluster of a deployer; an empty text if it can."""
    speaks, asked = DEPLOYERS[deployer]().speaks, getattr(item, "fixturenames", ())
    needed = next((fixture for fixture in _NEEDS if fixture in asked), None)
    if needed is None or _NEEDS[needed] == speaks:
        return ""
    return f"`{needed}` needs a cluster that speaks {_NEEDS[needed]}; {deployer} speaks {speaks or 'neither'}"


def _unlike(item: pytest.Item, topology: Topology | None) -> str:
    """Return why a test cannot have a topology; an empty text if it can, or if nobody knows the topology."""
    if topology is None or not uses_dc(item):
        return ""
    if "cluster" in getattr(item, "fixturenames", ()) and not topology.servers:
        return f"`cluster` needs servers; {topology.name} has none"
    if item.get_closest_marker("bare") and topology.servers:
        return f"it is for a fabric without servers; {topology.name} has some"
    if item.get_closest_marker("graceful") and not topology.routing.graceful_restart:
        return f"routers must restart gracefully; those of {topology.name} do not (fabric.yml: --set graceful=true)"
    return ""


def _late(item: pytest.Item, by_day: bool) -> str:
    """Return that a test is for the night, if the run is not."""
    return "--nightly runs it" if by_day and item.get_closest_marker("nightly") else ""


def told(config: pytest.Config) -> list[str]:
    """Return a line for each reason, for the terminal."""
    reasons = Counter(config.stash.get(LEFT_OUT, {}).values())
    return [f"{number} left out: {reason}" for reason, number in reasons.items()]
