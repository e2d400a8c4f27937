from collections.abc import Callable

import pytest

from vdc.errors import WaitTimeout
from vdc.faults.proofs import keeping_data, others, rebooting, unchanged, versions, wait_whole
from vdc.testing import FakeCluster, FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]


def test_a_restart_is_proven_by_another_boot_id(make_dc: MakeDataCenter) -> None:
    server = make_dc().servers["rack0-cs0"]
    before = server.boot_id()
    with rebooting(server):
        server.reboot()
    assert server.boot_id() != before


def test_a_server_that_did_not_restart_is_found_out(make_dc: MakeDataCenter) -> None:
    with pytest.raises(WaitTimeout, match="boot ID"), rebooting(make_dc().servers["rack0-cs0"]):
        pass


def test_to_reboot_nothing_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="nothing"), rebooting():
        pass


def test_data_that_is_gone_is_found_out(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with pytest.raises(AssertionError, match="expected"), keeping_data(FakeCluster(dc)):
        dc.world.data.clear()


def test_data_that_was_changed_is_found_out(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    with pytest.raises(AssertionError, match="changed"), keeping_data(FakeCluster(dc)):
        dc.world.data.update(dict.fromkeys(dc.world.data, "changed"))


def test_a_data_centre_with_a_router_off_is_not_whole(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    wait_whole(dc, FakeCluster(dc))
    dc.routers["spine0"].power_off()
    with pytest.raises(WaitTimeout, match="spine0"):
        wait_whole(dc, FakeCluster(dc))


def test_versions_that_stay_are_named(make_dc: MakeDataCenter) -> None:
    dc = make_dc(Lie.KERNEL_KEPT)
    before = versions(dc)
    for server in dc.servers.values():
        server.shutdown()
        server.reimage("debian-13")
        server.power_on()
    assert unchanged(before, versions(dc)) == tuple(f"rack{rack}-cs0 kernel 6.1.0" for rack in range(3))


def test_versions_that_do_not_begin_as_wanted_are_named(make_dc: MakeDataCenter) -> None:
    found = versions(make_dc())
    assert others(found, {"kernel": "6.1.", "bird": "2.0."}) == ()
    assert others(found, {"kernel": "6.12."}) == tuple(f"rack{rack}-cs0 kernel 6.1.0, not 6.12.*" for rack in range(3))
    assert others({"a": {}}, {"etcd": "3.4."}) == ("a etcd (none), not 3.4.*",)


@pytest.mark.parametrize(
    ("has", "wanted", "right"),
    [
        ("6.12.0", "6.1", False),
        ("6.1.0-56-cloud", "6.1", True),
        ("6.1", "6.1", True),
        ("6.1.0", "6.1.", True),
        ("", "6", False),
    ],
)
def test_a_version_begins_with_whole_numbers(has: str, wanted: str, right: bool) -> None:
    assert (others({"a": {"kernel": has}}, {"kernel": wanted}) == ()) is right


@pytest.mark.parametrize(("found", "wanted"), [({}, {"os": "12"}), ({"a": {"os": "12"}}, {})])
def test_to_compare_nothing_is_a_mistake(found: dict[str, dict[str, str]], wanted: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="no "):
        others(found, wanted)


def test_versions_of_other_servers_cannot_be_compared() -> None:
    with pytest.raises(AssertionError, match="servers were"):
        unchanged({"a": {}}, {"b": {}})
    with pytest.raises(AssertionError, match="components"):
        unchanged({"a": {"os": "12"}}, {"a": {}})
