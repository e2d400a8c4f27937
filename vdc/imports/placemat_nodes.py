"""placemat's nodes as servers beside the fabric: what several have in common becomes a role."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from vdc.imports.documents import Document
from vdc.imports.draft import DEFAULT_RELEASE, Draft
from vdc.imports.formats import Part, Resource
from vdc.imports.placemat_disks import Disks, read_disks
from vdc.imports.placemat_format import Node
from vdc.imports.units import role_name, size
from vdc.model.yamltree import Path

_QEMU_MEMORY: Final = "128M"
"""What QEMU gives a guest that does not say."""

FIELDS: Final[Mapping[str, str]] = {
    "cpu": "cpu",
    "smp": "smp",
    "memory": "memory",
    "numa": "numa",
    "queues": "network-device-queue",
    "uefi": "uefi",
    "smbios": "smbios",
    "ignition": "ignition",
    "image": "volumes",
    "volumes": "volumes",
    "user_data": "volumes",
    "network_config": "volumes",
}
"""Which of a node's fields a key of a server comes from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A node: what it has that others may have as well (`common`), what is its `own`, and its `role`, if it has one.

    One that is `configured` runs a release of ours.
    """

    node: Resource[Node]
    common: Mapping[str, object]
    own: Mapping[str, object]
    configured: bool
    role: str | None = None

    def device(self, interfaces: Sequence[Mapping[str, object]]) -> dict[str, object]:
        """Return it as a device; one without a role says itself what it has."""
        spec = self.own if self.role else {**self.common, **self.own}
        made: dict[str, object] = {"kind": "server"}
        made |= {"role": self.role} if self.role else {}
        made |= {"server": spec} if spec else {}
        return made | ({"interfaces": interfaces} if interfaces else {})


def read_guests(draft: Draft, nodes: Sequence[Resource[Node]]) -> tuple[Guest, ...]:
    """Return the nodes as guests, and tell what of them is lost. Those that have much in common share a role."""
    plain = [_guest(draft, node) for node in nodes]
    alike: dict[str, list[Guest]] = {}
    for guest in plain:
        alike.setdefault(json.dumps(guest.common), []).append(guest)
    names = _role_names([each for each in alike.values() if len(each) > 1])
    roles = {guest.node.spec.name: role for role, group in names for guest in group}
    return tuple(
        Guest(node=each.node, common=each.common, own=each.own, configured=each.configured, role=role)
        for each in plain
        for role in (roles.get(each.node.spec.name),)
    )


def put_roles(draft: Draft, guests: Sequence[Guest]) -> None:
    """Add the roles of guests."""
    roles: dict[str, object] = {}
    for guest in guests:
        if guest.role is not None and guest.role not in roles:
            roles[guest.role] = guest.common
            trace(draft, ("roles", guest.role), guest.node.document)
    draft.put("roles", roles, comment="What several servers have in common.")


def trace(draft: Draft, path: Path, document: Document) -> None:
    """Remember where the keys of a server at `path` come from."""
    draft.comes_from(path, document)
    for key, field in FIELDS.items():
        draft.comes_from((*path, key), document, (field,))


def _role_names(groups: Sequence[Sequence[Guest]]) -> Iterator[tuple[str, Sequence[Guest]]]:
    """Yield for each group a role called as most of its names say, with a number if another is called so."""
    taken: set[str] = set()
    for group in groups:
        words = [role_name(guest.node.spec.name) for guest in group]
        word = max(words, key=words.count)
        role = next(name for number in count(1) if (name := word if number == 1 else f"{word}{number}") not in taken)
        taken.add(role)
        yield role, group


def _guest(draft: Draft, node: Resource[Node]) -> Guest:
    spec, document = node.spec, node.document
    if spec.tpm:
        draft.lost(document, ("tpm",), " yet: a TPM is not built yet")
    disks = read_disks(draft, document, spec.volumes)
    memory = spec.memory or (_QEMU_MEMORY if disks.image else None)
    smbios = {key: value for key, value in spec.smbios.model_dump().items() if value} if spec.smbios else {}
    of_all = {"smbios": smbios} if smbios and "serial" not in smbios else {}
    of_one = {"smbios": smbios} if "serial" in smbios else {}
    return Guest(
        node=node,
        common=hardware(spec.cpu, spec.smp, memory) | _extras(spec) | of_all | disks.common,
        own=of_one | disks.seed | _ignition(draft, node, disks),
        configured=disks.image is None,
    )


def _ignition(draft: Draft, node: Resource[Node], disks: Disks) -> dict[str, object]:
    spec, document = node.spec, node.document
    release = draft.options.release or DEFAULT_RELEASE
    if disks.image is None and not any(volume.kind == "image" for volume in spec.volumes):
        how = f"boots from the network without an image, which is not built yet; here it runs {release}"
        draft.differs(document, ("volumes",) if spec.volumes else (), how)
    if not spec.ignition:
        return {}
    if disks.image is None:
        draft.lost(document, ("ignition",), f": {release} does not read it")
        return {}
    return {"ignition": draft.options.relocate(spec.ignition)}


def hardware(cpu: int | None, smp: Part | None, memory: str | None) -> dict[str, object]:
    """Return CPUs and memory as ours; `-m` of QEMU is in MiB where it has no unit."""
    cpus: dict[str, object] = {"cpu": cpu} if smp is None else {"smp": smp.model_dump(exclude_none=True)}
    return cpus | ({"memory": size(memory, unit="m")} if memory else {})


def _extras(spec: Node) -> dict[str, object]:
    found: dict[str, object] = {}
    if spec.numa and (spec.numa.nodes or 0) > 1:
        found["numa"] = spec.numa.nodes
    if (spec.network_device_queue or 0) > 1:
        found["queues"] = spec.network_device_queue
    return found | ({"uefi": True} if spec.uefi else {})
