"""An archive (tar, gzip) that never becomes larger than it may: what does not fit is cut or left out, and told."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

_INDEX_ROOM: Final = 256 * 1024
"""Bytes kept free for the index, which comes last since it tells of all others."""

_LEAST: Final = 4096
"""Bytes. What would be cut to less is left out."""

_END: Final = gzip.compress(b"\0" * 1024)  # an archive ends with two empty blocks (tar(5))


@dataclass(slots=True)
class Archive:
    """An archive that is being written, `limit` bytes at most. Its members are in the folder `name`.

    Every member is compressed for itself, so that its length is known before it is written: what follows one another
    is one stream of gzip (RFC 1952, 2.2).
    """

    file: IO[bytes]
    name: str
    limit: int
    _written: int = field(default=0)

    @property
    def left(self) -> int:
        """Bytes that members may still take."""
        return self.limit - self._written - _INDEX_ROOM - len(_END)

    def add(self, name: str, content: bytes) -> str:
        """Write a member; return what had to be left out of it, or an empty text.

        Of what is too long the end is kept, which tells the latest.
        """
        kept, block = content, _member(f"{self.name}/{name}", content)
        while len(block) > self.left:
            # the compressed length tells how much may fit; a tenth less, so that it comes to an end
            keep = int(len(kept) * max(0, self.left) / len(block) * 0.9)
            if keep < _LEAST:
                return f"left out: {len(content)} bytes do not fit"
            kept = content[-keep:]
            block = _member(f"{self.name}/{name}", kept)
        self._write(block)
        return f"only its last {len(kept)} of {len(content)} bytes fit" if len(kept) < len(content) else ""

    def close(self, name: str, index: str) -> None:
        """Write the index, and end the archive."""
        content = index.encode()
        self._write(_member(f"{self.name}/{name}", content[: _INDEX_ROOM - _LEAST]))
        self._write(_END)

    def _write(self, block: bytes) -> None:
        self.file.write(block)
        self._written += len(block)


@contextmanager
def archive(path: Path, *, limit: int) -> Iterator[Archive]:
    """Write an archive of at most `limit` bytes in the body; it is there when the body ends well."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield Archive(file, path.name.removesuffix(".tar.gz"), limit)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def _member(name: str, content: bytes) -> bytes:
    information = tarfile.TarInfo(name)
    information.size, information.mtime, information.mode = len(content), int(time.time()), 0o644
    buffer = io.BytesIO()
    buffer.write(information.tobuf(tarfile.PAX_FORMAT))
    buffer.write(content)
    buffer.write(b"\0" * (-len(content) % tarfile.BLOCKSIZE))
    return gzip.compress(buffer.getvalue(), compresslevel=6)
