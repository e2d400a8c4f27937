"""What `vdc apply` finds out before it touches anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.datacenter import apply
from vdc.model.hardware import Hardware, UserImage, Volume
from vdc.model.topology import Topology
from vdc.plan.plan import Plan, make_plan
from vdc.plan.resources.disks import Overlay, VolumeDisk
from vdc.settings import Settings
from vdc.shell import find
from vdc.steps import Steps


@pytest.mark.skipif(find("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)")
def test_an_image_that_nothing_was_made_of_yet_is_fetched_for_a_new_server(
    plan: Plan, settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "mine.img"
    file.write_bytes(bytes(1 << 20))
    image = UserImage(name="mine", file=str(file))
    *known, new = plan.topology.servers
    hardware = Hardware(volumes=(Volume(name="more", kind="image", source="mine"),))
    before = replace(plan.topology, routers=(), servers=tuple(known), images=(image,))
    after: Topology = replace(before, servers=(*known, replace(new, hardware=hardware)))
    found = apply._known(apply.compare(make_plan(before, plan.context), after, settings), settings, Steps())
    (volume,) = (each for each in found.target.resources if isinstance(each, VolumeDisk))
    assert Path(str(volume.source)).read_bytes() == file.read_bytes()
    assert {each for each in found.diff.added if isinstance(each, Overlay | VolumeDisk)} >= {volume}


@pytest.mark.skipif(find("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)")
def test_an_image_that_something_runs_on_stays_what_it_was(plan: Plan, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "mine.img"
    file.write_bytes(b"other now")
    image = UserImage(name="mine", file=str(file), sha256="0" * 64)
    first, *others = plan.topology.servers
    hardware = Hardware(volumes=(Volume(name="more", kind="image", source="mine"),))
    before = replace(plan.topology, servers=(replace(first, hardware=hardware), *others), images=(image,))
    written = replace(before, images=(replace(image, sha256=None),))
    assert apply.compare(make_plan(before, plan.context), written, settings).diff.empty
