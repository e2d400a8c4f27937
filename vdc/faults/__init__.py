"""Faults, what they strike and what proves them: the vocabulary of scenarios."""

from vdc.faults.announcing import RouteHijacked, RouteWithdrawn
from vdc.faults.api_server import ApiServerUnreachable
from vdc.faults.base import Fault, Inject, injected
from vdc.faults.clocks import ClockSkewed, ClockStepped
from vdc.faults.components import ComponentsStopped
from vdc.faults.daemons import BirdFrozen, BirdKilled, GracefulRestart, SessionShut
from vdc.faults.disks import DiskDamaged, DiskErrors, DiskFull, DiskGone, PowerLost
from vdc.faults.feeds import Feed
from vdc.faults.flapping import LinkFlap
from vdc.faults.hangs import BootStorm, NmiPanic, ServerCrash, ServerPaused, ServersReset
from vdc.faults.links import LinkCut, LinkDisturbed, LinkOneWay
from vdc.faults.load import CpuStolen, FilesExhausted, ForksExhausted, MemoryPressure
from vdc.faults.nodes import Cordoned
from vdc.faults.partition import Isolated, Partitioned, partition
from vdc.faults.power import FeedOff, PowerFlap, RackOff, ServersOff, SiteDark
from vdc.faults.processes import RestartStorm, ServiceFrozen, ServiceKilled, ServiceStopped
from vdc.faults.routers import RouterOff, RoutersOff
from vdc.faults.slow_disks import DiskSlow
from vdc.faults.trust import CertificateExpired, RegistryGone

__all__ = [
    "ApiServerUnreachable",
    "BirdFrozen",
    "BirdKilled",
    "BootStorm",
    "CertificateExpired",
    "ClockSkewed",
    "ClockStepped",
    "ComponentsStopped",
    "Cordoned",
    "CpuStolen",
    "DiskDamaged",
    "DiskErrors",
    "DiskFull",
    "DiskGone",
    "DiskSlow",
    "Fault",
    "Feed",
    "FeedOff",
    "FilesExhausted",
    "ForksExhausted",
    "GracefulRestart",
    "Inject",
    "Isolated",
    "LinkCut",
    "LinkDisturbed",
    "LinkFlap",
    "LinkOneWay",
    "MemoryPressure",
    "NmiPanic",
    "Partitioned",
    "PowerFlap",
    "PowerLost",
    "RackOff",
    "RegistryGone",
    "RestartStorm",
    "RouteHijacked",
    "RouteWithdrawn",
    "RouterOff",
    "RoutersOff",
    "ServerCrash",
    "ServerPaused",
    "ServersOff",
    "ServersReset",
    "ServiceFrozen",
    "ServiceKilled",
    "ServiceStopped",
    "SessionShut",
    "SiteDark",
    "injected",
    "partition",
]
