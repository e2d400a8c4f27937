from __future__ import annotations

from configparser import ConfigParser
from dataclasses import replace

import pytest

from vdc.plan.images import IMAGES, Image

LEAN = [image for image in IMAGES.values() if not image.stock]
EVERY = pytest.mark.parametrize("image", IMAGES.values(), ids=lambda image: image.name)


def units(image: Image) -> dict[str, ConfigParser]:
    """Return the units and drop-ins that an image brings, by path below systemd's folder."""
    found = {}
    for path, text in image.files:
        if path.startswith("/etc/systemd/system/"):
            found[path.removeprefix("/etc/systemd/system/")] = parser = ConfigParser(
                strict=False, interpolation=None, delimiters=("=",)
            )
            parser.read_string(text)
    return found


@EVERY
def test_no_file_is_brought_twice(image: Image) -> None:
    paths = [path for path, _ in image.files]
    assert paths
    assert len(paths) == len(set(paths))


@EVERY
def test_every_service_of_vdc_is_started_and_brought_along(image: Image) -> None:
    brought = {name for name in units(image) if name.startswith("vdc-")}
    wanted = {unit for _, starts in image.wanted for unit in starts if unit.startswith("vdc-")}
    assert brought == wanted
    assert "vdc-network.service" in wanted


@pytest.mark.parametrize("image", LEAN, ids=lambda image: image.name)
def test_what_is_waited_for_waits_for_nothing_that_is_late(image: Image) -> None:
    brought = units(image)
    late = {name.split(".d/")[0] for name in brought if name.endswith(".d/late.conf")}
    assert "systemd-journald.service" in late
    for name in ("qemu-guest-agent.service", "bird.service.d/early.conf", "vdc-network.service"):
        assert brought[name]["Unit"]["DefaultDependencies"] == "no"
        assert late.isdisjoint(brought[name]["Unit"].get("After", "").split())


def test_a_changed_recipe_is_another_image() -> None:
    image = IMAGES["debian-12"]
    others = [
        replace(image, stock=True),
        replace(image, masked=()),
        replace(image, wanted=()),
        replace(image, files=()),
    ]
    assert len({image.digest, *(other.digest for other in others)}) == 1 + len(others)
    assert replace(image, cmdline="", boot_seconds=9.0).digest == image.digest
