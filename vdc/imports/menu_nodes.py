"""placemat-menu's types of nodes as roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vdc.imports.draft import DEFAULT_RELEASE, Draft
from vdc.imports.formats import Resource
from vdc.imports.images import image_name
from vdc.imports.menu_format import Node, NodeSpec
from vdc.imports.placemat_nodes import hardware
from vdc.imports.units import plain_name, size

DISK_SIZE: Final = "50G"
"""What a disk of a worker has if nobody says."""

FIELDS: Final[Mapping[str, str]] = {
    "cpu": "cpu",
    "smp": "smp",
    "memory": "memory",
    "numa": "numa",
    "uefi": "uefi",
    "image": "image",
    "volumes": "disks",
}
"""Which of a node's fields a key of a role comes from."""

_MOST_QUEUES: Final = 16


def role(draft: Draft, node: Resource[Node]) -> dict[str, object]:
    """Return the role that a type of nodes means, and tell what of it is lost."""
    spec, worker = node.spec.spec, node.spec.type != "boot"
    _tell(draft, node, worker=worker)
    made = hardware(spec.cpu, spec.smp, spec.memory)
    if spec.numa and (spec.numa.nodes or 0) > 1:
        made["numa"] = spec.numa.nodes
    if worker:
        made["queues"] = min(_MOST_QUEUES, 2 * _cpus(spec))
    if spec.uefi:
        made["uefi"] = True
    return made | (_worker(spec) if worker else _boot(draft, node))


def _cpus(spec: NodeSpec) -> int:
    """Return how many CPUs a server has: placemat-menu gives its NICs twice as many queues."""
    if spec.smp is None:
        return spec.cpu or 1
    return spec.smp.cpus or (spec.smp.sockets or 1) * (spec.smp.dies or 1) * (spec.smp.cores or 1) * (
        spec.smp.threads or 1
    )


def _worker(spec: NodeSpec) -> dict[str, object]:
    """Return a worker's disks: empty ones, and those with an image."""
    volumes: list[dict[str, object]] = []
    if spec.disk_count:
        volumes.append(_disks("data", spec.disk_count, spec.disk_size))
    for disks in spec.disks:
        own_class = image_name(disks.device_class) if disks.device_class else None
        name = plain_name(own_class or "data", [str(volume["name"]) for volume in volumes], longest=24)
        volume = _disks(name, disks.count, disks.size or spec.disk_size)
        volumes.append(volume | ({"device_class": own_class} if own_class else {}))
    for number, image in enumerate(spec.data):
        volumes.append({"name": f"extra{number}", "kind": "image", "image": image_name(image), "cache": "none"})
    return {"volumes": volumes} if volumes else {}


def _disks(name: str, count: int, text: str | None) -> dict[str, object]:
    volume: dict[str, object] = {"name": name, "kind": "raw", "cache": "none", "size": size(text or DISK_SIZE)}
    return volume | ({"count": count} if count > 1 else {})


def _boot(draft: Draft, node: Resource[Node]) -> dict[str, object]:
    """Return what a boot server starts from."""
    spec, path = node.spec.spec, ("spec", "cloud-init-template")
    release = draft.options.releases.get(spec.image or "")
    if spec.image and release is None:
        if spec.cloud_init_template:
            why = ": a template is not filled in; make a file for each boot server, and name it at overrides"
            draft.lost(node.document, path, f"{why} (rack0-boot0: {{user_data: FILE}})")
        return {"image": image_name(spec.image)}
    if spec.cloud_init_template:
        draft.lost(node.document, path, f": {release or DEFAULT_RELEASE} is not configured by cloud-init")
    return {}


def _tell(draft: Draft, node: Resource[Node], *, worker: bool) -> None:
    spec, document = node.spec.spec, node.document
    if spec.tpm:
        draft.lost(document, ("spec", "tpm"), " yet: a TPM is not built yet")
    if not worker:
        for field in ("disk-count", "disk-size", "disks", "data"):
            if getattr(spec, field.replace("-", "_")):
                draft.differs(document, ("spec", field), "has no meaning for boot servers; left out")
        if not spec.image:
            draft.lost(document, ("spec",), _netboot("boot servers without an image"))
        return
    for field in ("image", "cloud-init-template"):
        if getattr(spec, field.replace("-", "_")):
            draft.differs(document, ("spec", field), "has no meaning for workers; left out")
    draft.lost(document, ("type",), _netboot("workers"))


def _netboot(who: str) -> str:
    return f" yet: {who} boot from the network, which is not built yet; here they run {DEFAULT_RELEASE}"
