"""An ordinary day of the cluster."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import keeping_data
from vdc.faults.selectors import leader, planned_members

pytestmark = pytest.mark.standard


def test_the_cluster_serves_through_every_member(dc: DataCenter, cluster: Cluster) -> None:
    """Every member that there should be is healthy, one leads, and each gives back what all of them have taken."""
    assert set(cluster.members) == planned_members(dc, cluster) != set()
    cluster.wait_serving()
    assert leader(dc, cluster) in dc.servers
    assert {member.server for member in cluster.state() if member.healthy} == set(cluster.members)
    with keeping_data(cluster):
        pass  # nothing needs to happen in between
