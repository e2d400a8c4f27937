"""The kinds of faults there are, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from vdc.faults.announcing import RouteHijacked, RouteWithdrawn
from vdc.faults.api_server import ApiServerUnreachable
from vdc.faults.base import Fault
from vdc.faults.clocks import ClockSkewed, ClockStepped
from vdc.faults.components import ComponentsStopped
from vdc.faults.daemons import BirdFrozen, BirdKilled, GracefulRestart, SessionShut
from vdc.faults.disks import DiskDamaged, DiskErrors, DiskFull, DiskGone, PowerLost
from vdc.faults.flapping import LinkFlap
from vdc.faults.hangs import BootStorm, NmiPanic, ServerCrash, ServerPaused, ServersReset
from vdc.faults.links import LinkCut, LinkDisturbed
from vdc.faults.load import CpuStolen, FilesExhausted, ForksExhausted, MemoryPressure
from vdc.faults.nodes import Cordoned
from vdc.faults.partition import Isolated, Partitioned
from vdc.faults.power import FeedOff, PowerFlap, RackOff, ServersOff, SiteDark
from vdc.faults.processes import RestartStorm, ServiceFrozen, ServiceKilled, ServiceStopped
from vdc.faults.routers import RoutersOff
from vdc.faults.slow_disks import DiskSlow
from vdc.faults.trust import CertificateExpired, RegistryGone

KINDS: Final[Mapping[str, type[Fault]]] = MappingProxyType(
    {
        "api-server-unreachable": ApiServerUnreachable,
        "bird-frozen": BirdFrozen,
        "bird-killed": BirdKilled,
        "boot-storm": BootStorm,
        "certificate-expired": CertificateExpired,
        "clock-skewed": ClockSkewed,
        "clock-stepped": ClockStepped,
        "components-stopped": ComponentsStopped,
        "cordoned": Cordoned,
        "cpu-stolen": CpuStolen,
        "disk-damaged": DiskDamaged,
        "disk-errors": DiskErrors,
        "disk-full": DiskFull,
        "disk-gone": DiskGone,
        "disk-slow": DiskSlow,
        "feed-off": FeedOff,
        "files-exhausted": FilesExhausted,
        "forks-exhausted": ForksExhausted,
        "graceful-restart": GracefulRestart,
        "isolated": Isolated,
        "link-cut": LinkCut,
        "link-disturbed": LinkDisturbed,
        "link-flap": LinkFlap,
        "memory-pressure": MemoryPressure,
        "nmi-panic": NmiPanic,
        "partitioned": Partitioned,
        "power-flap": PowerFlap,
        "power-lost": PowerLost,
        "rack-off": RackOff,
        "registry-gone": RegistryGone,
        "restart-storm": RestartStorm,
        "route-hijacked": RouteHijacked,
        "route-withdrawn": RouteWithdrawn,
        "routers-off": RoutersOff,
        "server-crash": ServerCrash,
        "server-paused": ServerPaused,
        "servers-off": ServersOff,
        "servers-reset": ServersReset,
        "service-frozen": ServiceFrozen,
        "service-killed": ServiceKilled,
        "service-stopped": ServiceStopped,
        "session-shut": SessionShut,
        "site-dark": SiteDark,
    }
)
"""To add one: its class, and a line here."""
