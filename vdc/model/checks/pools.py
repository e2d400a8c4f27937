"""Rules of prefixes: pools that are used do not overlap, and flat networks have prefixes of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_network
from itertools import combinations
from typing import Final, get_args

from vdc.model import addressing
from vdc.model.checks.base import Finding, Survey
from vdc.model.ip import Prefix
from vdc.model.spec import EXPOSED, PoolName, Pools6Spec, PoolsSpec
from vdc.model.topology import Tier
from vdc.model.yamltree import Path

POOLS: Final[tuple[PoolName, ...]] = get_args(PoolName)

_SPECIAL: Final = {
    "loopback addresses": (ip_network("127.0.0.0/8"), ip_network("::1/128")),
    "link-local addresses": (ip_network("169.254.0.0/16"), ip_network("fe80::/10")),
    "multicast addresses": (ip_network("224.0.0.0/4"), ip_network("ff00::/8")),
    "this host (RFC 1122, 3.2.1.3)": (ip_network("0.0.0.0/8"),),
}


def pool(pools: PoolsSpec | Pools6Spec, name: str) -> Prefix | None:
    """Return a pool by its name, if there is one."""
    found: Prefix | None = getattr(pools, "global_" if name == "global" else name, None)
    return found


def sections(survey: Survey) -> Iterator[tuple[str, PoolsSpec | Pools6Spec]]:
    """Yield the sections of pools of the families that are routed, by their key."""
    if survey.spec.family != "ipv6":
        yield "pools", survey.spec.pools
    if survey.spec.family != "ipv4":
        yield "pools6", survey.spec.pools6


def segments_used(survey: Survey) -> bool:
    """Return whether anything stands on the network of a ToR."""
    return bool(survey.servers) or any(survey.routers.get(name) is Tier.TOR for name in survey.guests)


def used(survey: Survey) -> Collection[str]:
    """Return the names of the pools from which something takes addresses."""
    spec = survey.spec
    servers, guests = bool(survey.servers), survey.guests
    wants = {
        "link": spec.fabric.links == "numbered" and bool(survey.routers),
        "loopback": bool(survey.routers),
        "segment": segments_used(survey),
        "node": servers,
        "pod": any(server.pod_blocks for _, server in survey.hardware),
        "service": spec.kubernetes is not None,
        "external": spec.external.clients > 0 or guests[addressing.EXTERNAL] > 0,
        "operation": spec.operation.clients > 0 or guests[addressing.OPERATION] > 0,
        "oob": spec.oob.servers or guests[addressing.OOB] > 0,
        "internet": spec.internet.nat,
    }
    return {name for name, wanted in wants.items() if wanted} | set(EXPOSED)


def prefixes(survey: Survey) -> Mapping[Path, tuple[str, Prefix]]:
    """Return every prefix that is used or written down, by its place, with how it is called."""
    found: dict[Path, tuple[str, Prefix]] = {}
    there = used(survey)
    for key, pools in sections(survey):
        for pool_name in POOLS:
            written = ("global_" if pool_name == "global" else pool_name) in pools.model_fields_set
            prefix = pool(pools, pool_name)
            if prefix is not None and (written or pool_name in there):
                found[key, pool_name] = (f"the pool {pool_name}", prefix)
    for name, network in survey.spec.networks.items():
        for number, prefix in enumerate(network.prefixes):
            found["networks", name, "prefixes", number] = (f"the network {name}", prefix)
    return found


def separate(survey: Survey) -> Iterator[Finding]:
    """No two prefixes overlap."""
    for (one, (first_name, first)), (other, (name, second)) in combinations(prefixes(survey).items(), 2):
        if first.version == second.version and first.overlaps(second):
            here, what, there, prefix, its = other, second, one, first, first_name
            if _written(survey, one) and not _written(survey, other):
                here, what, there, prefix, its = one, first, other, second, name
            yield Finding(path=here, message=f"{what} overlaps with {its}, {prefix}", because=(there,))


def _written(survey: Survey, path: Path) -> bool:
    if path[0] == "networks":
        return True
    pools = survey.spec.pools if path[0] == "pools" else survey.spec.pools6
    return ("global_" if path[1] == "global" else path[1]) in pools.model_fields_set


def ordinary(survey: Survey) -> Iterator[Finding]:
    """No prefix is of addresses that mean something else."""
    for path, (_, prefix) in prefixes(survey).items():
        for what, kinds in _SPECIAL.items():
            if any(kind.version == prefix.version and kind.overlaps(prefix) for kind in kinds):
                yield Finding(path=path, message=f"{prefix} has {what}, which no device can be given")


def one_of_each(survey: Survey) -> Iterator[Finding]:
    """A flat network has at most one prefix of each family."""
    for name, network in survey.spec.networks.items():
        seen: set[int] = set()
        for number, prefix in enumerate(network.prefixes):
            if prefix.version in seen:
                message = f"a network has one prefix of each family; there is one of IPv{prefix.version} already"
                yield Finding(path=("networks", name, "prefixes", number), message=message)
            seen.add(prefix.version)
