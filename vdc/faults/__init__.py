"""Faults, what they strike and what proves them: the vocabulary of scenarios."""

from vdc.faults.api_server import ApiServerUnreachable
from vdc.faults.base import Fault, Inject, injected
from vdc.faults.components import ComponentsStopped
from vdc.faults.links import LinkCut, LinkDisturbed, LinkOneWay
from vdc.faults.nodes import Cordoned
from vdc.faults.partition import Isolated, Partitioned, partition
from vdc.faults.power import RackOff, ServerCrash
from vdc.faults.routers import RouterOff, RoutersOff

__all__ = [
    "ApiServerUnreachable",
    "ComponentsStopped",
    "Cordoned",
    "Fault",
    "Inject",
    "Isolated",
    "LinkCut",
    "LinkDisturbed",
    "LinkOneWay",
    "Partitioned",
    "RackOff",
    "RouterOff",
    "RoutersOff",
    "ServerCrash",
    "injected",
    "partition",
]
