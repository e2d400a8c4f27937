"""Packages of another suite: unpacked with all that they need, and alone; kept whole or not at all."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from vdc.errors import HostError
from vdc.host import artifacts, debian
from vdc.host.artifacts import packages
from vdc.model.release import Component, Release
from vdc.settings import Settings
from vdc.shell import run
from vdc.steps import Steps

CONTROL = """\
Package: etcd-server
Version: 1:3.5.16-4
Architecture: amd64
Maintainer: nobody <nobody@example.org>
Description: a package
"""
RELEASE = Release(
    name="mine",
    os="debian-12",
    components=(Component(name="etcd", version="3.5", packages=("etcd-server",), suite="trixie"),),
    file="mine.yml",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ...]]:
    """Let mmdebstrap unpack a package and what it needs, and remember what it was asked for."""
    found: list[tuple[str, ...]] = []

    def bootstrap(root: Path, suite: str, wanted: Iterable[str], *, variant: str, **_: object) -> None:
        found.append((suite, variant, *wanted))
        tree = tmp_path / "tree"
        for name in ("DEBIAN/control", "usr/bin/etcd", "usr/share/doc/etcd-server/copyright"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(CONTROL if name == "DEBIAN/control" else name)
        archives = root / "var/cache/apt/archives"
        archives.mkdir(parents=True)
        run(["dpkg-deb", "--build", str(tree), str(archives / "etcd-server_1%3a3.5.16-4_amd64.deb")], timeout=60)
        for name in ("usr/bin/etcd", "lib/libc.so", "usr/lib/other.so"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)

    monkeypatch.setattr(debian, "bootstrap", bootstrap)
    return found


def test_packages_are_unpacked_once_with_what_they_need_and_alone(
    settings: Settings, asked: list[tuple[str, ...]]
) -> None:
    (artifact,) = artifacts.ensure(RELEASE, settings, Steps())
    assert artifacts.ensure(RELEASE, settings, Steps()) == (artifact,) == artifacts.found(RELEASE, settings)
    assert asked == [("trixie", "extract", "etcd-server")]
    assert artifact.versions == {"etcd-server": "1:3.5.16-4"}
    assert (artifact.file.into, artifact.file.unpack) == ("/", True)
    with tarfile.open(artifact.path) as archive:
        assert [each.name for each in archive if each.isfile()] == ["./usr/bin/etcd"]
    root = artifact.path.parent / packages.ROOT
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) == [
        "usr/bin/etcd",
        "usr/lib/libc.so",
        "usr/lib/other.so",
    ]


def test_the_same_packages_make_the_same_archive(settings: Settings, asked: list[tuple[str, ...]]) -> None:
    digests = set()
    for name in ("one", "two"):
        there = Settings(state_dir=settings.state_dir, cache_dir=settings.cache_dir / name)
        digests.add(artifacts.ensure(RELEASE, there, Steps())[0].file.digest)
    assert len(asked) == 2
    assert len(digests) == 1


def test_a_damaged_archive_is_told(settings: Settings, asked: list[tuple[str, ...]]) -> None:
    assert artifacts.missing(RELEASE, settings) == ("etcd",)
    (artifact,) = artifacts.ensure(RELEASE, settings, Steps())
    assert asked
    assert [state.wrong for state in artifacts.verify(RELEASE, settings)] == [""]
    artifact.path.write_bytes(b"")
    assert [state.damaged for state in artifacts.verify(RELEASE, settings)] == [True]
    (artifact.path.parent / "manifest.json").unlink()
    (state,) = artifacts.verify(RELEASE, settings)
    assert "has no manifest" in state.wrong


def test_what_cannot_be_had_leaves_nothing(
    settings: Settings, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(debian, "bootstrap", broken)
    with pytest.raises(HostError, match="etcd-server of Debian trixie cannot be had: no network"):
        artifacts.ensure(RELEASE, settings, Steps())
    assert asked == []
    folder = settings.cache_dir / "artifacts"
    assert [path.name for path in folder.iterdir() if not path.name.endswith((".lock", ".log"))] == []


def test_the_files_of_unpacked_packages_are_installed_into_an_image(
    settings: Settings, asked: list[tuple[str, ...]], tmp_path: Path
) -> None:
    (artifact,) = artifacts.ensure(RELEASE, settings, Steps())
    assert asked
    artifacts.install(artifact, tmp_path / "image")
    assert (tmp_path / "image/usr/bin/etcd").read_text() == "usr/bin/etcd"
