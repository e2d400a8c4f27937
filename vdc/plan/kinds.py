"""Every kind of device and the pure function that plans one: to add a kind, add an entry here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from vdc.model.topology import Topology
from vdc.plan.context import PlanContext
from vdc.plan.externals import plan_external
from vdc.plan.internet import plan_internet
from vdc.plan.resources import Resource
from vdc.plan.routers import plan_link, plan_router
from vdc.plan.segments import plan_segment
from vdc.plan.servers import plan_server

Device = TypeVar("Device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[Device]):
    """A kind of device: where a topology keeps them, and what one is made of."""

    devices: Callable[[Topology], Sequence[Device]]
    plan: Callable[[Device, Topology, PlanContext], Iterable[Resource]]

    def resources(self, topology: Topology, context: PlanContext) -> Iterator[Resource]:
        """Yield what all devices of this kind are made of."""
        for device in self.devices(topology):
            yield from self.plan(device, topology, context)


KINDS: Mapping[str, Kind[Any]] = MappingProxyType(
    {
        "router": Kind(devices=lambda topology: topology.routers, plan=plan_router),
        "link": Kind(devices=lambda topology: topology.links, plan=plan_link),
        "segment": Kind(devices=lambda topology: topology.segments, plan=plan_segment),
        "server": Kind(devices=lambda topology: topology.servers, plan=plan_server),
        "external": Kind(devices=lambda topology: topology.externals, plan=plan_external),
        "internet": Kind(
            devices=lambda topology: (topology.internet,) if topology.internet else (), plan=plan_internet
        ),
    }
)
