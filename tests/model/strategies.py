"""Topologies to test with: the small one, and any."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.spec import ExternalSpec, FabricSpec, RackSpec, RoleSpec, TopologySpec
from vdc.model.topology import Topology

FOLDER = Path(__file__).parents[2] / "topologies"
ROLES = ("boot", "cs", "ss")


def small() -> Topology:
    """What topologies/small.yml means."""
    return expand(load(FOLDER / "small.yml"))


def _spec(fabric: FabricSpec, racks: list[RackSpec], clients: int) -> TopologySpec:
    return TopologySpec(
        name="any",
        fabric=fabric,
        racks=tuple(racks),
        roles={role: RoleSpec() for role in ROLES},
        external=ExternalSpec(clients=clients),
    )


_counts = st.integers(min_value=1, max_value=3)
_fabrics = st.builds(FabricSpec, borders=_counts, spines=_counts, tors=_counts)
_servers = st.dictionaries(st.sampled_from(ROLES), st.integers(min_value=0, max_value=3))
_racks = st.lists(st.builds(RackSpec, count=_counts, servers=_servers), min_size=1, max_size=3)

specs = st.builds(_spec, _fabrics, _racks, st.integers(min_value=0, max_value=2))
topologies = specs.map(expand)
