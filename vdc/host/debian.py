"""Folders with a Debian in them, made by mmdebstrap from the mirrors that this host uses itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from vdc.shell import run_logged

BOOTSTRAP_SECONDS: Final = 1800.0


def bootstrap(root: Path, suite: str, packages: Iterable[str], *, variant: str, mirror: str | None, log: Path) -> None:
    """Make a Debian in the folder `root`, in mount and process namespaces: killed at any moment, it leaves only files.

    The variant `extract` installs nothing, and leaves the archives of the packages where apt has put them.

    Raises CommandError, WaitTimeout.
    """
    options = [
        "--mode=root",
        f"--variant={variant}",
        f"--include={','.join(packages)}",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *(["--skip=cleanup"] if variant == "extract" else []),
    ]
    run_logged(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--"),
            *("mmdebstrap", *options, suite, str(root), *sources(suite, mirror)),
        ],
        log=log,
        timeout=BOOTSTRAP_SECONDS,
    )


def inside(
    root: Path, argv: Sequence[str], *, folder: str, log: Path, timeout: float, env: Mapping[str, str] | None = None
) -> None:
    """Run a command with `root` as its file system, in `folder` of it, with /proc; nothing of it survives this process.

    Raises CommandError, WaitTimeout.
    """
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={root}", f"--wd={folder}"]
    run_logged([*namespaces, "--mount-proc", "--", *argv], log=log, timeout=timeout, env=env)


def sources(suite: str, mirror: str | None) -> list[str]:
    """Return apt sources of a suite with its updates, from the mirrors this host uses itself.

    Without any, where the host is not a Debian, mmdebstrap takes Debian's own, with the same suites.
    """
    mirrors = _host_mirrors()
    main = mirror or mirrors.get("debian")
    if main is None:
        return []
    lines = [f"deb {main} {each} main" for each in (suite, f"{suite}-updates")]
    security = mirrors.get("debian-security")
    return [*lines, f"deb {security} {suite}-security main"] if security else lines


def source_lines(root: Path) -> str:
    """Return what lets apt in `root` find source packages where it has its packages from."""
    text = (root / "etc/apt/sources.list").read_text(encoding="utf-8")
    return "".join(f"deb-src {line}\n" for line in re.findall(r"^deb (.+)$", text, flags=re.MULTILINE))


def upstream(version: str) -> str:
    """Return the upstream part of a package's version (deb-version(7)): "1.1.5" of "1:1.1.5+ds1-1".

    After "+really" stands what it is where a higher number had been given before (Debian wiki, PackagingLessCommon).
    """
    match = re.match(r"(?:\d+:)?(?:.*\+really)?(\d+(?:\.\d+)*)", version)
    return match[1] if match else version


def _host_mirrors() -> dict[str, str]:
    """Return the first enabled mirror of this host for each archive, by the last part of its address."""
    folder = Path("/etc/apt/sources.list.d")
    files = (Path("/etc/apt/sources.list"), *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources")))
    found: dict[str, str] = {}
    for path in files:
        stanzas = path.read_text(encoding="utf-8").split("\n\n") if path.is_file() else ()
        for stanza in stanzas:
            if re.search(r"^Enabled:\s*no", stanza, flags=re.MULTILINE | re.IGNORECASE):
                continue
            for uri in re.findall(r"^(?:URIs:|deb(?: \[.*?\])?)\s+(\S+)", stanza, flags=re.MULTILINE):
                found.setdefault(uri.rstrip("/").rpartition("/")[2], uri)
    return found
