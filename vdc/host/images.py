"""Building release images: mmdebstrap into a folder, mke2fs from the folder into a disk; no loop devices.

An image is built beside its place in the cache and renamed into it when it is complete, so it is there whole or not
at all. One process builds an image while others that want it wait.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from vdc.errors import BuildError, HostError
from vdc.host import artifacts, debian
from vdc.host.artifacts import Artifact
from vdc.host.locks import exclusive
from vdc.model.release import Release
from vdc.plan.images import IMAGES, Image
from vdc.plan.oci import CONTAINER_IMAGES, archive
from vdc.settings import Settings
from vdc.shell import run, run_logged
from vdc.steps import Steps

_INIT = """\
#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t sysfs sys /sys
for module in /modules/*; do $bb insmod "$module"; done
until [ -b /dev/vda ]; do $bb sleep 0.02; done
$bb mount -t ext4 -o rw,noatime,discard /dev/vda /root
$bb mount -t ext4 -o rw,noatime,discard /dev/vdb /root/data 2>/dev/null
$bb tar -x -f /dev/vdc -C /root
for port in /sys/class/virtio-ports/*; do
    [ -s "$port/name" ] || continue
    $bb mkdir -p /dev/virtio-ports
    $bb ln -s "../${port##*/}" "/dev/virtio-ports/$($bb cat "$port/name")"
done
$bb umount /sys
# journald writes to the disk at once where it finds this flag; else it fills a journal in memory and copies it later
$bb mount -t tmpfs -o mode=755,size=20%,nosuid,nodev run /root/run
$bb mkdir -p /root/run/systemd/journal
$bb touch /root/run/systemd/journal/flushed
$bb mount --move /dev /root/dev
exec $bb switch_root /root /sbin/init
"""

_BUILD_SECONDS = 1800.0

RELEASE_FILE: Final = "usr/lib/vdc/release.json"
"""What a guest says of itself: the release, what it is built on, and the exact version of each component."""
LISTS: Final = "usr/lib/vdc/files"
"""Where lists are of the files of components that were unpacked, and not installed."""
CONTAINERS: Final = "usr/lib/vdc/images"
"""Where a guest has its container images, as OCI archives."""


def ensure(release: str, settings: Settings, steps: Steps) -> None:
    """Build the image of `release` unless the cache has it whole; a damaged one is built again.

    Raises:
        InputError: a file of this host that the release has is not there, or not what its digest says.
        HostError: mmdebstrap or another tool failed; names the log. Something could not be fetched or built.
    """
    image = IMAGES[release]
    directory = image.directory(settings.cache_dir)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(directory.parent / f".{image.name}.lock"):
        if complete(image, settings.cache_dir):
            return
        brought = artifacts.ensure(image.release, settings, steps) if image.release is not None else ()
        with steps.step(f"build image {release}"):
            _build(image, brought, settings)


def complete(image: Image, cache: Path) -> bool:
    """Return whether the cache holds the image with every file as long as when it was built."""
    try:
        manifest = json.loads(image.manifest(cache).read_text())
        return all((image.directory(cache) / name).stat().st_size == size for name, size in manifest["sizes"].items())
    except (FileNotFoundError, ValueError, KeyError):
        return False


def clean(settings: Settings) -> None:
    """Remove what killed builds left; one that is going on is let alone."""
    for work in (settings.cache_dir / "images").glob(".*.build"):
        with suppress(BlockingIOError), exclusive(work.with_suffix(".lock"), wait=False):
            shutil.rmtree(work)
    artifacts.clean(settings)


def _build(image: Image, brought: tuple[Artifact, ...], settings: Settings) -> None:
    directory = image.directory(settings.cache_dir)
    work = directory.parent / f".{image.name}.build"
    log = directory.parent / f"{image.name}.log"
    # The lock is ours, so whatever is left here was left by a build that was killed.
    shutil.rmtree(work, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)
    work.mkdir()
    log.unlink(missing_ok=True)
    root = work / "root"
    try:
        variant = "important" if image.stock else "minbase"
        debian.bootstrap(root, image.suite, image.packages, variant=variant, mirror=settings.debian_mirror, log=log)
        _customise(image, root)
        packages = _package_versions(root)
        components = _bring(image.release, brought, packages, root) if image.release is not None else {}
        kernel = _newest_kernel(root)
        shutil.copy(root / "boot" / f"vmlinuz-{kernel}", work / "vmlinuz")
        if image.stock:
            shutil.copy(root / "boot" / f"initrd.img-{kernel}", work / "initrd.img")
        else:
            _unpack_modules(root, kernel)
            _initrd(image, root, kernel, work)
        _disk(image, root, work / "root.img", log)
    except Exception as error:
        raise HostError(f"building image {image.name} failed: {error}", hint=f"the log is {log}") from error
    shutil.rmtree(root)
    names = ("root.img", "vmlinuz", "initrd.img")
    manifest = {
        "name": image.name,
        "digest": image.digest,
        "kernel": kernel,
        "packages": packages,
        "components": components,
        "sizes": {name: (work / name).stat().st_size for name in names},
        "sha256": {name: _sha256(work / name) for name in names},
    }
    (work / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True))
    work.rename(directory)


def _customise(image: Image, root: Path) -> None:
    for name, text in image.files:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in ("data", "var/log/journal", "root/.ssh"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "root/.ssh").chmod(0o700)
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    if not image.stock:
        _strip_units(root)
    for name in ("etc/hostname", "etc/machine-id"):
        (root / name).write_text("")
    for command in (
        *(["systemctl", "add-wants", target, *units] for target, units in image.wanted),
        ["systemctl", "mask", "--force", *image.masked],
        ["passwd", "--delete", "root"],  # the console is the way in when all else fails
    ):
        run(["chroot", str(root), *command], timeout=60)


def _bring(
    release: Release, brought: tuple[Artifact, ...], packages: Mapping[str, str], root: Path
) -> Mapping[str, str]:
    """Add what is of no package, and what the guest says of itself; return the exact version of each component."""
    for artifact in brought:
        artifacts.install(artifact, root)
        if artifact.versions:
            packages = {**packages, **artifact.versions}
            _list(artifact, root)
    components = versions(release, packages)
    containers = root / CONTAINERS
    containers.mkdir(parents=True, exist_ok=True)  # a release may bring further ones
    if release.kubernetes is not None:
        busybox = (root / "bin/busybox").read_bytes()
        for name, container in CONTAINER_IMAGES.items():
            (containers / f"{name}.tar").write_bytes(archive(container, busybox))
    said = {"name": release.name, "os": release.os, "components": components}
    (root / RELEASE_FILE).write_text(json.dumps(said, indent=1) + "\n")
    return components


def _list(artifact: Artifact, root: Path) -> None:
    """Write down which files are of packages that are unpacked, as dpkg does of those that are installed."""
    names = run(["tar", "-t", "-f", str(artifact.path)], timeout=60).stdout.splitlines()
    place = root / LISTS / f"{artifact.component}.list"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("".join(f"{name.removeprefix('.')}\n" for name in names if not name.endswith("/")))


def versions(release: Release, packages: Mapping[str, str]) -> Mapping[str, str]:
    """Return the exact version of each component that has one, given the versions of all packages.

    That of a package is the upstream part of its own. Raises BuildError: the mirror has another one than the release
    asks for.
    """
    found: dict[str, str] = {}
    for component in release.components:
        if not component.version:
            continue
        exact = component.version
        if component.packages:
            package = component.packages[-1]
            exact = debian.upstream(packages[package])
            if not f"{exact}.".startswith(f"{component.version}."):
                raise BuildError(
                    f"release {release.name}",
                    f"it asks for {component.name} {component.version}, and Debian has {package} {packages[package]}",
                    hint=f"change the version in {release.file}",
                )
        found[component.name] = exact
    return found


def _strip_units(root: Path) -> None:
    """Leave nothing that systemd starts by itself, nor generators, which look for what these servers do not have."""
    for units in (root / "etc/systemd/system", root / "usr/lib/systemd/system"):
        for wants in units.glob("*.wants"):
            shutil.rmtree(wants)
    shutil.rmtree(root / "usr/lib/systemd/system-generators")


def _unpack_modules(root: Path, kernel: str) -> None:
    """Store the kernel's modules as they are: unpacking them takes seconds of each boot under emulation."""
    packed = list((root / "lib/modules" / kernel).rglob("*.ko.xz"))
    for path in packed:
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()
    if packed:
        run(["chroot", str(root), "depmod", kernel], timeout=120)


def _package_versions(root: Path) -> dict[str, str]:
    status = (root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    return dict(re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)$", status, flags=re.MULTILINE))


def _newest_kernel(root: Path) -> str:
    kernels = sorted(path.name.removeprefix("vmlinuz-") for path in (root / "boot").glob("vmlinuz-*"))
    if not kernels:
        raise BuildError("image", "no kernel in /boot")
    return kernels[-1]


def _initrd(image: Image, root: Path, kernel: str, work: Path) -> None:
    """Write an initial RAM disk with busybox and just the modules that reach the root disk."""
    tree = work / "initrd"
    for folder in ("bin", "dev", "modules", "root", "sys"):
        (tree / folder).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", tree / "bin/busybox")
    for number, module in enumerate(_with_dependencies(root, kernel, image.modules)):
        (tree / "modules" / f"{number:02}-{module.name.split('.')[0]}.ko").write_bytes(module.read_bytes())
    init = tree / "init"
    init.write_text(_INIT)
    init.chmod(0o755)
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    target = work / "initrd.img"
    run(["cpio", "--quiet", "-o", "-H", "newc", "-D", str(tree), "-O", str(target)], stdin=names, timeout=60)
    shutil.rmtree(tree)


def _with_dependencies(root: Path, kernel: str, wanted: tuple[str, ...]) -> list[Path]:
    """Return the module files of `wanted` in loading order; modules compiled into the kernel are left out."""
    base = root / "lib/modules" / kernel
    files: dict[str, tuple[str, list[str]]] = {}
    for line in (base / "modules.dep").read_text().splitlines():
        file, _, needs = line.partition(":")
        files[Path(file).name.split(".")[0].replace("-", "_")] = (file, needs.split())
    order: list[str] = []
    for file, needed in (files[module] for module in wanted if module in files):
        # modules.dep lists dependencies nearest first
        order += [item for item in (*reversed(needed), file) if item not in order]
    return [base / name for name in order]


def _disk(image: Image, root: Path, target: Path, log: Path) -> None:
    with target.open("wb") as file:
        file.truncate(image.size)
    run_logged(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-m", "0", "-d", str(root), str(target)],
        log=log,
        timeout=_BUILD_SECONDS,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
