"""A disk of a user's own, small enough to be made for a test: it boots by UEFI, looks around, and tells its console."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from vdc.plan.images import Image
from vdc.shell import run

INIT = """\
#!/bin/busybox sh
bb=/bin/busybox
$bb mount -t devtmpfs dev /dev
$bb mount -t sysfs sys /sys
$bb mount -t proc proc /proc
for module in /modules/*; do $bb insmod "$module"; done
exec > /dev/ttyS0 2>&1 < /dev/ttyS0
echo "mine: booted"
for disk in /sys/block/vd*; do echo "mine: disk ${disk##*/} $($bb cat $disk/serial)"; done
$bb mkdir /seed
seed=$($bb findfs LABEL=cidata)
$bb mount -t iso9660 -o ro "$seed" /seed
for file in /seed/*; do echo "mine: ${file##*/}: $($bb tr '\\n' ' ' < $file)"; done
echo "mine: ignition: $($bb cat /sys/firmware/qemu_fw_cfg/by_name/opt/com.coreos/config/raw)"
echo "mine: serial $($bb cat /sys/class/dmi/id/product_serial)"
echo "mine: mtu $($bb cat /sys/class/net/eth0/mtu)"
echo "mine: done"
# the power button
while :; do $bb sleep 1; done
"""
STARTUP = "vmlinuz.efi initrd=\\initrd.img console=ttyS0,115200 quiet net.ifnames=0\r\n"
"""What the UEFI shell runs where there is no boot loader."""

MODULES = ("cdrom", "isofs", "qemu_fw_cfg")


def make(image: Image, cache: Path, folder: Path) -> Path:
    """Make a compressed disk with the kernel of a release image, and return its file."""
    tree = folder / "tree"
    (tree / "esp").mkdir(parents=True)
    shutil.copy(image.kernel(cache), tree / "esp" / "vmlinuz.efi")
    (tree / "esp" / "startup.nsh").write_text(STARTUP)
    initrd = image.initrd(cache).read_bytes() + _overlay(image, cache, tree)
    (tree / "esp" / "initrd.img").write_bytes(initrd)
    disk = folder / "disk.raw"
    # QEMU shows a folder as a disk with one FAT partition
    source = f"fat:16:{tree / 'esp'}"
    run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "raw", source, str(disk)], timeout=60)
    packed = folder / "disk.raw.gz"
    with disk.open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as file:
        shutil.copyfileobj(plain, file, 1 << 20)
    disk.unlink()
    return packed


def _overlay(image: Image, cache: Path, tree: Path) -> bytes:
    """Return a second archive, of what the initial RAM disk of the release does not have (Linux, initramfs)."""
    more = tree / "more"
    (more / "modules").mkdir(parents=True)
    (more / "proc").mkdir()
    (more / "init").write_text(INIT)
    (more / "init").chmod(0o755)
    root = str(image.root(cache))
    dep = run(["debugfs", "-R", f"cat {_kernel(root)}/modules.dep", root], timeout=30).stdout
    paths = [line.partition(":")[0] for line in dep.splitlines()]
    for number, module in enumerate(MODULES):
        for path in paths:
            if Path(path).name == f"{module}.ko":
                target = more / "modules" / f"9{number}-{module}.ko"
                run(["debugfs", "-R", f"dump {_kernel(root)}/{path} {target}", root], timeout=30)
    names = "\n".join(str(path.relative_to(more)) for path in sorted(more.rglob("*")))
    target = tree / "more.img"
    run(["cpio", "--quiet", "-o", "-H", "newc", "-D", str(more), "-O", str(target)], stdin=names, timeout=30)
    return target.read_bytes()


def _kernel(root: str) -> str:
    """Return the folder of the modules of a root disk."""
    listed = run(["debugfs", "-R", "ls -p /lib/modules", root], timeout=30).stdout
    (name,) = (line.split("/")[5] for line in listed.splitlines() if line and line.split("/")[5] not in {".", ".."})
    return f"/lib/modules/{name}"
