"""The topologies that a lab builds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.spec import RackSpec
from vdc.model.topology import Topology

_SIX_FILE, SMALL_FILE = Path("topologies/six.yml"), Path("topologies/small.yml")
_FABRIC_FILE = Path("topologies/fabric.yml")


def small() -> Topology:
    """Return what `small.yml` means."""
    return expand(load(SMALL_FILE))


def six() -> Topology:
    """Return what `six.yml` means."""
    return expand(load(_SIX_FILE))


def one_of_six() -> Topology:
    """Return a topology of one server like those of `six.yml`."""
    spec = load(_SIX_FILE)
    (role,) = spec.racks[0].servers
    return expand(spec.model_copy(update={"racks": (RackSpec(count=1, servers={role: 1}),)}))


def stock(topology: Topology) -> Topology:
    """Return the same topology, whose servers boot as Debian made them."""
    return replace(topology, release=f"{topology.release}-stock")


def fabric() -> Topology:
    """Return what `fabric.yml` means."""
    return expand(load(_FABRIC_FILE))
