"""Rules of Kubernetes: a control plane that survives a rack, and nodes that have room and pod addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from vdc.model.checks.base import Finding, Rack, Survey
from vdc.model.checks.hardware import users_own
from vdc.model.expand.hardware import DEFAULT_MEMORY
from vdc.model.expand.shape import Place
from vdc.model.releases import catalogue
from vdc.model.words import suggest
from vdc.model.yamltree import Path

SIZES: Final = (1, 3, 5)
"""How many members a control plane may have: an even one survives no more than one less (etcd.io, FAQ)."""

LEAST_CONTROL_PLANE: Final = 1 << 30
LEAST_WORKER: Final = 512 << 20
"""Bytes of memory."""

_LARGEST_SERVICES, _SMALLEST_SERVICES = 12, 28
"""Lengths: kube-apiserver takes at most 20 bits for services."""

_SECTION: Final = ("kubernetes",)
_ROLE: Final = (*_SECTION, "control_plane")
_URL: Final = re.compile(r"https?://[^/\s]+(/\S*)?")


def known_version(survey: Survey) -> Iterator[Finding]:
    """The release has Kubernetes."""
    spec = survey.spec
    known = catalogue()
    if spec.kubernetes is None or spec.release not in known or known[spec.release].kubernetes is not None:
        return
    able = ", ".join(name for name, release in known.items() if release.kubernetes is not None)
    message = f"the release {spec.release} has no Kubernetes; these have: {able}"
    yield Finding(path=_SECTION, message=message, because=(("release",),), at_key=True)


def ipv4(survey: Survey) -> Iterator[Finding]:
    """IPv4 is routed."""
    if survey.spec.kubernetes is not None and survey.spec.family == "ipv6":
        yield Finding(path=_SECTION, message="needs IPv4, and `family` is ipv6", because=(("family",),), at_key=True)


def control_plane(survey: Survey) -> Iterator[Finding]:
    """The role of the control plane is there, and has 1, 3 or 5 servers."""
    spec = survey.spec
    if spec.kubernetes is None:
        return
    role = spec.kubernetes.control_plane
    because: tuple[Path, ...] = (("roles",), ("racks",), ("roles", role))
    if role not in spec.roles:
        message = f'unknown role "{role}"{suggest(role, spec.roles)}'
        yield Finding(path=_ROLE, message=message, because=because)
        return
    count = sum(len(_planes(rack, role)) for rack in survey.racks)
    if count not in SIZES:
        message = f'the control plane is the servers of the role "{role}": expected 1, 3 or 5 of them, not {count}'
        yield Finding(path=_ROLE, message=message, because=because)


def spread(survey: Survey) -> Iterator[Finding]:
    """No rack has two members of the control plane while another has none: as few as can be are lost with a rack."""
    if survey.spec.kubernetes is None:
        return
    role = survey.spec.kubernetes.control_plane
    counts = [(rack, len(_planes(rack, role))) for rack in survey.racks]
    empty = next((rack.laid.number for rack, count in counts if count == 0), None)
    told: set[Path] = set()
    for rack, count in counts:
        if count > 1 and empty is not None and rack.path not in told:
            told.add(rack.path)
            message = (
                f"rack {rack.laid.number} has {count} of the control plane, and rack {empty} has none: spread them"
            )
            path = (*rack.path, "servers", role)
            yield Finding(path=path, message=message, because=(("racks",), _ROLE))


def pod_addresses(survey: Survey) -> Iterator[Finding]:
    """Every node has a block of pod addresses."""
    for path, place in _nodes(survey):
        if not place.spec.pod_blocks:
            message = f"{place.name} is a node of Kubernetes, and has no addresses for pods: `pod_blocks: 1`"
            yield Finding(path=path, message=message, because=(_SECTION,))


def memory(survey: Survey) -> Iterator[Finding]:
    """Every node has the memory that Kubernetes takes itself."""
    for path, place in _nodes(survey):
        plane = survey.spec.kubernetes is not None and place.role == survey.spec.kubernetes.control_plane
        least, what = (LEAST_CONTROL_PLANE, "the control plane") if plane else (LEAST_WORKER, "a node")
        has = place.spec.memory or DEFAULT_MEMORY
        if has < least:
            message = f"{place.name} has {has >> 20}MiB of memory, and {what} needs {least >> 20}MiB"
            yield Finding(path=(*path, "memory"), message=message, because=(_SECTION, path))


def services(survey: Survey) -> Iterator[Finding]:
    """The pool of services is of a size that kube-apiserver takes."""
    pool = survey.spec.pools.service
    if survey.spec.kubernetes is None or _LARGEST_SERVICES <= pool.prefixlen <= _SMALLEST_SERVICES:
        return
    message = f"services of Kubernetes need a prefix of a length from {_LARGEST_SERVICES} to {_SMALLEST_SERVICES}"
    yield Finding(path=("pools", "service"), message=f"{message}, not {pool.prefixlen}", because=(_SECTION,))


def mirrors(survey: Survey) -> Iterator[Finding]:
    """A mirror of a registry is a URL."""
    if survey.spec.kubernetes is None:
        return
    for host, url in survey.spec.kubernetes.registry_mirrors.items():
        if not _URL.fullmatch(url):
            message = f'expected a URL such as https://mirror.example.org, not "{url}"'
            yield Finding(path=(*_SECTION, "registry_mirrors", host), message=message)


def _planes(rack: Rack, role: str) -> list[Place]:
    return [place for place in rack.laid.places if place.role == role and not users_own(place.spec)]


def _nodes(survey: Survey) -> Iterator[tuple[Path, Place]]:
    """Yield the first server of each role that a node may be of, and of each entry of racks and override of its own."""
    if survey.spec.kubernetes is None:
        return
    told: set[Path] = set()
    for rack in survey.racks:
        for place in rack.laid.places:
            path = _described(survey, rack, place)
            if path not in told and place.role in survey.spec.roles and not users_own(place.spec):
                told.add(path)
                yield path, place


def _described(survey: Survey, rack: Rack, place: Place) -> Path:
    """Return the nearest place of the file that says what a server has."""
    if place.name in survey.spec.overrides:
        return "overrides", place.name
    return (*rack.path, "roles", place.role) if place.role in rack.spec.roles else ("roles", place.role)
