"""Values of the language as a person writes them in YAML: the inverse of `vdc.model.values`."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType
from typing import Final

from pydantic.fields import FieldInfo

from vdc.model.values import parse_duration, parse_size

_SIZES: Final[Mapping[int, str]] = MappingProxyType({1 << 40: "TiB", 1 << 30: "GiB", 1 << 20: "MiB", 1 << 10: "KiB"})
_DURATIONS: Final[Mapping[float, str]] = MappingProxyType({1.0: "s", 1e-3: "ms", 1e-6: "us"})


def written(field: FieldInfo, value: object) -> object:
    """Return the value of a key as it stands in a file."""
    parsers = [getattr(each, "func", None) for each in field.metadata]
    match value:
        case int() if parse_size in parsers:
            return written_size(value)
        case float() if parse_duration in parsers:
            return written_duration(value)
        case IPv4Network() | IPv6Network():
            return str(value)
        case _:
            return value


def written_size(size: int) -> str:
    """Return `640MiB` for bytes, in the largest unit that divides them."""
    unit = next(each for each in _SIZES if size % each == 0)
    return f"{size // unit}{_SIZES[unit]}"


def written_duration(seconds: float) -> str:
    """Return `200ms` for seconds, in the largest unit of which there is one."""
    unit = next((each for each in _DURATIONS if seconds >= each), 1e-6)
    return f"{round(seconds / unit, 6):g}{_DURATIONS[unit]}"
