from __future__ import annotations

from pathlib import Path

import pytest

from vdc.host.uplink import default_mtu

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
DEFAULT = "eth0 00000000 010200C0 0003 0 0 100 00000000 {mtu} 0 0\n"
NET = "eth1 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"
BETTER = "eth1 00000000 010200C0 0003 0 0 5 00000000 0 0 0\n"
SIX = f"{'0' * 32} 00 {'0' * 32} 00 {'f' * 32} 00000400 00000001 00000000 00000003 eth1\n"
NOWHERE = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200 lo\n"

CASES = {
    "no route at all": ("", "", 1500),
    "no default route": (HEAD + NET, NOWHERE, 1500),
    "that of the interface": (HEAD + NET + DEFAULT.format(mtu=0), "", 1400),
    "that of the route": (HEAD + DEFAULT.format(mtu=1350), "", 1350),
    "the preferred route": (HEAD + DEFAULT.format(mtu=0) + BETTER, "", 9000),
    "IPv6 alone": (HEAD + NET, NOWHERE + SIX, 9000),
    "less than IPv6 takes": (HEAD + DEFAULT.format(mtu=576), "", 1280),
    "more than a link carries": (HEAD + DEFAULT.format(mtu=65535), "", 9216),
    "an interface that is gone": (HEAD + DEFAULT.format(mtu=0).replace("eth0", "gone0"), "", 1500),
}


@pytest.mark.parametrize("case", CASES)
def test_the_mtu_is_that_of_the_way_to_the_world(case: str, tmp_path: Path) -> None:
    table4, table6, wanted = CASES[case]
    net, devices = tmp_path / "net", tmp_path / "devices"
    net.mkdir()
    (net / "route").write_text(table4)
    (net / "ipv6_route").write_text(table6)
    for interface, mtu in (("eth0", 1400), ("eth1", 9000)):
        (devices / interface).mkdir(parents=True)
        (devices / interface / "mtu").write_text(f"{mtu}\n")
    assert default_mtu(net, devices) == wanted


def test_a_host_without_such_files_has_the_standard_one(tmp_path: Path) -> None:
    assert default_mtu(tmp_path, tmp_path) == 1500
