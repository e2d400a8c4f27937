"""Files that volumes are, seeds, and what is kept outside of a run directory."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.errors import BuildError
from vdc.host import disks, volumes
from vdc.plan.resources.disks import IgnitionFile, Nvram, Overlay, SeedDisk, VolumeDisk
from vdc.shell import find, run

needs_qemu = pytest.mark.skipif(find("qemu-img") is None, reason="qemu-img is not installed (package qemu-utils)")
needs_xorriso = pytest.mark.skipif(find("xorrisofs") is None, reason="xorrisofs is not installed (package xorriso)")

SIZE = 2 << 20


@pytest.fixture
def run_directory(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "a"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def volume(run_directory: Path) -> VolumeDisk:
    return VolumeDisk(server="s", name="v", path=str(run_directory / "disks" / "s.v.raw"), content="raw", size=SIZE)


@pytest.fixture(params=["raw", "qcow2"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    (tmp_path / "content").write_bytes(b"image".ljust(SIZE, b"\0"))
    run(["qemu-img", "convert", "-f", "raw", "-O", request.param, str(tmp_path / "content"), str(path)], timeout=30)
    return path


def content(disk: Path, tmp_path: Path) -> bytes:
    run(["qemu-img", "convert", "-O", "raw", str(disk), str(tmp_path / "read")], timeout=30)
    return (tmp_path / "read").read_bytes()


def test_a_raw_volume_is_a_sparse_file_of_its_size(volume: VolumeDisk, run_directory: Path) -> None:
    volumes.create(volume, run_directory)
    stat = Path(volume.path).stat()
    assert (stat.st_size, stat.st_blocks) == (SIZE, 0)


@pytest.mark.parametrize("content", ["raw", "empty"])
@needs_qemu
def test_nothing_is_left_of_what_was_there_before(volume: VolumeDisk, run_directory: Path, content: str) -> None:
    """Also not of a volume of another size or content."""
    stale = Path(volume.path)
    stale.parent.mkdir()
    stale.write_bytes(b"stale" * SIZE)
    volumes.create(replace(volume, content=content), run_directory)  # type: ignore[arg-type]
    assert b"stale" not in stale.read_bytes()
    assert volumes.virtual_size(stale) == SIZE


@needs_qemu
@pytest.mark.parametrize("overlay", [True, False])
def test_a_volume_of_an_image_has_its_content_whatever_format_it_is_in(
    volume: VolumeDisk, run_directory: Path, image: Path, tmp_path: Path, overlay: bool
) -> None:
    made = replace(volume, content="image", source=str(image), size=0, overlay=overlay)
    volumes.create(made, run_directory)
    assert content(Path(made.path), tmp_path) == b"image".ljust(SIZE, b"\0")
    assert disks.backing(Path(made.path)) == (image if overlay else None)


@needs_qemu
@pytest.mark.parametrize("overlay", [True, False])
def test_a_volume_may_be_larger_than_its_image_and_not_smaller(
    volume: VolumeDisk, run_directory: Path, image: Path, overlay: bool
) -> None:
    made = replace(volume, content="image", source=str(image), size=2 * SIZE, overlay=overlay)
    volumes.create(made, run_directory)
    assert volumes.virtual_size(Path(made.path)) == 2 * SIZE
    with pytest.raises(BuildError, match=f"volume:s/v: its image has {SIZE} bytes, and its size is {SIZE // 2}"):
        volumes.create(replace(made, size=SIZE // 2), run_directory)


@needs_qemu
def test_a_root_disk_is_on_an_image_of_either_format(run_directory: Path, image: Path, tmp_path: Path) -> None:
    overlay = Overlay(server="s", path=str(run_directory / "root.qcow2"), backing=str(image), image="mine")
    disks.create_overlay(overlay)
    assert content(Path(overlay.path), tmp_path) == b"image".ljust(SIZE, b"\0")


def test_a_file_system_that_always_caches_is_told_by_name(
    volume: VolumeDisk, run_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, flags: int) -> int:
        assert flags & os.O_DIRECT
        raise OSError(22, "Invalid argument", str(path))

    monkeypatch.setattr("os.open", refuse)
    volumes.create(volume, run_directory)
    with pytest.raises(BuildError, match=r"volume:s/v: the file system of .*/disks always caches"):
        volumes.create(replace(volume, direct=True), run_directory)


def test_what_is_kept_elsewhere_is_known_before_it_is_there_and_removed_with_its_folder(
    volume: VolumeDisk, run_directory: Path, tmp_path: Path
) -> None:
    (tmp_path / "ssd").mkdir()
    (tmp_path / "ssd" / "kept").touch()
    elsewhere = replace(volume, path=str(tmp_path / "ssd" / "vdc-a" / "s.v.raw"))
    volumes.create(volume, run_directory)
    assert volumes.outside(run_directory) == ()
    volumes.prepare(elsewhere, run_directory)
    assert volumes.outside(run_directory) == (Path(elsewhere.path),)
    volumes.create(elsewhere, run_directory)
    assert volumes.outside(run_directory) == (Path(elsewhere.path),), "it is named twice"
    volumes.remove_outside(run_directory)
    assert [path.name for path in (tmp_path / "ssd").iterdir()] == ["kept"]
    assert Path(volume.path).exists()


def test_what_somebody_keeps_beside_it_stays(volume: VolumeDisk, run_directory: Path, tmp_path: Path) -> None:
    elsewhere = replace(volume, path=str(tmp_path / "ssd" / "vdc-a" / "s.v.raw"))
    volumes.create(elsewhere, run_directory)
    other = tmp_path / "ssd" / "vdc-a" / "mine"
    other.touch()
    volumes.remove_outside(run_directory)
    volumes.remove_outside(run_directory)
    assert list((tmp_path / "ssd" / "vdc-a").iterdir()) == [other]


@needs_xorriso
@pytest.mark.parametrize("network", [{}, {"network-config": "version: 2\n"}])
def test_a_seed_is_labelled_and_has_its_files(run_directory: Path, tmp_path: Path, network: dict[str, str]) -> None:
    files = {"user-data": "#cloud-config\nnäh: 1\n", "meta-data": "{}\n", **network}
    seed = SeedDisk(server="s", path=str(run_directory / "disks" / "s-seed.iso"), files=files)
    volumes.create_seed(seed)
    raw = Path(seed.path).read_bytes()
    assert raw[32769:32774] == b"CD001", "not ISO 9660 (ECMA-119, 8.1.2)"
    assert raw[32808:32840].decode().strip() == "cidata", "the volume identifier (ECMA-119, 8.4.7)"
    extract = ["xorriso", "-osirrox", "on", "-indev", seed.path, "-extract", "/", str(tmp_path / "out")]
    run(extract, timeout=30)
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir()} == files
    assert [path.name for path in (run_directory / "disks").iterdir()] == ["s-seed.iso"]


def test_ignition_and_variables_are_written(run_directory: Path, tmp_path: Path) -> None:
    (tmp_path / "VARS.fd").write_bytes(b"vars")
    nvram = Nvram(server="s", path=str(run_directory / "disks" / "s-nvram.fd"), template=str(tmp_path / "VARS.fd"))
    volumes.create_nvram(nvram)
    ignition = IgnitionFile(server="s", path=str(run_directory / "disks" / "s-ignition.json"), text="{}")
    volumes.write_ignition(ignition)
    assert (Path(nvram.path).read_bytes(), Path(ignition.path).read_text()) == (b"vars", "{}")
