"""The fabric breaks: a ToR, a spine, a cable. Every server has another way, so users must hardly notice."""

import pytest

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget
from vdc.faults import Inject, LinkCut, RouterOff
from vdc.faults.proofs import wait_whole
from vdc.faults.selectors import leader, rack, rack_of, spine
from vdc.observe.service import Prober, judge_service

pytestmark = pytest.mark.fault

SPINE_LOST = 5.0
"""Seconds. Neighbours lose the carrier at once; BFD between routers would take 1 s. The rest is for
retransmission."""

SERVER_PATH_LOST = 20.0
"""Seconds. BFD towards guests finds out in 5 s. If the leader's packets took that path, an election of one to
two election timeouts (5-10 s) may follow."""


def test_the_loss_of_one_tor_is_survived(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """The leader's rack loses one of its ToRs; the other one carries on."""
    tor = rack(dc, rack_of(dc, leader(dc, cluster))).routers[0]
    with probe.etcd(cluster) as watch:
        with inject(RouterOff(tor)):
            wait_converged(dc, down=[tor])
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, SERVER_PATH_LOST))


def test_the_loss_of_one_spine_is_survived(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """One spine is gone; all traffic takes the others."""
    lost = spine(dc, 0)
    with probe.etcd(cluster) as watch:
        with inject(RouterOff(lost)):
            wait_converged(dc, down=[lost])
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, SPINE_LOST))


def test_a_cut_server_link_is_survived(dc: DataCenter, cluster: Cluster, probe: Prober, inject: Inject) -> None:
    """One of the leader's two cables is pulled out; the other one carries on."""
    server = leader(dc, cluster)
    cable = dc.topology.server(server).ports[0].interface
    with probe.etcd(cluster) as watch:
        with inject(LinkCut(server, cable)):
            wait_converged(dc, cut=[(server, cable)])
            cluster.wait_serving()
        wait_whole(dc, cluster)
    judge_service(watch, longest=budget(dc, SERVER_PATH_LOST))
