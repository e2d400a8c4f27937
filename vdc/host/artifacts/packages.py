"""Debian packages of a suite that is not the image's or the host's: unpacked, once with all that they need, once alone.

Their maintainers' scripts are not run. What they need is there so that a program of theirs can run on a host of another
suite: on one with a merged /usr, `usr` of `ROOT` in the place of the host's is enough.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vdc.errors import HostError
from vdc.host import debian
from vdc.host.download import digest_of
from vdc.model.release import Unpacked
from vdc.shell import run

ROOT: Final = "root"
"""The folder with the packages and with all that they need."""

ALONE: Final = "alone.tar"
"""The archive with the files of the packages and nothing else."""

_MANIFEST: Final = "manifest.json"
_ARCHIVES: Final = "var/cache/apt/archives"
_SECONDS: Final = 300.0
_LEFT_OUT: Final = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/lintian")


def versions(directory: Path) -> Mapping[str, str]:
    """Return the version of each package that was unpacked into a directory. Raises OSError, ValueError, KeyError."""
    found: Mapping[str, str] = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))["versions"]
    return found


def digest(directory: Path) -> str:
    """Return the digest of the archive. Raises OSError, ValueError, KeyError."""
    return str(json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))["digest"])


def unpack(wanted: Unpacked, work: Path, *, mirror: str | None, log: Path) -> None:
    """Make the folder and the archive below `work`, which is made. Raises CommandError, WaitTimeout, HostError."""
    work.mkdir()
    root, alone = work / ROOT, work / "alone"
    debian.bootstrap(root, wanted.suite, wanted.packages, variant="extract", mirror=mirror, log=log)
    archives = {package: _archive(root, package) for package in wanted.packages}
    for archive in archives.values():
        run(["dpkg-deb", "-x", str(archive), str(alone)], timeout=_SECONDS)
    _pack(alone, work / ALONE)
    found = {name: run(["dpkg-deb", "-f", str(path), "Version"], timeout=_SECONDS) for name, path in archives.items()}
    manifest = {
        "versions": {name: done.stdout.strip() for name, done in found.items()},
        "digest": digest_of(work / ALONE, "sha256"),
    }
    shutil.rmtree(alone)
    shutil.rmtree(root / "var")
    _merge(root)
    (work / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _archive(root: Path, package: str) -> Path:
    found = sorted((root / _ARCHIVES).glob(f"{package}_*.deb"))
    if len(found) != 1:
        raise HostError(f"apt fetched {len(found)} archives of {package} where one was expected")
    return found[0]


def _merge(root: Path) -> None:
    """Move what older suites have beside /usr into it, as installing them would (Debian wiki, UsrMerge)."""
    for name in ("bin", "lib", "lib32", "lib64", "sbin"):
        beside = root / name
        if beside.is_dir() and not beside.is_symlink():
            run(["cp", "-a", "--no-target-directory", str(beside), str(root / "usr" / name)], timeout=_SECONDS)
            shutil.rmtree(beside)


def _pack(folder: Path, target: Path) -> None:
    """Write an archive that is the same for the same files."""
    left_out = [f"--exclude={each}" for each in _LEFT_OUT]
    same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]
    run(["tar", "-c", *same, *left_out, "-C", str(folder), "-f", str(target), "."], timeout=_SECONDS)
