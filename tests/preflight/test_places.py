"""Everything that servers need of the host and is not there, told at once, before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.model.strategies import small
from vdc.host import firmware, places
from vdc.model.hardware import Hardware, UserImage, Volume
from vdc.model.topology import Topology
from vdc.plan.emulation import UEFI_FIRMWARE, UefiFirmware
from vdc.plan.plan import Plan, PlanContext, make_plan


def plan_with(
    tmp_path: Path, hardware: Hardware, *, image: str | None = None, images: tuple[UserImage, ...] = ()
) -> Plan:
    base = small()
    first, *others = base.servers
    changed = replace(first, hardware=hardware, image=image, sessions=() if image else first.sessions)
    topology: Topology = replace(base, servers=(changed, *others), images=images)
    context = PlanContext(
        instance="a", state_dir=tmp_path / "state", cache_dir=tmp_path / "cache", accelerator="tcg", slowness=1.0
    )
    return make_plan(topology, context)


def lacks(plan: Plan, *, owned: bool = False) -> tuple[str, ...]:
    return places.lacks(plan, owned=owned, uefi=lambda: UEFI_FIRMWARE[0])


def test_ordinary_servers_lack_nothing(tmp_path: Path) -> None:
    assert lacks(plan_with(tmp_path, Hardware())) == ()


def test_firmware_is_asked_for_where_a_server_boots_by_uefi(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, Hardware(firmware="uefi"))
    assert lacks(plan) == ()
    assert places.lacks(plan, owned=False, uefi=lambda: None) == (
        "rack0-cs0 boots by UEFI, and there is no firmware for that: install the package ovmf",
    )


@pytest.mark.parametrize("number", range(3))
def test_code_and_variables_of_one_build_are_found_wherever_they_are(tmp_path: Path, number: int) -> None:
    known = [UefiFirmware(code=str(tmp_path / f"C{n}"), variables=str(tmp_path / f"V{n}")) for n in range(3)]
    assert firmware.uefi(known) is None
    (tmp_path / "C0").touch()  # a code without its variables
    for path in (known[number].code, known[number].variables):
        Path(path).touch()
    assert firmware.uefi(known) == known[number]


def test_an_image_that_is_not_there_is_named_once_with_the_server(tmp_path: Path) -> None:
    image = UserImage(name="mine", file=str(tmp_path / "x.img"))
    volume = Volume(name="v", kind="image", source="mine")
    plan = plan_with(tmp_path, Hardware(volumes=(volume,)), image="mine", images=(image,))
    assert lacks(plan) == (f"rack0-cs0 needs the image mine, and {tmp_path}/x.img is not there",)
    Path(str(image.file)).touch()
    assert lacks(plan) == ()


def test_an_image_in_the_cache_may_be_gone_elsewhere(tmp_path: Path) -> None:
    image = UserImage(name="mine", file=str(tmp_path / "x.img"), sha256="0" * 64)
    plan = plan_with(tmp_path, Hardware(), image="mine", images=(image,))
    cached = plan.context.user_image(image)
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert lacks(plan) == ()


def test_folders_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_VIRTIOFSD", (tmp_path,))
    plan = plan_with(tmp_path, Hardware(volumes=(Volume(name="v", kind="folder", source=str(tmp_path / "x")),)))
    assert lacks(plan) == (f"rack0-cs0 needs the folder {tmp_path}/x, which is not there",)
    (tmp_path / "x").mkdir()
    assert lacks(plan) == ()
    monkeypatch.setattr(places, "_VIRTIOFSD", (tmp_path / "nowhere",))
    assert lacks(plan) == ("rack0-cs0 shares a folder, and virtiofsd is missing: install the package virtiofsd",)


def test_device_classes_are_folders_with_room_and_nothing_of_others(tmp_path: Path) -> None:
    ssd = tmp_path / "ssd"
    small_one = Volume(name="v", kind="raw", size=1 << 20, directory=str(ssd))
    plan = plan_with(tmp_path, Hardware(volumes=(small_one,)))
    assert lacks(plan) == (f"rack0-cs0 keeps v in {ssd}, which is not a folder",)
    ssd.mkdir()
    assert lacks(plan) == ()
    (found,) = lacks(plan_with(tmp_path, Hardware(volumes=(replace(small_one, size=1 << 60),))))
    assert found.startswith(f"too little disk in {ssd}: needs {(1 << 60) >> 20} MiB")
    foreign = ssd / "vdc-a" / "rack0-cs0.v.raw"
    foreign.parent.mkdir()
    foreign.touch()
    assert lacks(plan) == (f"{foreign} is there, and is not vdc's",)
    assert lacks(plan, owned=True) == ()
