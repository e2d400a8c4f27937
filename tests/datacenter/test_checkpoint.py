"""Freezing guests in memory into a real store, and what a fork changes in a domain; live ones are in tests/host."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.datacenter.conftest import MEMORY, Guests, make_overlay
from vdc.datacenter import checkpoint, ownership
from vdc.datacenter.checkpoint import Checkpoint, discard, in_use, load, prune, verify, write
from vdc.datacenter.checkpoint_stores import (
    checkpoints,
    clean,
    deployed_store,
    find,
    remove,
    save,
    store,
    template_store,
)
from vdc.datacenter.fork import adopted, forked_plan, restore
from vdc.datacenter.live import LiveDataCenter
from vdc.errors import BuildError, DamagedError, DirtyError, HostError, InputError
from vdc.host import accelerator, claims, freezer, preflight, volumes
from vdc.host.accelerator import Acceleration
from vdc.host.locks import exclusive
from vdc.model.hardware import Hardware, Volume
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan, make_plan
from vdc.plan.resources.disks import VolumeDisk
from vdc.settings import Settings
from vdc.steps import Steps

SERVER = "rack0-cs0"


@pytest.fixture
def stored(dc: LiveDataCenter) -> Checkpoint:
    return save(dc, "one")


@pytest.fixture
def live_on(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Callable[[str, Path], None]:
    """Makes a data centre of this host have a disk on another disk."""
    everyone: dict[str, Path] = {}
    monkeypatch.setattr(claims, "everyone", lambda: everyone)

    def live(name: str, backing: Path) -> None:
        everyone[name] = settings.state_dir / name
        make_overlay(everyone[name] / "disks" / "x-root.qcow2", backing)

    return live


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        (byte,) = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([byte ^ 1]), offset)


def test_a_frozen_data_centre_is_in_the_store_with_all_that_it_is(
    settings: Settings, dc: LiveDataCenter, guests: Guests, stored: Checkpoint
) -> None:
    verify(stored)
    assert checkpoints(settings) == (find("a", "one", settings),) == (stored,)
    assert (stored.name, stored.tag, stored.plan) == ("a", "one", dc.plan)
    files = {str(path.relative_to(stored.directory)) for path in stored.directory.rglob("*") if path.is_file()}
    assert files == {
        "manifest.json",
        "plan.json",
        "secrets/id_ed25519",
        *(f"disks/{name}-{disk}" for name in dc.servers for disk in ("root.qcow2", "data.qcow2", "config.tar")),
        *(f"memory/{name}.{end}" for name in dc.servers for end in ("ram", "devices")),
        *(f"domains/{name}.xml" for name in dc.servers),
    }
    for name, memory in guests.memories.items():
        assert stored.frozen(name).memory.read_bytes() == memory[:]
        assert stored.frozen(name).devices.read_text() == f"devices of {name}"
        assert f"<name>{name}</name>" in stored.xml(name)
    assert set(json.loads((stored.directory / "manifest.json").read_text())["digests"]) == files - {"manifest.json"}


def test_all_stand_still_before_the_first_is_written_and_all_go_on(
    dc: LiveDataCenter, guests: Guests, stored: Checkpoint
) -> None:
    assert guests.stood_still == [frozenset(dc.servers)] * len(dc.servers)
    assert set(guests.states.values()) == {"running"}
    assert stored.stood_still >= 0.0
    assert set(guests.told) == set(dc.servers), "their clocks stood still, and their neighbours have given them up"
    for name, script in guests.told.items():
        assert "/bin/date --set=" in script
        assert all(f"restart {session.name}\n" in script for session in dc.topology.server(name).sessions)


def test_memory_in_use_is_what_is_not_zero(stored: Checkpoint, dc: LiveDataCenter) -> None:
    assert 0 < stored.memory < MEMORY * len(dc.servers)


@pytest.mark.parametrize("verb", ["suspend", "xen-save-devices-state", "human-monitor-command"])
def test_where_one_cannot_be_frozen_the_others_go_on_and_nothing_is_left(
    settings: Settings, dc: LiveDataCenter, guests: Guests, verb: str
) -> None:
    guests.refusals = frozenset({(verb, "rack1-cs0")})
    with pytest.raises(BuildError, match=f"domain:rack1-cs0: {verb}: refused"):
        save(dc, "one")
    assert set(guests.states.values()) == {"running"}
    assert list((store(settings) / "a").iterdir()) == []
    guests.refusals = frozenset()
    verify(save(dc, "one"))


def test_a_fabric_without_servers_can_be_frozen_too(settings: Settings, dc: LiveDataCenter) -> None:
    alone = LiveDataCenter(
        plan=make_plan(replace(dc.topology, servers=(), routers=()), replace(dc.plan.context, instance="b")),
        settings=settings,
        steps=dc.steps,
    )
    alone.run_directory.mkdir()
    made = save(alone, "bare")
    verify(made)
    assert made.plan == alone.plan
    assert list((made.directory / "disks").iterdir()) == []


def test_one_that_is_off_is_named_and_nobody_stands_still(dc: LiveDataCenter, guests: Guests) -> None:
    guests.states["rack2-cs0"] = "off"
    with pytest.raises(InputError, match="not every server runs: rack2-cs0"):
        save(dc, "one")
    assert guests.stood_still == []
    assert guests.states == {"rack0-cs0": "running", "rack1-cs0": "running", "rack2-cs0": "off"}


def test_a_disk_that_is_full_meanwhile_stops_it_with_a_clear_message_and_leaves_nothing(
    settings: Settings, dc: LiveDataCenter, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(freezer, "freeze", full)
    with pytest.raises(HostError, match="disk full") as caught:
        save(dc, "one")
    assert caught.value.hint
    assert set(guests.states.values()) == {"running"}
    assert list((store(settings) / "a").iterdir()) == []


def test_a_disk_without_room_is_told_before_anybody_stands_still(
    dc: LiveDataCenter, guests: Guests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_free", lambda _: 1 << 20)
    with pytest.raises(HostError, match="disk full: 1 MiB are free"):
        save(dc, "one")
    assert guests.stood_still == []


def test_a_tag_is_used_once_and_must_be_one(dc: LiveDataCenter, stored: Checkpoint) -> None:
    with pytest.raises(InputError, match=f"a has a checkpoint '{stored.tag}'"):
        save(dc, "one")
    for bad in ("", ".one", "a/b", "One", "one two"):
        with pytest.raises(InputError, match="is not a tag"):
            save(dc, bad)


def test_two_do_not_write_one_checkpoint_together(settings: Settings, dc: LiveDataCenter) -> None:
    part = store(settings) / "a" / ".one.part"
    part.mkdir(parents=True)
    with exclusive(part), pytest.raises(DirtyError):
        save(dc, "one")


def test_what_a_killed_save_left_is_no_part_of_the_next(settings: Settings, dc: LiveDataCenter) -> None:
    part = store(settings) / "a" / ".one.part"
    (part / "memory").mkdir(parents=True)
    (part / "memory" / "old.ram").write_text("old")
    (part / "manifest.json").write_text("{}")
    assert not (save(dc, "one").directory / "memory" / "old.ram").exists()


@pytest.mark.parametrize(
    ("name", "offset"),
    [
        (f"memory/{SERVER}.ram", 0),
        (f"memory/{SERVER}.ram", 1 << 20),  # in a hole
        (f"memory/{SERVER}.ram", MEMORY - 1),
        (f"memory/{SERVER}.devices", 3),
        (f"disks/{SERVER}-data.qcow2", 100),
        (f"domains/{SERVER}.xml", 1),
        ("secrets/id_ed25519", 0),
        ("plan.json", 100),
    ],
)
def test_a_flipped_bit_is_refused_with_the_name_of_the_file(stored: Checkpoint, name: str, offset: int) -> None:
    flip(stored.directory / name, offset)
    with pytest.raises(DamagedError, match=f"checkpoint one of a is damaged: {name}"):
        verify(stored)
    flip(stored.directory / name, offset)
    verify(stored)


@pytest.mark.parametrize("size", [MEMORY - 1, MEMORY + 1, 3 << 20, 0])
def test_memory_of_another_size_is_refused(stored: Checkpoint, size: int) -> None:
    os.truncate(stored.frozen(SERVER).memory, size)
    with pytest.raises(DamagedError, match=rf"is damaged: memory/{SERVER}\.ram"):
        verify(stored)


def test_a_missing_file_is_refused_with_its_name(stored: Checkpoint) -> None:
    stored.frozen(SERVER).memory.unlink()
    with pytest.raises(DamagedError, match=rf"is damaged: memory/{SERVER}\.ram"):
        verify(stored)


def test_whether_zeros_are_a_hole_makes_no_difference(stored: Checkpoint) -> None:
    memory = stored.frozen(SERVER).memory
    content, sparse = memory.read_bytes(), memory.stat().st_blocks
    memory.write_bytes(content)
    assert memory.stat().st_blocks > sparse
    verify(stored)


def test_one_that_another_qemu_made_is_refused(stored: Checkpoint) -> None:
    manifest = json.loads((stored.directory / "manifest.json").read_text())
    manifest["made_by"]["qemu"] = "QEMU emulator version 5.2"
    (stored.directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DamagedError, match="was made with another qemu"):
        verify(stored)


def test_one_on_an_image_that_was_built_anew_is_refused(settings: Settings, stored: Checkpoint) -> None:
    IMAGES["debian-13"].manifest(settings.cache_dir).write_text("{}")
    verify(stored)  # it has nothing of that
    IMAGES["debian-12"].manifest(settings.cache_dir).write_text("{}")
    with pytest.raises(DamagedError, match="is on an image that was built anew since"):
        verify(stored)


@pytest.mark.parametrize("left", [None, "", "{}", '{"name": "a"}'])
def test_without_a_whole_manifest_it_is_none(settings: Settings, stored: Checkpoint, left: str | None) -> None:
    manifest = stored.directory / "manifest.json"
    manifest.unlink() if left is None else manifest.write_text(left)
    assert load(stored.directory) is None
    assert checkpoints(settings) == ()
    with pytest.raises(InputError, match="no checkpoint 'one' of 'a'"):
        find("a", "one", settings)


def test_a_damaged_one_is_removed(settings: Settings, stored: Checkpoint) -> None:
    (stored.directory / "manifest.json").write_text("[]")
    remove("a", "one", settings)
    assert not stored.directory.parent.exists()
    with pytest.raises(InputError, match="no checkpoint 'one' of 'a'"):
        remove("a", "one", settings)


def test_a_dirty_data_centre_is_not_stored(dc: LiveDataCenter, guests: Guests) -> None:
    dc.mark_dirty("rack0-cs0 did not heal")
    with pytest.raises(DirtyError, match="a is dirty: rack0-cs0 did not heal"):
        save(dc, "one")
    assert guests.stood_still == []


def test_what_is_in_the_memory_of_guests_is_for_root_alone(stored: Checkpoint) -> None:
    assert stored.directory.stat().st_mode & 0o077 == 0


def test_a_restore_that_does_not_fit_leaves_the_data_centre_as_it_is(
    settings: Settings, stored: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise HostError("too little memory")

    monkeypatch.setattr(ownership, "instances", lambda _: ("a",))
    monkeypatch.setattr(ownership, "down", lambda *_: pytest.fail("it was taken down"))
    monkeypatch.setattr(preflight, "check", refuse)
    with pytest.raises(HostError, match="too little memory"):
        restore(stored, settings, Steps())


def test_no_two_processes_prune_or_discard_in_one_folder_together(
    settings: Settings, dc: LiveDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deployed_store(settings)
    locked = []

    def look(_: Path) -> tuple[str, ...]:
        with pytest.raises(BlockingIOError), exclusive(folder, wait=False):
            pass
        locked.append(True)
        return ()

    monkeypatch.setattr(checkpoint, "in_use", look)
    for name in ("one", "two"):
        write(dc, folder / name)
    prune(folder, 1)
    (left,) = folder.iterdir()
    discard(left)
    assert len(locked) == 2


def test_what_an_interrupted_save_or_removal_left_is_none(settings: Settings, stored: Checkpoint) -> None:
    for hidden in (".one.part", ".one.gone"):
        stored.directory.rename(stored.directory.with_name(hidden))
        assert checkpoints(settings) == ()
        stored.directory.with_name(hidden).rename(stored.directory)
    assert checkpoints(settings) == (stored,)


def test_a_damaged_one_is_discarded_whole(settings: Settings, stored: Checkpoint) -> None:
    (stored.directory / "manifest.json").unlink()
    left = stored.directory.with_name(".one.gone")  # by a removal that was killed
    left.mkdir()
    (left / "plan.json").touch()
    discard(stored.directory)
    assert list((store(settings) / "a").iterdir()) == []


def test_one_that_others_live_on_is_not_removed(
    settings: Settings, stored: Checkpoint, live_on: Callable[[str, Path], None]
) -> None:
    live_on("b", stored.disk("x-root.qcow2"))
    live_on("c", stored.disk("x-root.qcow2"))
    live_on("d", stored.directory.with_name("one2") / "disks" / "x-root.qcow2")
    assert in_use(stored.directory) == ("b", "c")
    with pytest.raises(DirtyError, match=r"b, c lives on .*/a/one"):
        remove("a", "one", settings)
    verify(stored)


def test_a_removed_one_is_gone(settings: Settings, stored: Checkpoint, live_on: Callable[[str, Path], None]) -> None:
    live_on("b", IMAGES["debian-12"].root(settings.cache_dir))
    remove("a", "one", settings)
    assert checkpoints(settings) == ()
    assert not stored.directory.parent.exists()


def test_a_disk_that_is_just_being_made_or_removed_is_on_nothing(
    settings: Settings, stored: Checkpoint, live_on: Callable[[str, Path], None]
) -> None:
    live_on("b", stored.disk("x-root.qcow2"))
    disk = settings.state_dir / "b" / "disks" / "x-root.qcow2"
    disk.write_bytes(b"")
    assert in_use(stored.directory) == ()
    disk.unlink()
    disk.symlink_to(settings.state_dir / "gone")
    assert in_use(stored.directory) == ()


def test_those_used_last_are_kept_and_those_in_use(
    settings: Settings, dc: LiveDataCenter, live_on: Callable[[str, Path], None]
) -> None:
    folder = deployed_store(settings)
    for age, name in enumerate(("new", "used", "lived-on", "old")):
        write(dc, folder / name)
        os.utime(folder / name, (1000 - age, 1000 - age))
    live_on("b", folder / "lived-on" / "disks" / "x-root.qcow2")
    used = load(folder / "used")
    assert used is not None
    verify(used)
    prune(folder, 1)
    assert {path.name for path in folder.iterdir()} == {"used", "lived-on"}


def test_cleaning_removes_what_died_and_leaves_what_is_whole_or_being_written(
    settings: Settings, dc: LiveDataCenter, stored: Checkpoint
) -> None:
    folders = (store(settings) / "a", store(settings) / "b", deployed_store(settings), template_store(settings))
    for folder in folders:
        for hidden in (".dead.part", ".dead.gone"):
            (folder / hidden / "memory").mkdir(parents=True)
    writing = template_store(settings) / ".alive.part"
    writing.mkdir()
    whole = write(dc, deployed_store(settings) / "whole")
    with exclusive(writing):
        clean(settings)
    assert writing.exists()
    clean(settings)
    left = {path for folder in folders if folder.exists() for path in folder.iterdir()}
    assert left == {stored.directory, whole.directory}
    verify(stored)
    verify(whole)


def test_a_fork_of_a_fork_has_the_identities_of_the_first(plan: Plan, settings: Settings) -> None:
    again = forked_plan(forked_plan(plan, "b", settings), "c", settings)
    assert again.context.run_directory.name == "c"
    assert again.context.uuid(SERVER) == plan.context.uuid(SERVER)
    assert again.context.netns == "vdc-c"
    assert forked_plan(again, "a", settings) == plan


@pytest.mark.parametrize(("slowness", "expected"), [(3.0, 3.0), (0.5, 1.0)])
def test_a_fork_on_a_host_that_became_slower_is_given_more_time(
    plan: Plan, settings: Settings, monkeypatch: pytest.MonkeyPatch, slowness: float, expected: float
) -> None:
    found = Acceleration(kind="tcg", slowness=slowness, seconds=1.0, reason="")
    monkeypatch.setattr(accelerator, "cached", lambda _: found)
    elsewhere = replace(settings, state_dir=settings.state_dir.with_name("other"))
    fork = forked_plan(plan, "a", elsewhere)
    assert fork.context == replace(plan.context, state_dir=elsewhere.state_dir, slowness=expected)


def test_a_domain_is_adopted_with_the_files_of_its_new_folders() -> None:
    saved = """<domain><name>rack0-cs0</name>
      <os><nvram>/state/a/disks/x-nvram.fd</nvram></os><devices>
      <disk type="file"><source file="/state/a/disks/x-root.qcow2"/></disk>
      <disk type="file"><source file="/state/ab/disks/x-root.qcow2"/></disk>
      <disk type="file"><source file="/ssd/vdc-a/x.fast.qcow2"/></disk>
      <serial type="unix"><source mode="bind" path="/state/a/consoles/x.sock"/>
        <log file="/state/a/consoles/x.raw" append="on"/></serial>
      <rng><backend model="random">/dev/urandom</backend></rng></devices>
      <arg value="if=none,file=/state/a/disks/x.slow.raw,id=x"/><arg value="/mnt/state/a/x"/></domain>"""
    xml = adopted(saved, {Path("/state/a"): Path("/state/b"), Path("/ssd/vdc-a"): Path("/ssd/vdc-b")})
    assert "/mnt/state/a/x" in xml
    assert "/state/a/" not in xml.replace("/mnt/state/a/x", "")
    for path in ("disks/x-root.qcow2", "consoles/x.sock", "consoles/x.raw"):
        assert f'"/state/b/{path}"' in xml
    assert "<nvram>/state/b/disks/x-nvram.fd</nvram>" in xml
    assert "file=/state/b/disks/x.slow.raw,id=x" in xml
    assert '"/ssd/vdc-b/x.fast.qcow2"' in xml
    assert '"/state/ab/disks/x-root.qcow2"' in xml
    assert "/dev/urandom" in xml


def with_volume(dc: LiveDataCenter, volume: Volume) -> LiveDataCenter:
    """The same data centre, where every server has a volume."""
    servers = tuple(replace(each, hardware=Hardware(volumes=(volume,))) for each in dc.topology.servers)
    plan = make_plan(replace(dc.topology, servers=servers), dc.plan.context)
    made = LiveDataCenter(plan=plan, settings=dc.settings, steps=dc.steps)
    made.__dict__["servers"] = dc.servers
    return made


@pytest.mark.parametrize(
    ("volume", "named"),
    [
        (Volume(name="x", kind="empty", size=1, bus="nvme"), f"{SERVER} has the NVMe disk x"),
        (Volume(name="x", kind="folder", source="/srv"), f"{SERVER} has the folder x"),
    ],
)
def test_what_qemu_cannot_freeze_is_named_before_a_guest_stands_still(
    dc: LiveDataCenter, guests: Guests, volume: Volume, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        save(with_volume(dc, volume), "one")
    assert guests.stood_still == []
    assert checkpoints(dc.settings) == ()


def test_a_volume_that_is_kept_elsewhere_is_saved_and_a_fork_lives_on_it(
    dc: LiveDataCenter, settings: Settings, tmp_path: Path, live_on: Callable[[str, Path], None]
) -> None:
    volume = Volume(name="x", kind="empty", size=1 << 20, directory=str(tmp_path / "ssd"))
    made = with_volume(dc, volume)
    for resource in made.plan.resources:
        if isinstance(resource, VolumeDisk):
            volumes.prepare(resource, made.run_directory).write_text(f"volume of {resource.server}")
    stored = save(made, "one")
    assert stored.disk(f"{SERVER}.x.qcow2").read_text() == f"volume of {SERVER}"
    live_on("b", IMAGES["debian-12"].root(settings.cache_dir))
    assert in_use(stored.directory) == ()
    elsewhere = tmp_path / "ssd" / "vdc-b" / f"{SERVER}.x.qcow2"
    make_overlay(elsewhere, stored.disk(f"{SERVER}.x.qcow2"))
    (settings.state_dir / "b" / "outside").write_text(f"{elsewhere}\n")
    assert in_use(stored.directory) == ("b",)
