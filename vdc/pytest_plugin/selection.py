"""Which scenarios the cluster of a run can have. The others are left out, and the report says which and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import pytest

from vdc.cluster.deployers import DEPLOYERS
from vdc.pytest_plugin import LEFT_OUT
from vdc.pytest_plugin.options import deployer_of

_NEEDS: Mapping[str, str] = MappingProxyType({"kubernetes": "kubernetes", "probe": "etcd"})
"""Fixture to the API that the cluster must speak for it."""


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take the tests out of `items` that ask for what the deployed cluster does not speak."""
    deployer = deployer_of(config)
    reasons = {item.nodeid: reason for item in items if (reason := misfit(item, deployer))}
    config.stash[LEFT_OUT] = reasons
    left_out = [item for item in items if item.nodeid in reasons]
    if left_out:
        items[:] = [item for item in items if item.nodeid not in reasons]
        config.hook.pytest_deselected(items=left_out)


def misfit(item: pytest.Item, deployer: str) -> str:
    """Return why a test cannot have the cluster of a deployer; an empty text if it can."""
    speaks = DEPLOYERS[deployer]().speaks
    for fixture, api in _NEEDS.items():
        if fixture in getattr(item, "fixturenames", ()) and api != speaks:
            return f"`{fixture}` needs a cluster that speaks {api}; {deployer} speaks {speaks or 'neither'}"
    return ""


def told(config: pytest.Config) -> list[str]:
    """Return a line for each reason, for the terminal."""
    reasons = Counter(config.stash.get(LEFT_OUT, {}).values())
    return [f"{number} left out: {reason}" for reason, number in reasons.items()]
