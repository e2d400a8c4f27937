"""placemat's volumes: the first image is what a guest boots, a localds its seed, and the rest are volumes of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vdc.imports.documents import Document
from vdc.imports.draft import Draft
from vdc.imports.images import image_name
from vdc.imports.placemat_format import VOLUME_FIELDS, Volume
from vdc.imports.units import plain_name, size
from vdc.model.yamltree import Path

_LONGEST: Final = 32
_ELSEWHERE: Final[Mapping[str, str]] = {"cache": "cache", "device_class": "device-class"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Disks:
    """What a guest boots, if that is an `image` of the user's; its other `volumes`; what it is configured by."""

    image: str | None
    volumes: tuple[Mapping[str, object], ...]
    seed: dict[str, object]

    @property
    def common(self) -> dict[str, object]:
        """The keys of a server that others may have as well."""
        return ({"image": self.image} if self.image else {}) | ({"volumes": [*self.volumes]} if self.volumes else {})


def read_disks(draft: Draft, document: Document, volumes: Sequence[Volume]) -> Disks:
    """Return what the volumes of a node mean, and tell what of them is lost."""
    placed = [(("volumes", number), volume) for number, volume in enumerate(volumes)]
    for path, volume in placed:
        _tell_meaningless(draft, document, path, volume)
    root = next(((path, volume) for path, volume in placed if volume.kind == "image"), None)
    image = _booted(draft, document, *root) if root is not None else None
    others = [(path, volume) for path, volume in placed if volume.kind != "localds" and (path, volume) != root]
    seeds = [(path, volume) for path, volume in placed if volume.kind == "localds"]
    return Disks(
        image=image,
        volumes=tuple(_volume(draft, document, path, volume) for path, volume in others),
        seed=dict(_seed(draft, document, seeds, own=image is not None)),
    )


def _tell_meaningless(draft: Draft, document: Document, path: Path, volume: Volume) -> None:
    for field in sorted(volume.model_fields_set - VOLUME_FIELDS[volume.kind] - {"kind", "name"}):
        why = "has no meaning" if field == "vg" else f"has no meaning for a volume of kind {volume.kind}"
        draft.differs(document, (*path, field.replace("_", "-")), f"{why}; left out")


def _booted(draft: Draft, document: Document, path: Path, volume: Volume) -> str | None:
    """Return the name of the user's image that a guest boots; None if a release replaces it."""
    assert volume.image
    _tell_elsewhere(draft, document, path, volume, "the disk that a server boots from")
    return None if volume.image in draft.options.releases else image_name(volume.image)


def _tell_elsewhere(draft: Draft, document: Document, path: Path, volume: Volume, what: str) -> None:
    for attribute, field in _ELSEWHERE.items():
        if getattr(volume, attribute):
            draft.lost(document, (*path, field), f" for {what}")


def _seed(
    draft: Draft, document: Document, seeds: Sequence[tuple[Path, Volume]], *, own: bool
) -> Iterator[tuple[str, object]]:
    """Yield what a guest of the user's `own` image is configured by: the first of `seeds`."""
    for number, (path, volume) in enumerate(seeds):
        if number or not own:
            draft.lost(
                document, path, ": a server has one" if own else ": what it boots is not configured by cloud-init"
            )
            continue
        yield "user_data", draft.options.relocate(volume.user_data or "")
        if volume.network_config:
            yield "network_config", draft.options.relocate(volume.network_config)
        _tell_elsewhere(draft, document, path, volume, "the disk with the seed")


def _volume(draft: Draft, document: Document, path: Path, volume: Volume) -> dict[str, object]:
    name = {"name": plain_name(volume.name, (), longest=_LONGEST)}
    if volume.kind == "hostPath":
        draft.differs(document, (*path, "path"), "the folder must be there: it is not made")
        folder = {"kind": "folder", "path": volume.path}
        return name | folder | ({} if volume.writable else {"writable": False})
    made: dict[str, object] = {**name, **_content(volume)}
    made |= {} if volume.cache == "writeback" else {"cache": volume.cache or "none"}
    return made | ({"device_class": image_name(volume.device_class)} if volume.device_class else {})


def _content(volume: Volume) -> dict[str, object]:
    if volume.kind == "image":
        return {"kind": "image", "image": image_name(volume.image or "")} | (
            {} if volume.copy_on_write else {"overlay": False}
        )
    return {"kind": "raw" if volume.format == "raw" else "empty", "size": size(volume.size or "")}
