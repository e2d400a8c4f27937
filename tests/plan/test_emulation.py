"""What an emulated CPU can do follows from what the programs of an image need."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.model.load import read_topology
from vdc.plan.context import PlanContext
from vdc.plan.servers import domain_xml

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
WITHOUT = '<feature policy="disable" name="cx16"/>'


@pytest.mark.parametrize(("file", "has_it"), [("small.yml", False), ("k8s-small.yml", True)])
def test_only_guests_with_haproxy_have_cmpxchg16b_and_their_kernels_do_without_it(file: str, has_it: bool) -> None:
    topology = read_topology(TOPOLOGIES / file)
    context = PlanContext(
        instance="t", state_dir=Path("/state"), cache_dir=Path("/cache"), accelerator="tcg", slowness=1.0
    )
    xml = domain_xml(topology.servers[0], topology.release, context)
    assert (WITHOUT not in xml) is has_it
    assert ("clearcpuid=141" in xml) is has_it
