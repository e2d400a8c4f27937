"""Where this host keeps the firmware of guests, and which it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from vdc.plan.emulation import UEFI_FIRMWARE, UefiFirmware
from vdc.plan.plan import Plan


def uefi(known: Sequence[UefiFirmware] = UEFI_FIRMWARE) -> UefiFirmware | None:
    """Return the first UEFI firmware of which this host has both files, or None."""
    return next((each for each in known if Path(each.code).is_file() and Path(each.variables).is_file()), None)


def build(plan: Plan) -> dict[str, str]:
    """Return the digest of the UEFI firmware that guests of a plan run on; nothing where none does.

    A frozen guest has been told where things are in it, and its variables have the layout of that build.
    """
    if all(server.hardware.firmware != "uefi" for server in plan.topology.servers):
        return {}
    code = Path(plan.context.uefi.code)
    return {"firmware": hashlib.sha256(code.read_bytes()).hexdigest() if code.is_file() else "missing"}
