"""What releases have that is of no package: fetched, read or built, checked, and kept in the cache by its digest."""

from __future__ import annotations

from vdc.host.artifacts.store import (
    Artifact,
    State,
    built,
    clean,
    ensure,
    found,
    install,
    kubectl,
    missing,
    unpack_place,
    unpacked,
    verify,
)

__all__ = [
    "Artifact",
    "State",
    "built",
    "clean",
    "ensure",
    "found",
    "install",
    "kubectl",
    "missing",
    "unpack_place",
    "unpacked",
    "verify",
]
