"""Container images without a registry: OCI archives of one layer, the same bytes at every run.

The layout is that of the OCI image specification 1.0 (image-layout.md, manifest.md, config.md); containerd finds the
name by the annotation `io.containerd.image.name`.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

_OCI: Final = "application/vnd.oci.image"
_NAME: Final = "io.containerd.image.name"

APPLETS: Final = (
    *("awk", "cat", "chmod", "cp", "cut", "date", "dd", "df", "env", "false", "find", "grep", "head"),
    *("hostname", "httpd", "id", "ip", "kill", "ln", "ls", "md5sum", "mkdir", "mktemp", "mv", "nc", "netstat"),
    *("nslookup", "ping", "printf", "ps", "rm", "sed", "seq", "sh", "sha256sum", "sleep", "sort", "stat", "sync"),
    *("tail", "tee", "test", "timeout", "touch", "tr", "traceroute", "true", "uname", "wc", "wget", "xargs"),
)
"""What of busybox the web image has in its /bin."""

# what `kubectl run` starts; manifests bring their own command. The first process of a container hears only those
# signals that it asks for.
_SERVE: Final = """\
trap 'exit 0' TERM
mkdir -p /tmp/www
echo "${POD_NAME:-$(hostname)} ${NODE_NAME:-} ${ZONE:-}" > /tmp/www/index.html
httpd -f -p 8080 -h /tmp/www &
wait
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerImage:
    """A container image: `links` are names in /bin of the one program there, `command` what it runs."""

    name: str
    links: tuple[str, ...]
    command: tuple[str, ...]


# a node that shuts down asks it to end as well, and would wait 90 s for one that does not listen
_PAUSE: Final = "trap 'exit 0' TERM INT; /bin/busybox sleep 2147483647 & wait"

PAUSE: Final = ContainerImage(name="vdc.local/pause:1", links=(), command=("/bin/busybox", "sh", "-c", _PAUSE))
WEB: Final = ContainerImage(name="vdc.local/web:1", links=APPLETS, command=("/bin/sh", "-c", _SERVE))

CONTAINER_IMAGES: Final[Mapping[str, ContainerImage]] = MappingProxyType({"pause": PAUSE, "web": WEB})
"""The images that every node has, by the name of their archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """An image as an OCI archive, and the digests by which a runtime may know it: of its manifest and of its config."""

    archive: bytes
    digests: frozenset[str]


def archive(image: ContainerImage, busybox: bytes) -> bytes:
    """Return an image as an OCI archive; `busybox` is the static program of that name."""
    return packed(image.name, _layer(image, busybox), {"Cmd": image.command}).archive


def packed(name: str, content: bytes, config: Mapping[str, object]) -> Packed:
    """Return an image of one layer, which `layer` returned; `config` is what else the OCI's has under that name."""
    told = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {**config, "Env": ["PATH=/bin"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(content)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _descriptor("config.v1+json", told),
            "layers": [_descriptor("layer.v1.tar", content)],
        }
    )
    entry = _descriptor("manifest.v1+json", manifest) | {"annotations": {_NAME: name}}
    index = _json({"schemaVersion": 2, "mediaType": f"{_OCI}.index.v1+json", "manifests": [entry]})
    blobs = {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (content, told, manifest)}
    whole = layer({"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index, **blobs})
    return Packed(archive=whole, digests=frozenset({_digest(told), _digest(manifest)}))


def _layer(image: ContainerImage, busybox: bytes) -> bytes:
    """Return a file system: busybox by its names, folders, and users for those who look for them."""
    folders = ("bin", "dev", "etc", "proc", "sys", "var")
    files = {"bin/busybox": busybox, "etc/passwd": b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"}
    return layer(files, folders=folders, links={f"bin/{name}": "busybox" for name in image.links})


def layer(
    files: Mapping[str, bytes], *, folders: Sequence[str] = (), links: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Return a file system as a tar; where there are folders, there is one for temporary files, too."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in folders:
            tar.addfile(_entry(name, tarfile.DIRTYPE, 0o755))
        if folders:
            tar.addfile(_entry("tmp", tarfile.DIRTYPE, 0o1777))
        for name, content in files.items():
            entry = _entry(name, tarfile.REGTYPE, 0o755 if name.startswith("bin/") else 0o644)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for name, aim in links.items():
            entry = _entry(name, tarfile.SYMTYPE, 0o777)
            entry.linkname = aim
            tar.addfile(entry)
    return target.getvalue()


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, mode
    return entry


def _descriptor(kind: str, content: bytes) -> dict[str, object]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
