"""The language of release files: each component with its version, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from vdc.model.release import Os
from vdc.model.section import Section
from vdc.model.values import Name

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Sha512 = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
# neither leads out of the image: no part is `.` or `..`
GuestPath = Annotated[str, Field(pattern=r"^(/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+$")]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_{][A-Za-z0-9._+{}-]*$")]
Version = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*(\+[0-9A-Za-z-]+)?$")]
ReleaseName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?$")]


class FileSpec(Section):
    """A file that is put into the image: a program, or with `unpack` a tar archive of them."""

    sha256: Sha256 | None = None
    """Its SHA-256, in hex."""
    sha512: Sha512 | None = None
    """Its SHA-512, in hex."""
    into: GuestPath = "/usr/local/bin"
    """The folder of the guest that it is put into."""
    unpack: bool = False
    """Whether it is an archive that is unpacked there."""
    strip: Annotated[int, Field(ge=0, le=9)] = 0
    """How many parts of the paths in the archive are left out."""
    members: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = ()
    """What of the archive is unpacked, by its paths there; by default all."""


class LocalFileSpec(FileSpec):
    """A file of the host. Without a digest it is whatever is there."""

    path: Annotated[str, Field(min_length=1)]
    """Where it is, relative to the release file."""


class TreeSpec(Section):
    """A release tree of a web server."""

    url: Annotated[str, Field(pattern=r"^https?://[^/ ]+/\S*\{file\}\S*$")]
    """Where a file is: `{version}` and `{file}` are replaced."""
    files: Annotated[Mapping[FileName, FileSpec], Field(min_length=1)]
    """The files that are fetched, by name; `{version}` in a name is replaced."""


class ComponentSpec(Section):
    """A component: its version, and exactly one of `debian`, `debian-source`, `tree` and `files`."""

    version: Version | None = None
    """Its version, or what that begins with: `1.6` for any 1.6.x. A build of your own has a name, too: `1.20.2+us1`."""
    debian: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]+$")], ...], Field(strict=False)] = ()
    """Debian packages."""
    debian_source: Annotated[Literal["kubernetes"] | None, Field(alias="debian-source")] = None
    """A Debian source package that is built on the spot."""
    suite: Literal["bookworm", "trixie"] | None = None
    """The suite that has the source of `debian-source`, or the packages of `debian` where `os` has others."""
    tree: TreeSpec | None = None
    """A release tree of a web server."""
    files: Mapping[FileName, LocalFileSpec] = Field(default_factory=dict)
    """Files of this host, by the names that they have in the folder of the guest that they are put into."""


class ReleaseSpec(Section):
    """A whole release file, called like the release."""

    name: ReleaseName
    """The name by which topologies ask for it: that of the file."""
    os: Os
    """What the image is built on."""
    components: Mapping[Name, ComponentSpec]
    """Every component that matters, by name."""
