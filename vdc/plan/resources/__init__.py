"""What will exist on the host, item by item, as data. A plan is a tuple of these in no particular order.

Every resource has an `id` (unique in the plan) and says which others it `requires`; the engine derives the order.
Paths are absolute. To add a kind of resource: a class in one of the modules here, a line in `Resource`, an executor
in `vdc/host`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from vdc.plan.resources.disks import (
    ConfigDisk,
    DataDisk,
    IgnitionFile,
    Nvram,
    Overlay,
    SeedDisk,
    SharedFolder,
    VolumeDisk,
)
from vdc.plan.resources.network import Bridge, DefaultRoute, Impairment, Loopback, Namespace, Nat, Tap, Veth
from vdc.plan.resources.processes import Bird, ConsoleRecorder, Domain, Libvirtd

Resource = (
    Namespace
    | Bridge
    | Veth
    | Tap
    | Loopback
    | DefaultRoute
    | Impairment
    | Nat
    | Bird
    | Libvirtd
    | Overlay
    | DataDisk
    | ConfigDisk
    | VolumeDisk
    | SharedFolder
    | SeedDisk
    | IgnitionFile
    | Nvram
    | Domain
    | ConsoleRecorder
)

RESOURCES: Mapping[str, type[Resource]] = MappingProxyType({cls.__name__: cls for cls in get_args(Resource)})
