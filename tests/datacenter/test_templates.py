"""Which servers share a template, and that a template is nobody; booting one is in tests/host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.datacenter import templates
from vdc.host import accelerator
from vdc.model.hardware import Hardware, Smbios, Smp, Volume
from vdc.model.topology import Server
from vdc.plan.emulation import UefiFirmware
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan, make_plan
from vdc.plan.resources.disks import ConfigDisk
from vdc.plan.resources.processes import Domain
from vdc.plan.servers import NETWORK
from vdc.settings import Settings
from vdc.shell import Completed


@pytest.fixture(autouse=True)
def qemu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The version of QEMU that this host has."""
    version = ["QEMU emulator version 7.2.22"]
    monkeypatch.setattr(
        accelerator, "run", lambda argv, **_: Completed(argv=tuple(argv), status=0, stdout=version[0], stderr="")
    )
    return version


def digest(plan: Plan, server: Server | None = None) -> str:
    """Of the template of a server, by default the first."""
    return templates._digest(templates._blank(server or plan.topology.servers[0]), plan)


def test_servers_of_one_shape_share_a_template(plan: Plan) -> None:
    first, *others = plan.topology.servers
    assert {digest(plan, server) for server in others} == {digest(plan, first)}


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: make_plan(plan.topology, replace(plan.context, instance="b", state_dir=Path("/elsewhere"))),
        lambda plan: make_plan(plan.topology, replace(plan.context, identity="first")),
        lambda plan: make_plan(replace(plan.topology, name="other", boot="cold"), plan.context),
        lambda plan: make_plan(plan.topology, replace(plan.context, slowness=3.0)),
    ],
    ids=["instance", "identity", "topology", "slowness"],
)
def test_whose_a_server_is_makes_no_difference(plan: Plan, change: Callable[[Plan], Plan]) -> None:
    assert change(plan) != plan
    assert digest(change(plan)) == digest(plan)


@pytest.mark.parametrize("change", [{"memory": 8 << 20}, {"cpu": 2}, {"data": 2 << 30}, {"ports": ()}])
def test_another_shape_is_another_template(plan: Plan, change: dict[str, object]) -> None:
    shaped = replace(plan.topology.servers[0], **change)  # type: ignore[arg-type]
    assert digest(plan, shaped) != digest(plan)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: make_plan(replace(plan.topology, release="debian-13"), plan.context),
        lambda plan: make_plan(plan.topology, replace(plan.context, accelerator="kvm")),
    ],
    ids=["release", "accelerator"],
)
def test_another_image_or_accelerator_is_another_template(plan: Plan, change: Callable[[Plan], Plan]) -> None:
    assert digest(change(plan)) != digest(plan)


def test_another_qemu_or_an_image_built_anew_is_another_template(
    plan: Plan, settings: Settings, qemu: list[str]
) -> None:
    before = digest(plan)
    qemu[0] = "QEMU emulator version 9.0"
    other = digest(plan)
    IMAGES["debian-12"].manifest(settings.cache_dir).write_text("{}")
    assert len({before, other, digest(plan)}) == 3


def test_a_template_is_one_server_without_an_identity_or_an_address(plan: Plan) -> None:
    server = plan.topology.servers[0]
    mine = replace(plan, context=replace(plan.context, state_dir=Path("/var/lib/vdc")))
    made = templates._template_plan("template-012345", templates._blank(server), mine)
    assert made.instance == "template-012345"
    (domain,) = (each for each in made.resources if isinstance(each, Domain))
    (config,) = (each for each in made.resources if isinstance(each, ConfigDisk))
    assert domain.uuid == str(made.context.uuid(templates.NAME))
    assert config.files[NETWORK] == "link add node0 type dummy\n"
    written = made.to_json()
    for own in (server.name, str(server.node.ip), *(port.mac for port in server.ports)):
        assert own in plan.to_json()
        assert own not in written


@pytest.mark.parametrize(
    "change",
    [
        {"hardware": Hardware(numa=2)},
        {"hardware": Hardware(firmware="uefi")},
        {"hardware": Hardware(queues=2)},
        {"hardware": Hardware(smp=Smp(cpus=1, sockets=1, dies=1, cores=1, threads=2, maxcpus=2))},
        {"hardware": Hardware(volumes=(Volume(name="x", kind="empty", size=1 << 20),))},
        {"hardware": Hardware(smbios=Smbios(product="x"))},
    ],
    ids=["numa", "uefi", "queues", "smp", "volumes", "smbios"],
)
def test_other_hardware_is_another_template(plan: Plan, change: dict[str, object]) -> None:
    shaped = replace(plan.topology.servers[0], **change)  # type: ignore[arg-type]
    assert templates.clonable(shaped)
    assert digest(plan, shaped) != digest(plan)


def test_a_serial_or_a_place_of_its_own_makes_no_other_template(plan: Plan) -> None:
    volume = Volume(name="x", kind="raw", size=1 << 20)
    hardware = Hardware(smbios=Smbios(serial="one"), volumes=(volume,))
    server = replace(plan.topology.servers[0], hardware=hardware)
    elsewhere = replace(volume, directory="/ssd")
    other = replace(server, hardware=Hardware(smbios=Smbios(serial="two"), volumes=(elsewhere,)))
    assert digest(plan, server) == digest(plan, other)


@pytest.mark.parametrize(
    ("volume", "can"),
    [
        (Volume(name="x", kind="raw", size=1), True),
        (Volume(name="x", kind="empty", size=1, bus="scsi"), True),
        (Volume(name="x", kind="empty", size=1, bus="nvme"), False),
        (Volume(name="x", kind="image", source="y"), False),
        (Volume(name="x", kind="folder", source="/srv"), False),
    ],
)
def test_a_server_starts_cold_if_a_template_could_not_have_its_volumes(plan: Plan, volume: Volume, can: bool) -> None:
    server = replace(plan.topology.servers[0], hardware=Hardware(volumes=(volume,)))
    assert templates.clonable(server) == can


def test_a_server_with_an_image_of_the_users_is_no_clone(plan: Plan) -> None:
    assert not templates.clonable(replace(plan.topology.servers[0], image="mine"))


def test_another_build_of_the_firmware_is_another_template(plan: Plan, tmp_path: Path) -> None:
    code = tmp_path / "CODE.fd"
    code.write_bytes(b"one")
    uefi = replace(plan.topology.servers[0], hardware=Hardware(firmware="uefi"))
    mine = replace(plan, context=replace(plan.context, uefi=UefiFirmware(code=str(code), variables="VARS.fd")))
    before, plain = digest(mine, uefi), digest(mine)
    code.write_bytes(b"two")
    assert digest(mine, uefi) != before
    assert digest(mine) == plain
