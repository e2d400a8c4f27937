"""The language of topology files: how the fabric routes, and where addresses and AS numbers come from."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import Field

from vdc.model.section import Section
from vdc.model.values import Asn, Duration, Pool4, Pool6


class BfdSpec(Section):
    """BFD (RFC 5880); without an interval it follows from the size of the data centre and the host's speed."""

    enabled: bool = True
    """Whether BFD is on; if not, only the hold time tells a dead neighbour."""
    interval: Duration | None = None
    """Between two packets; by default it follows from the size of the data centre and the host's speed."""
    multiplier: Annotated[int, Field(ge=2, le=50)] = 5
    """How many packets may be missed."""


class RoutingSpec(Section):
    """How the fabric routes.

    `rack: ibgp` gives a rack one AS number, with its ToRs as route reflectors. Without `bfd` dead neighbours are left
    to the hold time. `server_bfd` and `server_hold` are the timers between ToRs and servers. `ecmp` is how many next
    hops a route has at most. With `exposed`, borders learn aggregates of exposed pools and nothing else from inside.
    """

    rack: Literal["ebgp", "ibgp"] = "ebgp"
    """`ebgp`: every server is an AS of its own; `ibgp`: a rack is one, with its ToRs as route reflectors (RFC 4456)."""
    ecmp: Annotated[int, Field(ge=1, le=256)] = 64
    """How many next hops a route has at most."""
    graceful_restart: bool = False
    """Whether routes outlive the restart of BIRD (RFC 4724)."""
    bfd: BfdSpec = BfdSpec()
    """BFD between routers."""
    hold: Duration = 9.0
    """The hold time between routers, in whole seconds from 3 (RFC 4271)."""
    server_bfd: BfdSpec = BfdSpec()
    """BFD between ToRs and servers."""
    server_hold: Duration | None = None
    """The hold time between ToRs and servers; by default it follows from the host's speed."""
    exposed: bool = False
    """Whether borders learn aggregates of exposed pools from inside, and nothing else."""


class PoolsSpec(Section):
    """Where IPv4 addresses come from. `segment_length` is the prefix length of each ToR's segment.

    Without `load_balancer`, `bastion`, `egress` and `global` there are no such addresses. `pod_length` is that of a
    block of pod addresses.
    """

    link: Pool4 = IPv4Network("10.0.0.0/20")
    """A /31 or /127 for each link between routers."""
    loopback: Pool4 = IPv4Network("10.1.0.0/20")
    """An address for each router."""
    segment: Pool4 = IPv4Network("10.2.0.0/16")
    """A prefix for each ToR and its servers."""
    segment_length: Annotated[int, Field(ge=8, le=30)] = 26
    """The length of that prefix."""
    node: Pool4 = IPv4Network("10.64.0.0/16")
    """An address for each server: what it is known by, whichever ToR is up."""
    pod: Pool4 = IPv4Network("10.80.0.0/12")
    """Blocks of pod addresses."""
    pod_length: Annotated[int, Field(ge=8, le=32)] = 26
    """The length of a block."""
    service: Pool4 = IPv4Network("10.96.0.0/16")
    """Addresses of services of a cluster; no device has one."""
    external: Pool4 = IPv4Network("10.128.0.0/24")
    """Borders and external clients."""
    operation: Pool4 = IPv4Network("10.129.0.0/24")
    """Borders and the tester's place."""
    oob: Pool4 = IPv4Network("10.130.0.0/16")
    """The management network."""
    internet: Pool4 = IPv4Network("10.131.0.0/30")
    """The link between the first border and the NAT."""
    load_balancer: Pool4 | None = None
    """Exposed addresses of load balancers."""
    bastion: Pool4 | None = None
    """Exposed addresses of bastions."""
    egress: Pool4 | None = None
    """Exposed addresses by which servers reach the outside."""
    global_: Annotated[Pool4 | None, Field(alias="global")] = None
    """Exposed addresses with a meaning outside the data centre."""


class Pools6Spec(Section):
    """Where IPv6 addresses come from (RFC 4193); used where `family` is `ipv6` or `dual`."""

    link: Pool6 = IPv6Network("fd00:0:0:1::/64")
    """A /31 or /127 for each link between routers."""
    loopback: Pool6 = IPv6Network("fd00:0:0:2::/64")
    """An address for each router."""
    segment: Pool6 = IPv6Network("fd00:2::/40")
    """A prefix for each ToR and its servers."""
    segment_length: Annotated[int, Field(ge=16, le=120)] = 64
    """The length of that prefix."""
    node: Pool6 = IPv6Network("fd00:0:0:64::/64")
    """An address for each server: what it is known by, whichever ToR is up."""
    pod: Pool6 = IPv6Network("fd00:80::/32")
    """Blocks of pod addresses."""
    pod_length: Annotated[int, Field(ge=16, le=128)] = 64
    """The length of a block."""
    service: Pool6 = IPv6Network("fd00:0:0:96::/112")
    """Addresses of services of a cluster; no device has one."""
    external: Pool6 = IPv6Network("fd00:0:0:128::/64")
    """Borders and external clients."""
    operation: Pool6 = IPv6Network("fd00:0:0:129::/64")
    """Borders and the tester's place."""
    oob: Pool6 = IPv6Network("fd00:0:0:130::/64")
    """The management network."""
    load_balancer: Pool6 | None = None
    """Exposed addresses of load balancers."""
    bastion: Pool6 | None = None
    """Exposed addresses of bastions."""
    egress: Pool6 | None = None
    """Exposed addresses by which servers reach the outside."""
    global_: Annotated[Pool6 | None, Field(alias="global")] = None
    """Exposed addresses with a meaning outside the data centre."""


class AsnSpec(Section):
    """AS numbers: one for all borders, one for all super-spines, one for the spines of each pod from `spine` up.

    Each ToR has its own from `tor` up, or each rack with `routing.rack: ibgp`, and each server from `server` up;
    devices beside the fabric from `device` up.
    """

    border: Asn = 4200000000
    """That of all borders."""
    spine: Asn = 4200000001
    """That of all spines; with pods, that of the first pod's, and so on."""
    superspine: Asn = 4200009000
    """That of all super-spines."""
    device: Asn = 4200009100
    """That of the first router beside the fabric, and so on."""
    tor: Asn = 4200010000
    """That of the first ToR, and so on; with `routing.rack: ibgp`, that of the first rack."""
    server: Asn = 4200100000
    """That of the first server, and so on."""


PoolName = Literal[
    "link",
    "loopback",
    "segment",
    "node",
    "pod",
    "service",
    "external",
    "operation",
    "oob",
    "internet",
    "load_balancer",
    "bastion",
    "egress",
    "global",
]
