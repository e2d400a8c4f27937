"""Images and device classes, which placemat and placemat-menu describe alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vdc.imports.draft import Draft
from vdc.imports.formats import Resource
from vdc.imports.placemat_format import DeviceClass, Image
from vdc.imports.units import plain_name

LONGEST: Final = 32

_UNKNOWN_SUM: Final = "0" * 64


def put_images(draft: Draft, images: Sequence[Resource[Image]]) -> None:
    """Add the images that no release replaces. One from a URL needs the SHA-256 of what is there, which nobody told."""
    made: dict[str, object] = {}
    for image in (image for image in images if image.spec.name not in draft.options.releases):
        spec, document = image.spec, image.document
        name = image_name(spec.name)
        file = draft.options.relocate(spec.file or "")
        entry = {"url": spec.url, "sha256": _UNKNOWN_SUM} if spec.url else {"file": file}
        made[name] = entry | ({"compression": spec.compression} if spec.compression else {})
        draft.comes_from(("images", name), document)
        if spec.url:
            draft.differs(document, ("url",), "needs the SHA-256 of what is there: replace the zeros by it")
    draft.put("images", made)


def put_device_classes(draft: Draft, classes: Sequence[Resource[DeviceClass]]) -> None:
    """Add the folders of classes of volumes."""
    for each in classes:
        draft.comes_from(("device_classes", image_name(each.spec.name)), each.document, ("path",))
    draft.put("device_classes", {image_name(each.spec.name): each.spec.path for each in classes})


def image_name(name: str) -> str:
    """Return what an image or a device class is called here."""
    return plain_name(name, (), longest=LONGEST)
