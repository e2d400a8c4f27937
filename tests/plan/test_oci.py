"""Container images: archives that the OCI image layout describes, and the same bytes each time."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any

import pytest

from vdc.plan.oci import CONTAINER_IMAGES, WEB, ContainerImage, archive

BUSYBOX = b"\x7fELF busybox"
EVERY = pytest.mark.parametrize("image", CONTAINER_IMAGES.values(), ids=lambda image: image.name)


def content(packed: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        files = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
        return {name: file.read() for name, file in files if file is not None}


def blob(files: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """What a descriptor leads to, checked by its digest and size."""
    kind, _, digest = descriptor["digest"].partition(":")
    found = files[f"blobs/{kind}/{digest}"]
    assert hashlib.sha256(found).hexdigest() == digest
    assert len(found) == descriptor["size"]
    return found


@EVERY
def test_every_descriptor_leads_to_what_it_says(image: ContainerImage) -> None:
    files = content(archive(image, BUSYBOX))
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": image.name}
    manifest = json.loads(blob(files, entry))
    config = json.loads(blob(files, manifest["config"]))
    (layer,) = (blob(files, each) for each in manifest["layers"])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Cmd"] == list(image.command)
    assert content(layer)["bin/busybox"] == BUSYBOX
    assert len(files) == 5


@EVERY
def test_the_same_program_makes_the_same_archive(image: ContainerImage) -> None:
    assert archive(image, BUSYBOX) == archive(image, BUSYBOX)
    assert archive(image, BUSYBOX) != archive(image, BUSYBOX + b" of another version")


def test_the_web_image_has_what_scenarios_call() -> None:
    files = content(archive(WEB, BUSYBOX))
    manifest = json.loads(blob(files, json.loads(files["index.json"])["manifests"][0]))
    layer = blob(files, manifest["layers"][0])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        links = {member.name for member in tar if member.issym() and member.linkname == "busybox"}
        modes = {member.name: member.mode for member in tar}
    assert {f"bin/{name}" for name in ("sh", "httpd", "wget", "nslookup", "cat", "sleep", "hostname", "sync")} <= links
    assert (modes["tmp"], modes["bin/busybox"]) == (0o1777, 0o755)
