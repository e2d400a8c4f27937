"""The images of the operator: OCI archives with its program and which version it is; the node has Python. Pure.

A pod has its node's /usr mounted, to which the links of the image lead; so an image is a few kilobytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from vdc.plan.oci import layer, packed

PROGRAM: Final = "/app/program.py"

_FOLDERS: Final = ("app", "dev", "etc", "proc", "sys", "usr", "var")
_LINKS: Final = MappingProxyType({"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorImage:
    """An image: its `archive`, and the digests that a runtime may tell of what it runs from it."""

    name: str
    archive: bytes
    digests: frozenset[str]


@cache
def image_of(version: str) -> OperatorImage:
    """Return the image of the operator of a version, the same bytes at every call."""
    program = files("vdc.upgrade.operator").joinpath("program.py").read_bytes()
    content = {"app/program.py": program, "app/release": f"{version}\n".encode()}
    name = f"vdc.local/operator:{version}"
    image = packed(name, layer(content, folders=_FOLDERS, links=_LINKS), {"Entrypoint": ["/usr/bin/python3", PROGRAM]})
    return OperatorImage(name=name, archive=image.archive, digests=image.digests)
