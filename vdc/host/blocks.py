"""Disks of a running guest, disturbed from beneath: nodes that QEMU puts between a device and its image.

A node is added to QEMU (QMP, blockdev-add) and made the drive of the device (qom-set). libvirt is not told, so the
guest starts without it the next time. Only QEMU has it: when QEMU ends, nothing is left of it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Any, Final

from vdc.errors import BuildError
from vdc.host.libvirtd import Connection
from vdc.host.write_log import SECTOR
from vdc.shell import run

_PREFIX: Final = "vdc-fault-"
_EIO: Final = 5
_SECONDS: Final = 60.0
_MANY_SECONDS: Final = 600.0
_DUMPED: Final = re.compile(r"^[0-9a-f]{8}:  ((?:[0-9a-f]{2} ){1,16})", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A virtio disk of a domain: the `target` that libvirt knows it by, and the `file` of `format` that it is."""

    libvirt: Connection
    domain: str
    target: str
    file: Path
    format: str

    def layers(self) -> tuple[str, ...]:
        """Return the keys of the nodes between the device and its image; none where the guest does not run."""
        if not self.running():
            return ()
        drive = self._drive()
        return (drive.removeprefix(_PREFIX),) if drive.startswith(_PREFIX) else ()

    def slow(self, key: str, operations: int) -> None:
        """Serve at most so many requests a second (QEMU, docs/throttle.txt)."""
        group = f"{_PREFIX}{key}-limit"
        self._ask("object-add", {"qom-type": "throttle-group", "id": group, "limits": {"iops-total": operations}})
        self._insert(key, {"driver": "throttle", "file": self._image(), "throttle-group": group})

    def fail(self, key: str, kinds: Collection[str]) -> None:
        """Fail requests of these kinds with EIO (QEMU, docs/devel/blkdebug.txt)."""
        rule = {"event": "none", "errno": _EIO, "once": False, "immediately": False}
        rules = [{**rule, "iotype": kind} for kind in sorted(kinds)]
        self._insert(key, {"driver": "blkdebug", "image": self._image(), "inject-error": rules})

    def hold_back(self, key: str, overlay: Path, log: Path) -> None:
        """Keep the image as it is from now on: what the guest writes goes to an overlay, and into a log."""
        size = self._size()
        run(["qemu-img", "create", "-q", "-f", "qcow2", str(overlay), str(size)], timeout=_SECONDS)
        log.write_bytes(b"")
        below = {"driver": "qcow2", "file": {"driver": "file", "filename": str(overlay)}, "backing": self._image()}
        logged = {"log": {"driver": "file", "filename": str(log)}, "log-sector-size": SECTOR}
        node = {"driver": "blklogwrites", "file": below, **logged}
        with self.still():
            self._insert(key, node)

    def pull(self) -> None:
        """Pull it out of the running guest, which is told so as by a hot-plug slot."""
        self.libvirt.unplug(self.domain, self.target)

    def running(self) -> bool:
        """Return whether anything runs that has the image open."""
        return self.libvirt.state(self.domain) != "off"

    def remove(self, key: str) -> None:
        """Remove what has this key, if it is there."""
        if not self.running():
            return
        name = f"{_PREFIX}{key}"
        if self._drive() == name:
            self._drive_by(self._image())
        if name in self._nodes():
            self._ask("blockdev-del", {"node-name": name})
        with suppress(BuildError):  # only a throttle has one
            self._ask("object-del", {"id": f"{name}-limit"})

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let the guest, if it runs, stand still in the body: all that it wrote is in the file then."""
        runs = self.libvirt.state(self.domain) == "running"
        if runs:
            self.libvirt.suspend(self.domain)
        try:
            if self.running():
                self._do("flush")
            yield
        finally:
            if runs:
                self.libvirt.resume(self.domain)

    def read(self, sector: int) -> bytes:
        """Return a sector of a guest that stands still."""
        command = f"read -v {sector * SECTOR} {SECTOR}"
        said = run(["qemu-io", "-r", "-U", "-f", self.format, "-c", command, str(self.file)], timeout=_SECONDS).stdout
        found = b"".join(bytes.fromhex(line[1]) for line in _DUMPED.finditer(said))
        if len(found) != SECTOR:
            raise BuildError(f"disk:{self.file.name}", f"sector {sector} cannot be read: {said[-200:]}")
        return found

    def write(self, pieces: Mapping[int, bytes], scratch: Path) -> None:
        """Write pieces of whole sectors, by their first sector, whether the guest runs or not."""
        if not self.running():
            write_pieces(self.file, self.format, pieces, scratch)
            return
        with _writing(pieces, scratch) as commands:
            for command in (*commands, "flush"):
                self._do(command)

    def _insert(self, key: str, node: Mapping[str, object]) -> None:
        name = f"{_PREFIX}{key}"
        try:
            self._ask("blockdev-add", {**node, "node-name": name})
            self._drive_by(name)
        except BuildError:
            self.remove(key)
            raise

    def _image(self) -> str:
        """Return the node that libvirt made of the image, beside that of its file."""
        for name, node in self._nodes().items():
            if name.endswith("-storage") and node["file"] == str(self.file):
                return f"{name.removesuffix('-storage')}-format"
        raise BuildError(f"disk:{self.file.name}", f"{self.domain} has no such disk now")

    def _size(self) -> int:
        return int(self._nodes()[self._image()]["image"]["virtual-size"])

    def _nodes(self) -> Mapping[str, Any]:
        return {node["node-name"]: node for node in self._ask("query-named-block-nodes", {})}

    def _device(self) -> str:
        """Return where QEMU has the device: libvirt names it by its target (libvirt, src/qemu/qemu_alias.c)."""
        number = 0
        for letter in self.target.removeprefix("vd"):
            number = number * len(ascii_lowercase) + ascii_lowercase.index(letter) + 1
        return f"/machine/peripheral/virtio-disk{number - 1}"

    def _drive(self) -> str:
        """Return the node that the device has; nothing where the disk was pulled out."""
        try:
            return str(self._ask("qom-get", {"path": self._device(), "property": "drive"}))
        except BuildError:
            return ""

    def _drive_by(self, node: str) -> None:
        self._ask("qom-set", {"path": self._device(), "property": "drive", "value": node})

    def _do(self, command: str) -> None:
        """Read, write or flush as the device does (qemu-io(1)); what comes of it is told to QEMU's own output.

        Raises BuildError: QEMU did not even try.
        """
        line = f'qemu-io -d {self._device()}/virtio-backend "{command}"'
        said = str(self._ask("human-monitor-command", {"command-line": line}))
        if re.search("error|failed", said, re.IGNORECASE):
            raise BuildError(f"disk:{self.file.name}", f"{command}: {said.strip()}")

    def _ask(self, command: str, arguments: Mapping[str, object]) -> Any:  # noqa: ANN401 - JSON
        return self.libvirt.monitor(self.domain, command, arguments)


def of_faults(libvirt: Connection, domain: str) -> tuple[str, ...]:
    """Return what a running domain has that is not of its own: nodes and throttles, by QEMU's names."""
    if libvirt.state(domain) == "off":
        return ()
    nodes = (node["node-name"] for node in libvirt.monitor(domain, "query-named-block-nodes", {}))
    objects = (each["name"] for each in libvirt.monitor(domain, "qom-list", {"path": "/objects"}))
    return tuple(name for name in (*nodes, *objects) if name.startswith(_PREFIX))


def write_pieces(file: Path, form: str, pieces: Mapping[int, bytes], scratch: Path) -> None:
    """Write pieces of whole sectors, by their first sector, to an image that nobody has open."""
    with _writing(pieces, scratch) as commands:
        run(["qemu-io", "-f", form, str(file)], stdin="\n".join((*commands, "flush\n")), timeout=_MANY_SECONDS)


@contextmanager
def _writing(pieces: Mapping[int, bytes], scratch: Path) -> Iterator[Sequence[str]]:
    """Yield the commands of qemu-io that write pieces; their data is in files in the body."""
    shutil.rmtree(scratch, ignore_errors=True)  # left by one that was killed
    scratch.mkdir()
    files = {sector: scratch / f"{sector}" for sector in pieces}
    try:
        for sector, data in pieces.items():
            files[sector].write_bytes(data)
        yield [f"write -s {files[sector]} {sector * SECTOR} {len(data)}" for sector, data in pieces.items()]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
