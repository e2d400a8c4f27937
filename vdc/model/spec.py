"""The language of topology files: counts, pools and roles, as typed data; all else is computed.

Everything but `name` and `racks` has a default. Sizes become bytes, pools `IPv4Network`. `vdc.model.load`
reads files; `vdc.model.checks` holds the rules that reach over more than one field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

RELEASES: Final = ("debian-12", "debian-13", "debian-12-stock")
"""The releases a topology may name; `vdc.plan.images` has an image for each. The last is for comparison only."""

_UNITS: Final = MappingProxyType({"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40})
_SIZE: Final = re.compile(r"(\d+) ?(KiB|MiB|GiB|TiB)")


def parse_size(value: object) -> int:
    """Return the bytes that `640MiB` or `1GiB` mean (IEC 80000-13 units). Raises ValueError."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())):
        return int(match[1]) * _UNITS[match[2]]
    raise ValueError("expected a size such as 640MiB or 1GiB")


def _at_least(smallest: str) -> AfterValidator:
    def check(size: int) -> int:
        if size < parse_size(smallest):
            raise ValueError(f"must be at least {smallest}")
        return size

    return AfterValidator(check)


def parse_pool(value: object) -> IPv4Network:
    """Return the prefix that `10.0.0.0/20` means. Raises ValueError."""
    if isinstance(value, IPv4Network):
        return value
    try:
        pool = IPv4Network(value, strict=False) if isinstance(value, str) and "/" in value else None
    except ValueError:
        pool = None
    if pool is None:
        raise ValueError("expected an IPv4 prefix such as 10.0.0.0/20")
    if str(value).split("/")[0] != str(pool.network_address):
        raise ValueError(f"has bits set beyond its length; expected {pool}")
    return pool


Size = Annotated[int, BeforeValidator(parse_size)]
Pool = Annotated[IPv4Network, BeforeValidator(parse_pool)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
RoleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")]
Asn = Annotated[int, Field(ge=1, le=4294967294)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FabricSpec(_Section):
    """How many routers each tier has: `tors` per rack, the others in all."""

    borders: Annotated[int, Field(ge=1, le=16)] = 1
    spines: Annotated[int, Field(ge=1, le=64)] = 2
    tors: Annotated[int, Field(ge=1, le=8)] = 2


class RackSpec(_Section):
    """`count` equal racks, each with so many servers of each role."""

    count: Annotated[int, Field(ge=1, le=1024)] = 1
    servers: Mapping[str, Annotated[int, Field(ge=0, le=256)]] = Field(default_factory=dict)


class RoleSpec(_Section):
    """What every server of a role has: virtual CPUs, memory and data disk in bytes."""

    cpu: Annotated[int, Field(ge=1, le=64)] = 1
    memory: Annotated[Size, _at_least("128MiB")] = 640 << 20
    data: Annotated[Size, _at_least("16MiB")] = 1 << 30


class ExternalSpec(_Section):
    """The network outside the borders: how many clients it has; none means no such network."""

    clients: Annotated[int, Field(ge=0, le=64)] = 1


class PoolsSpec(_Section):
    """Where addresses come from. `segment_length` is the prefix length of each ToR's segment."""

    link: Pool = IPv4Network("10.0.0.0/20")
    loopback: Pool = IPv4Network("10.1.0.0/20")
    segment: Pool = IPv4Network("10.2.0.0/16")
    segment_length: Annotated[int, Field(ge=8, le=30)] = 26
    node: Pool = IPv4Network("10.64.0.0/16")
    external: Pool = IPv4Network("10.128.0.0/24")


class AsnSpec(_Section):
    """AS numbers: one for all borders, one for all spines, the first of the ToRs' and of the servers'."""

    border: Asn = 4200000000
    spine: Asn = 4200000001
    tor: Asn = 4200010000
    server: Asn = 4200100000


class TopologySpec(_Section):
    """A whole topology file. `boot` is how servers first start: as clones of a booted template, or cold."""

    name: Name
    release: str = "debian-12"
    boot: Literal["fork", "cold"] = "fork"
    fabric: FabricSpec = FabricSpec()
    racks: Annotated[tuple[RackSpec, ...], Field(min_length=1, strict=False)]
    roles: Mapping[RoleName, RoleSpec] = Field(default_factory=dict)
    external: ExternalSpec = ExternalSpec()
    pools: PoolsSpec = PoolsSpec()
    asn: AsnSpec = AsnSpec()

    def rack_servers(self) -> tuple[Mapping[str, int], ...]:
        """Return for each rack, by number, how many servers of each role it has."""
        return tuple(group.servers for group in self.racks for _ in range(group.count))


PoolName = Literal["link", "loopback", "segment", "node", "external"]
POOLS: Final[tuple[PoolName, ...]] = ("link", "loopback", "segment", "node", "external")
