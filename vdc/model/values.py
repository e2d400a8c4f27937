"""The scalars of topology files: sizes, durations, rates, prefixes, addresses. Each parser raises ValueError."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from types import MappingProxyType
from typing import Annotated, Final, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from vdc.model.ip import Address, Interface, Prefix

_UNITS: Final = MappingProxyType({"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40})
_SIZE: Final = re.compile(r"(\d+) ?(KiB|MiB|GiB|TiB)")
_SECONDS: Final = MappingProxyType({"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0})
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?) ?(us|ms|s|min)")
_RATES: Final = MappingProxyType({"kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9})
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?) ?(kbit|Mbit|Gbit)")
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?) ?(%)")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def parse_size(value: object) -> int:
    """Return the bytes that `640MiB` or `1GiB` mean (IEC 80000-13 units)."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(match[1]) * _UNITS[match[2]]
    raise ValueError("expected a size such as 640MiB or 1GiB")


def parse_duration(value: object) -> float:
    """Return the seconds that `200ms` or `9s` mean."""
    return _scaled(value, _DURATION, _SECONDS, "expected a duration such as 200ms or 9s")


def parse_rate(value: object) -> int:
    """Return the bits per second that `100Mbit` or `1Gbit` mean."""
    return round(_scaled(value, _RATE, _RATES, "expected a rate such as 100Mbit or 1Gbit"))


def parse_share(value: object) -> float:
    """Return the share, from 0 to 1, that `0.5%` means."""
    share = _scaled(value, _SHARE, {"%": 0.01}, "expected a share such as 0.5%")
    if share > 1:
        raise ValueError("must be at most 100%")
    return share


def _scaled(value: object, pattern: re.Pattern[str], units: Mapping[str, float], what: str) -> float:
    if isinstance(value, str) and (match := pattern.fullmatch(value.strip())):
        return float(match[1]) * units[match[2]]
    raise ValueError(what)


def parse_pool4(value: object) -> IPv4Network:
    """Return the prefix that `10.0.0.0/20` means."""
    pool = _prefix(value, "expected an IPv4 prefix such as 10.0.0.0/20")
    if not isinstance(pool, IPv4Network):
        raise ValueError("expected an IPv4 prefix such as 10.0.0.0/20")  # noqa: TRY004 - pydantic takes ValueError
    return pool


def parse_pool6(value: object) -> IPv6Network:
    """Return the prefix that `fd00:64::/64` means."""
    pool = _prefix(value, "expected an IPv6 prefix such as fd00:64::/64")
    if not isinstance(pool, IPv6Network):
        raise ValueError("expected an IPv6 prefix such as fd00:64::/64")  # noqa: TRY004 - pydantic takes ValueError
    return pool


def parse_prefix(value: object) -> Prefix:
    """Return the prefix, of either family, that a text means."""
    return _prefix(value, "expected a prefix such as 10.0.0.0/20 or fd00:64::/64")


def parse_address(value: object) -> Address:
    """Return the address, of either family, that a text means."""
    if isinstance(value, Address):
        return value
    try:
        return ip_address(value) if isinstance(value, str) and "%" not in value else _refuse()
    except ValueError:
        raise ValueError("expected an address such as 10.64.0.9 or fd00:64::9") from None


def parse_interface(value: object) -> Interface:
    """Return the address with the length of its prefix, of either family, that a text means."""
    if isinstance(value, Interface):
        return value
    try:
        return ip_interface(value) if isinstance(value, str) and "/" in value and "%" not in value else _refuse()
    except ValueError:
        raise ValueError("expected an address with a length such as 192.168.1.1/24 or fd00:1::1/64") from None


def parse_mac(value: object) -> str:
    """Return a unicast MAC in lower case."""
    if isinstance(value, str) and _MAC.fullmatch(value.lower()) and not int(value[:2], 16) & 1:
        return value.lower()
    raise ValueError("expected a unicast MAC such as 02:00:00:00:00:01")


def _prefix(value: object, what: str) -> Prefix:
    if isinstance(value, Prefix):
        return value
    try:
        found = ip_network(value, strict=False) if isinstance(value, str) and "/" in value else _refuse()
    except ValueError:
        raise ValueError(what) from None
    if ip_address(str(value).split("/")[0]) != found.network_address:
        raise ValueError(f"has bits set beyond its length; expected {found}")
    return found


def _refuse() -> NoReturn:
    raise ValueError


def at_least(smallest: str) -> AfterValidator:
    """Return the rule that a size is no smaller than `smallest`."""

    def check(size: int) -> int:
        if size < parse_size(smallest):
            raise ValueError(f"must be at least {smallest}")
        return size

    return AfterValidator(check)


def _text(pattern: str, *examples: str) -> WithJsonSchema:
    """Return what the JSON Schema says of a text: what it looks like as a whole."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "examples": list(examples)})


_ADDRESS4: Final = r"[0-9]+(\.[0-9]+){3}"
_ADDRESS6: Final = r"[0-9a-fA-F]*:[0-9a-fA-F:.]*"
_LENGTH: Final = "/[0-9]+"
_ANY: Final = f"({_ADDRESS4}|{_ADDRESS6})"

Size = Annotated[int, BeforeValidator(parse_size), _text(_SIZE.pattern, "640MiB", "1GiB")]
Duration = Annotated[float, BeforeValidator(parse_duration), _text(_DURATION.pattern, "200ms", "9s")]
Rate = Annotated[int, BeforeValidator(parse_rate), _text(_RATE.pattern, "100Mbit", "1Gbit")]
Share = Annotated[float, BeforeValidator(parse_share), _text(_SHARE.pattern, "0.5%")]
Pool4 = Annotated[IPv4Network, BeforeValidator(parse_pool4), _text(_ADDRESS4 + _LENGTH, "10.0.0.0/20")]
Pool6 = Annotated[IPv6Network, BeforeValidator(parse_pool6), _text(_ADDRESS6 + _LENGTH, "fd00:64::/64")]
AnyPrefix = Annotated[Prefix, BeforeValidator(parse_prefix), _text(_ANY + _LENGTH, "10.0.0.0/20", "fd00:64::/64")]
AnyAddress = Annotated[Address, BeforeValidator(parse_address), _text(_ANY, "10.64.0.9", "fd00:64::9")]
AnyInterface = Annotated[
    Interface, BeforeValidator(parse_interface), _text(_ANY + _LENGTH, "192.168.1.1/24", "fd00:1::1/64")
]
Mac = Annotated[str, BeforeValidator(parse_mac), _text("[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", "02:00:00:00:00:01")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
RoleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
Asn = Annotated[int, Field(ge=1, le=4294967294)]
Mtu = Annotated[int, Field(ge=1280, le=9216)]
"""IPv6 needs 1280 bytes (RFC 8200, 5)."""
