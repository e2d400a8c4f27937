"""Sizes and names as other tools write them, as ours."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)([bkmgt]?)", re.IGNORECASE)
_POWERS: Final = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_UNITS: Final = ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB"))


def size(text: str, *, unit: str = "b") -> str:
    """Return our way to write a size of QEMU's: `4G` is `4GiB`; without a suffix it is in `unit`.

    Raises ValueError: not a size. What is not a whole number of KiB is rounded up.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected a size such as 512M or 4G")
    factor = 1 << (10 * _POWERS[(match[2] or unit).lower()])
    octets = round(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor
    kibibytes = -(-octets // 1024)
    for shift, suffix in _UNITS:
        if kibibytes % (1 << (shift - 10)) == 0 and (kibibytes or shift == 10):
            return f"{kibibytes >> (shift - 10)}{suffix}"
    raise AssertionError


def plain_name(text: str, taken: Collection[str], *, longest: int) -> str:
    """Return a name of ours that is close to `text` and not `taken`: lower-case letters, digits and dashes."""
    made = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-") or "x"
    made = (made if made[0].isalpha() else f"n{made}")[:longest].rstrip("-")
    if made not in taken:
        return made
    number = 2
    while (short := f"{made[: longest - len(str(number)) - 1].rstrip('-')}-{number}") in taken:
        number += 1
    return short


def role_name(device: str) -> str:
    """Return what a device's name says of its role: `cs` for `rack0-cs1`, `boot` for `boot-0`."""
    words = [re.sub(r"[^a-z]", "", word) for word in device.lower().replace("_", "-").split("-")]
    return next((word for word in reversed(words) if word), "server")
