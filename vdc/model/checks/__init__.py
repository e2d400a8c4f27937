"""The rules of a topology that reach over fields. Each is a pure function from what a spec means to findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from vdc.model.checks import (
    addresses,
    asns,
    capacity,
    devices,
    hardware,
    kubernetes,
    links,
    names,
    policy,
    pools,
    references,
    script,
    shape,
)
from vdc.model.checks.base import Finding, Survey
from vdc.model.spec import TopologySpec

__all__ = ["CHECKS", "Finding", "Survey", "findings"]

CHECKS: Final[tuple[Callable[[Survey], Iterable[Finding]], ...]] = (
    addresses.different,
    addresses.interface_addresses,
    addresses.link_addresses,
    addresses.own_addresses,
    asns.own,
    asns.private,
    asns.separate,
    asns.whole_racks,
    capacity.big_networks,
    capacity.big_pools,
    capacity.big_segments,
    devices.configured,
    devices.gateways,
    devices.kinds,
    devices.macs,
    devices.overrides,
    devices.silent,
    devices.wires,
    hardware.cpus,
    hardware.directories,
    hardware.images,
    hardware.later,
    hardware.numa,
    hardware.seeds,
    hardware.serials,
    hardware.volumes,
    kubernetes.control_plane,
    kubernetes.ipv4,
    kubernetes.known_version,
    kubernetes.memory,
    kubernetes.mirrors,
    kubernetes.pod_addresses,
    kubernetes.services,
    kubernetes.spread,
    links.mtus,
    links.patterns,
    links.properties,
    names.instance_name,
    names.own_names,
    names.short_names,
    policy.announced,
    policy.exposed,
    policy.family,
    policy.timers,
    pools.one_of_each,
    pools.ordinary,
    pools.separate,
    references.known_device_classes,
    references.known_images,
    references.known_networks,
    references.known_overrides,
    references.known_release,
    references.known_roles,
    script.data,
    script.steps,
    shape.borders,
    shape.racks,
    shape.something,
    shape.tiers,
)
"""All of them, in no particular order."""


def findings(spec: TopologySpec) -> Iterator[Finding]:
    """Yield every rule that a spec breaks; of one that is far too large, only that."""
    too_large = list(shape.size(spec))
    if too_large:
        yield from too_large
        return
    survey = Survey(spec=spec)
    for check in CHECKS:
        yield from check(survey)
