"""The firmware of guests: where this host keeps it, which it is, and what a server starts by."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final
from xml.etree import ElementTree as ET

from vdc.errors import CommandError, InputError
from vdc.model.release import FIRMWARE
from vdc.model.releases import release as find_release
from vdc.plan.emulation import FIRMWARE as BIOS
from vdc.plan.emulation import UEFI_FIRMWARE, Flash, UefiFirmware
from vdc.plan.plan import Plan

_FILES: Final[Mapping[str, tuple[tuple[str, str | None], ...]]] = MappingProxyType(
    {
        "seabios": (("usr/share/seabios/bios-256k.bin", None),),
        "ovmf": tuple((each.code.lstrip("/"), each.variables.lstrip("/")) for each in UEFI_FIRMWARE),
    }
)
"""Component to where its packages have code and variables: the first of those that are there."""

_CODE: Final = "libvirt-pflash0-storage"
"""How libvirt calls the file that is the first flash of a machine (libvirt, src/qemu/qemu_domain.c)."""

_HEADER_LENGTH: Final = slice(48, 50)
_STORE_BYTES: Final = 20  # its GUID, and its size


def uefi(known: Sequence[UefiFirmware] = UEFI_FIRMWARE) -> UefiFirmware | None:
    """Return the first UEFI firmware of which this host has both files, or None."""
    return next((each for each in known if Path(each.code).is_file() and Path(each.variables).is_file()), None)


def build(plan: Plan) -> dict[str, str]:
    """Return the digest of the UEFI firmware that guests of a plan run on; nothing where none does.

    A frozen guest has been told where things are in it, and its variables have the layout of that build.
    """
    if all(server.hardware.firmware != "uefi" for server in plan.topology.servers):
        return {}
    return {"firmware": _digest(Path(plan.context.uefi.code))}


def flash_of(domain: str) -> Flash:
    """Return what a domain starts by, from its XML."""
    found = ET.fromstring(domain)  # noqa: S314 - libvirt's own answer, or made by us
    return Flash(code=found.findtext("os/loader", default=""), variables=found.findtext("os/nvram"))


def flashed(domain: str, flash: Flash) -> str:
    """Return the XML of a domain that starts by other firmware, and is as before in all else."""
    document = ET.fromstring(domain)  # noqa: S314 - libvirt's own answer, or made by us
    os = document.find("os")
    assert os is not None, "every domain says what it starts by"
    for name in ("loader", "nvram"):
        for old in os.findall(name):
            os.remove(old)
    # in flash, not in a ROM: see `vdc.host.freezer`
    loader = ET.SubElement(os, "loader", {"readonly": "yes", "type": "pflash"})
    loader.text = flash.code
    if flash.variables is None:
        loader.set("stateless", "yes")
    else:
        ET.SubElement(os, "nvram").text = flash.variables
    return ET.tostring(document, encoding="unicode")


def keep_variables(variables: Path, template: Path) -> None:
    """Leave the variables of a server as they are where the firmware of `template` has them so; else make new ones.

    Raises OSError.
    """
    if variables.is_file() and _layout(variables.read_bytes()) == _layout(template.read_bytes()):
        return
    part = variables.with_suffix(".part")
    shutil.copyfile(template, part)
    part.replace(variables)


def _layout(content: bytes) -> tuple[int, bytes]:
    """Return what must be the same for variables to be understood: their room, and how they are kept there.

    That is the header of a firmware volume, and of the store of variables in it what it is and how big (UEFI Platform
    Initialization Specification, volume 3, 3.2.1; EDK II, MdeModulePkg/Include/Guid/VariableFormat.h).
    """
    length = int.from_bytes(content[_HEADER_LENGTH], "little")
    return len(content), content[: length + _STORE_BYTES]


def executed(process: int) -> str:
    """Return the SHA-256 of the firmware that a QEMU executes, in hex: of the file that it has open.

    Raises CommandError: it has none in flash, or is gone.
    """
    try:
        words = Path("/proc", str(process), "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        file = next(blockdev["filename"] for blockdev in _blockdevs(words) if blockdev.get("node-name") == _CODE)
        place = os.path.realpath(file)  # so the kernel tells it
        opened = (each for each in Path("/proc", str(process), "fd").iterdir() if _leads_to(each, place))
        return hashlib.sha256(next(opened).read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise CommandError("host", ["QEMU", str(process)], 1, f"no firmware in flash: {error!r}") from error


def _blockdevs(words: Sequence[str]) -> Iterator[Mapping[str, str]]:
    for option, value in pairwise(words):
        if option == "-blockdev":
            yield json.loads(value)


def _leads_to(descriptor: Path, file: str) -> bool:
    try:
        return str(descriptor.readlink()).removesuffix(" (deleted)") == file
    except OSError:  # closed meanwhile
        return False


def in_release(release: str, folder: Path) -> Flash:
    """Return the files of the firmware of a release, in the folder of its unpacked packages.

    `variables` are those that a new machine begins with. Raises InputError: it is no release of firmware, or has
    packages without such files.
    """
    component = find_release(release).firmware
    if component is None:
        raise InputError(
            f"release {release} is not one of firmware",
            hint=f"one has {' or '.join(sorted(FIRMWARE))}, and no more",
        )
    for code, variables in _FILES[component.name]:
        files = [folder / each for each in (code, variables) if each is not None]
        if all(each.is_file() for each in files):
            return Flash(code=str(files[0]), variables=str(files[1]) if len(files) > 1 else None)
    raise InputError(f"the packages of release {release} have no firmware", hint=f"looked for {_FILES[component.name]}")


def identities(plan: Plan, domains: Iterable[Path]) -> dict[str, str]:
    """Return the digest of the firmware of each domain that was given another one than the plan says.

    `domains` are files with the XML of one each, called like its server.
    """
    usual = {BIOS, plan.context.uefi.code}
    codes = {each.stem: flash_of(each.read_text(encoding="utf-8")).code for each in domains}
    return {f"firmware of {name}": _digest(Path(code)) for name, code in sorted(codes.items()) if code not in usual}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"
