"""Faults, what they strike and what proves them: the vocabulary of scenarios."""

from vdc.faults.base import Fault, Inject, injected
from vdc.faults.components import ComponentStopped
from vdc.faults.links import LinkCut
from vdc.faults.partition import Isolated
from vdc.faults.power import RackOff, ServerCrash
from vdc.faults.routers import RouterOff, RoutersOff

__all__ = [
    "ComponentStopped",
    "Fault",
    "Inject",
    "Isolated",
    "LinkCut",
    "RackOff",
    "RouterOff",
    "RoutersOff",
    "ServerCrash",
    "injected",
]
