from collections.abc import Callable

import pytest

from vdc.errors import WaitTimeout
from vdc.faults.selectors import follower, leader, rack, rack_of, spine, tors, wait_other_leader
from vdc.testing import FakeCluster, FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]


def test_a_rack_is_its_tors_and_its_servers(make_dc: MakeDataCenter) -> None:
    assert rack(make_dc(), 1).devices == ("rack1-tor0", "rack1-tor1", "rack1-cs0")
    with pytest.raises(KeyError, match="there are 0, 1, 2"):
        rack(make_dc(), 7)


def test_tors_of_an_index_are_one_of_each_rack(make_dc: MakeDataCenter) -> None:
    assert tors(make_dc(), 1) == ("rack0-tor1", "rack1-tor1", "rack2-tor1")
    with pytest.raises(KeyError):
        tors(make_dc(), 2)


def test_a_spine_is_found_by_its_index(make_dc: MakeDataCenter) -> None:
    assert spine(make_dc(), 1) == "spine1"
    with pytest.raises(KeyError):
        spine(make_dc(), 2)


def test_the_leader_and_a_follower_are_different_servers(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    cluster = FakeCluster(dc)
    assert leader(dc, cluster) != follower(dc, cluster)
    assert rack_of(dc, leader(dc, cluster)) == 0


def test_a_leader_and_a_follower_are_awaited(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    cluster = FakeCluster(dc)
    for server in dc.servers.values():
        server.power_off()
    with pytest.raises(WaitTimeout, match="for a leader; last: 0 leaders: none"):
        leader(dc, cluster)
    with pytest.raises(WaitTimeout, match="for a healthy follower; last: no leader"):
        follower(dc, cluster)


def test_another_leader_is_awaited_until_the_old_one_is_gone(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    cluster = FakeCluster(dc)
    old = leader(dc, cluster)
    with pytest.raises(WaitTimeout, match="still leads"):
        wait_other_leader(dc, cluster, than=old)
    dc.servers[old].power_off()
    assert wait_other_leader(dc, cluster, than=old) != old


def test_a_lying_leader_is_seen_to_stay(make_dc: MakeDataCenter) -> None:
    dc = make_dc(Lie.OLD_LEADER_STAYS)
    cluster = FakeCluster(dc)
    old = leader(dc, cluster)
    dc.servers[old].run(["nft", "-f", "-"], stdin=str(dc.topology.server("rack1-cs0").node.ip))
    assert leader(dc, cluster) == old
