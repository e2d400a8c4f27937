"""Which firmware a server has started by is told by what it tells itself, and by what is executed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.datacenter.api import Firmware
from vdc.errors import InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.releases import release
from vdc.testing import FakeCluster, FakeDataCenter, Lie
from vdc.upgrade.firmware import Flashing, says
from vdc.upgrade.fresh import of_release
from vdc.upgrade.paths import path
from vdc.upgrade.route import same_kind
from vdc.upgrade.rules import versions_of

SMALL = Path(__file__).parents[2] / "topologies/small.yml"
SEABIOS, OVMF, NEWER = "firmware-seabios-1.16", "firmware-ovmf-2022.11", "firmware-ovmf-2025.02"


@pytest.mark.parametrize(
    ("vendor", "version", "uefi", "fits"),
    [
        ("SeaBIOS", "1.16.2-debian-1.16.2-1", False, SEABIOS),
        ("SeaBIOS", "1.16.2-debian-1.16.2-1", True, None),
        ("SeaBIOS", "1.160.0", False, None),
        ("EFI Development Kit II / OVMF", "0.0.0", True, OVMF),
        ("Debian distribution of EDK II", "2022.11-6", True, OVMF),
        ("Debian distribution of EDK II", "2025.02-8+deb13u1", True, NEWER),
        ("Debian distribution of EDK II", "2025.02-8+deb13u1", False, None),
        ("Somebody", "2025.02", True, None),
    ],
)
def test_a_release_is_told_by_vendor_version_and_way_to_start(
    vendor: str, version: str, uefi: bool, fits: str | None
) -> None:
    has = Firmware(vendor=vendor, version=version, uefi=uefi, digest="")
    assert [name for name in (SEABIOS, OVMF, NEWER) if says(has, name)] == ([fits] if fits else [])
    assert not says(has, "debian-12")


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(expand(load(SMALL)), tmp_path)


def test_a_server_goes_there_and_back(dc: FakeDataCenter) -> None:
    way = Flashing(dc, FakeCluster(dc), path("firmware-uefi"))
    assert {way.at(node.name) for node in way.nodes} == {SEABIOS}
    node = way.nodes[0].name
    for step in (*way.forward(node), *way.forward(node)):  # twice does no harm
        step.do()
        step.done()
    assert way.at(node) == OVMF
    for step in way.back(node):
        step.do()
        step.done()
    assert way.at(node) == SEABIOS
    assert way.no_return() is None
    dc.servers[node].power_off()
    assert way.at(node) == "nothing: it is off"


def test_a_server_whose_words_are_not_what_is_executed_is_nowhere(tmp_path: Path) -> None:
    dc = FakeDataCenter(expand(load(SMALL)), tmp_path, lies=[Lie.FIRMWARE_CLAIMED])
    way = Flashing(dc, FakeCluster(dc), path("firmware-uefi"))
    node = way.nodes[0].name
    for step in way.forward(node):
        step.do()
        step.done()
    assert way.at(node) == f"SeaBIOS 1.16-1, which is no UEFI, while QEMU executes {OVMF}"


def test_a_build_of_the_hosts_own_counts_by_its_version(dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    way = Flashing(dc, FakeCluster(dc), path("firmware-uefi"))
    node = way.nodes[0].name
    server = dc.servers[node]
    told = [Firmware(vendor="SeaBIOS", version="1.16.3-own", uefi=False, digest="own")]
    monkeypatch.setattr(type(server), "firmware", lambda _server: told[-1])
    assert way.at(node) == SEABIOS
    told.append(Firmware(vendor="EDK II", version="0.0.0", uefi=True, digest="own"))
    assert way.at(node) == "EDK II 0.0.0, while QEMU executes a build with the SHA-256 own…", "it tells no version"


def test_only_firmware_is_flashed(dc: FakeDataCenter) -> None:
    with pytest.raises(InputError, match="release debian-13 is not one of firmware"):
        Flashing(dc, FakeCluster(dc), replace(path("firmware-uefi"), target="debian-13"))


def test_a_fresh_install_has_the_same_kind_of_firmware_and_the_release_that_is_there(dc: FakeDataCenter) -> None:
    made = of_release(dc.topology, OVMF)
    assert (made.release, {each.hardware.firmware for each in made.servers}) == (dc.topology.release, {"uefi"})
    assert of_release(dc.topology, SEABIOS) == dc.topology
    assert of_release(dc.topology, "debian-13") == replace(dc.topology, release="debian-13")


def test_firmware_becomes_firmware_and_nothing_else() -> None:
    seabios, ovmf, routers = (versions_of(release(name)) for name in (SEABIOS, OVMF, "routers-bird-2.0"))
    assert same_kind(seabios, ovmf)
    assert not same_kind(routers, ovmf)
