"""What a server starts by: in its domain, in its flash, and in the process that runs it."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from tests.datacenter.conftest import Guests
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.errors import CommandError, InputError
from vdc.host import firmware
from vdc.host.artifacts import packages
from vdc.host.libvirtd import Connection
from vdc.model.releases import release
from vdc.plan.emulation import FIRMWARE, Flash
from vdc.plan.images import IMAGES
from vdc.plan.servers import domain_xml
from vdc.settings import Settings
from vdc.shell import find, start
from vdc.wait import NotYet, wait_for

SERVER = "rack0-cs0"
SEABIOS, OVMF, NEWER = "firmware-seabios-1.16", "firmware-ovmf-2022.11", "firmware-ovmf-2025.02"
HEADER = 72


def variables(*, size: int = 4096, store: bytes = b"s" * 20, kept: bytes = b"") -> bytes:
    """Return a volume of variables as UEFI has them: a header, which tells its own length, the store, and the rest."""
    header = bytes(48) + HEADER.to_bytes(2, "little") + bytes(HEADER - 50)
    return (header + store + kept).ljust(size, b"\xff")


@dataclass
class Domains:
    """A libvirt with one domain, which is off."""

    domain: str
    state_: str = "off"
    defined: list[str] = field(default_factory=list)

    def state(self, name: str) -> str:
        del name
        return self.state_

    def kernel(self, name: str) -> str:
        del name
        return self.domain.partition("<kernel>")[2].partition("<")[0]

    def xml(self, name: str) -> str:
        del name
        return self.domain

    def define(self, xml: str) -> None:
        self.domain = xml
        self.defined.append(xml)


@pytest.fixture
def unpacked(settings: Settings) -> None:
    """The packages of all firmware, with a code that is called like its release."""
    for name in (SEABIOS, OVMF, NEWER):
        (part,) = release(name).components
        wanted = release(name).unpacked(part)
        assert wanted is not None
        root = settings.cache_dir / wanted.digest / packages.ROOT / "usr/share"
        code = root / ("seabios/bios-256k.bin" if name == SEABIOS else "OVMF/OVMF_CODE_4M.fd")
        code.parent.mkdir(parents=True)
        code.write_text(name)
        if name != SEABIOS:
            (code.parent / "OVMF_VARS_4M.fd").write_bytes(variables())


@pytest.fixture
def machine(dc: LiveDataCenter, guests: Guests) -> LiveMachine:
    del guests
    ours = dc.servers[SERVER]
    assert isinstance(ours, LiveMachine)
    domains = Domains(domain_xml(ours.spec, "debian-12", ours.plan.context))
    return replace(ours, libvirt=cast(Connection, domains))


def test_a_domain_is_as_before_but_for_what_it_starts_by(machine: LiveMachine) -> None:
    before = machine.libvirt.xml(SERVER)
    assert firmware.flash_of(before) == Flash(code=FIRMWARE, variables=None)
    uefi = Flash(code="/code.fd", variables="/nvram.fd")
    other = firmware.flashed(before, uefi)
    assert firmware.flash_of(other) == uefi
    assert "stateless" not in other
    back = firmware.flashed(other, Flash(code=FIRMWARE, variables=None))
    assert firmware.flashed(before, firmware.flash_of(before)) == back
    assert 'stateless="yes"' in back
    assert "nvram" not in back


@pytest.mark.usefixtures("unpacked")
def test_a_server_starts_by_what_it_was_flashed_with(machine: LiveMachine) -> None:
    nvram = machine.plan.context.nvram(SERVER)
    machine.flash(OVMF)
    found = firmware.flash_of(machine.libvirt.xml(SERVER))
    assert (Path(found.code).read_text(), found.variables) == (OVMF, str(nvram))
    assert machine.firmware_of(OVMF) == hashlib.sha256(OVMF.encode()).hexdigest()
    assert nvram.read_bytes() == variables()

    machine.flash(OVMF)  # once more, as whoever was cut off does
    assert firmware.flash_of(machine.libvirt.xml(SERVER)) == found

    nvram.write_bytes(variables(kept=b"mine"))
    machine.flash(NEWER)
    assert nvram.read_bytes() == variables(kept=b"mine")
    machine.flash(SEABIOS)
    assert firmware.flash_of(machine.libvirt.xml(SERVER)).variables is None
    assert not nvram.exists()


@pytest.mark.skipif(find("qemu-img") is None, reason="needs qemu-img")
@pytest.mark.usefixtures("unpacked")
def test_another_root_disk_is_started_by_the_same_firmware(machine: LiveMachine, settings: Settings) -> None:
    root = IMAGES["debian-13"].root(settings.cache_dir)
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_bytes(bytes(1 << 20))
    machine.flash(OVMF)
    before = firmware.flash_of(machine.libvirt.xml(SERVER))
    machine.reimage("debian-13")
    assert machine.release == "debian-13"
    assert firmware.flash_of(machine.libvirt.xml(SERVER)) == before


@pytest.mark.usefixtures("unpacked")
def test_a_server_that_runs_is_not_flashed(machine: LiveMachine) -> None:
    cast(Domains, machine.libvirt).state_ = "running"
    with pytest.raises(InputError, match=f"{SERVER} is running"):
        machine.flash(OVMF)
    assert cast(Domains, machine.libvirt).defined == []


def test_nobody_starts_by_an_operating_system(machine: LiveMachine) -> None:
    with pytest.raises(InputError, match="release debian-12 is not one of firmware"):
        machine.flash("debian-12")


def test_packages_without_firmware_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"the packages of release {OVMF} have no firmware"):
        firmware.in_release(OVMF, tmp_path)


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        (variables(kept=b"mine"), True),
        (variables(size=2048, kept=b"mine"), False),
        (variables(store=b"o" * 20, kept=b"mine"), False),
        (None, False),
    ],
    ids=["same", "smaller", "other-store", "none"],
)
def test_variables_are_kept_where_they_are_understood(tmp_path: Path, there: bytes | None, kept: bool) -> None:
    mine, template = tmp_path / "nvram.fd", tmp_path / "VARS.fd"
    template.write_bytes(variables())
    if there is not None:
        mine.write_bytes(there)
    firmware.keep_variables(mine, template)
    assert mine.read_bytes() == (there if kept else variables())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["VARS.fd", "nvram.fd"]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[int]:
    """A process that has a file open which its command line calls the first flash of a machine, until it is read."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    code = tmp_path / "link" / "code.fd"
    code.write_text("code")
    flash = json.dumps({"driver": "file", "filename": str(code), "node-name": "libvirt-pflash0-storage"})
    script = "import sys, time; f = open(sys.argv[1]); print('open', flush=True); sys.stdin.read(); time.sleep(60)"
    with (tmp_path / "said").open("wb") as output:
        started = start([sys.executable, "-c", script, str(code), "-blockdev", flash], output=output)
    try:
        wait_for(lambda: _expect(tmp_path / "said"), what="a file to be open", timeout=30.0, interval=0.05)
        yield started.pid
    finally:
        started.kill()
        started.wait()


def _expect(said: Path) -> None:
    if said.read_text() != "open\n":
        raise NotYet(said.read_text())


def test_what_a_process_executes_is_what_it_has_open(process: int, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"code").hexdigest()
    assert firmware.executed(process) == digest
    other = tmp_path / "other.fd"
    other.write_text("other")
    other.rename(tmp_path / "folder" / "code.fd")
    assert firmware.executed(process) == digest, "another file of that name changes nothing for who has the old one"


def test_a_process_without_flash_executes_none() -> None:
    with pytest.raises(CommandError, match="no firmware in flash"):
        firmware.executed(os.getpid())


def test_who_is_frozen_remembers_other_firmware_than_the_plan_says(
    machine: LiveMachine, tmp_path: Path, settings: Settings
) -> None:
    code = settings.cache_dir / "code.fd"
    code.parent.mkdir(parents=True, exist_ok=True)
    code.write_text("code")
    usual = machine.libvirt.xml(SERVER)
    (tmp_path / "rack0-cs0.xml").write_text(usual)
    (tmp_path / "rack1-cs0.xml").write_text(firmware.flashed(usual, Flash(code=str(code), variables="/x")))
    (tmp_path / "rack2-cs0.xml").write_text(firmware.flashed(usual, Flash(code="/gone", variables=None)))
    assert firmware.identities(machine.plan, tmp_path.glob("*.xml")) == {
        "firmware of rack1-cs0": hashlib.sha256(b"code").hexdigest(),
        "firmware of rack2-cs0": "missing",
    }
