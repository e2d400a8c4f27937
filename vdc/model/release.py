"""A release: which version of every component a server's root disk has, and where each comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final, Literal

Minor = tuple[int, int]

KUBERNETES: Final = "kubernetes"
"""The component that makes a release one that a cluster of Kubernetes can be deployed on."""

SUPPORTED_KUBERNETES: Final[tuple[Minor, Minor]] = ((1, 20), (1, 35))
"""The first and the last minor version of Kubernetes whose flags and API versions are known."""

BUILD_RECIPE: Final = 2
"""Raise when the same source is built in another way."""

UNPACK_RECIPE: Final = 1
"""Raise when packages of another suite are unpacked in another way."""

Os = Literal["debian-12", "debian-13"]

SUITES: Final[Mapping[Os, str]] = MappingProxyType({"debian-12": "bookworm", "debian-13": "trixie"})
"""The suite of Debian that each is."""

ROUTING: Final = "bird"
"""The component that routers have, too: a release of nothing else is one of routers, and has no image."""

FIRMWARE: Final = frozenset({"seabios", "ovmf"})
"""The components that servers start by, as the packages of Debian are called: a release of one of them, and of nothing
else, is one of firmware, and has no image. OVMF is UEFI."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFile:
    """A file that is of no package: fetched from `url`, or read from `path` of the host.

    `digest` is "sha256:…" or "sha512:…" of what is fetched or read; empty where a file of the host cannot be read.
    It is put into the folder `into` of the guest, or unpacked there (tar) without the first `strip` parts of its
    paths: all of it, or only `members`.
    """

    name: str
    digest: str
    url: str | None = None
    path: str | None = None
    into: str = "/usr/local/bin"
    unpack: bool = False
    strip: int = 0
    members: tuple[str, ...] = ()

    @property
    def identity(self) -> tuple[object, ...]:
        """What an image depends on: not where the file comes from."""
        return self.name, self.digest, self.into, self.unpack, self.strip, self.members


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianSource:
    """A source package of a Debian suite, built on the spot."""

    package: str
    suite: str
    version: str

    @property
    def digest(self) -> str:
        """A SHA-256 of the recipe, in hex: what is built from it is known by this."""
        recipe = json.dumps({**asdict(self), "recipe": BUILD_RECIPE}, sort_keys=True)
        return hashlib.sha256(recipe.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """Debian packages of a suite that are not installed, but unpacked: their files, and no script of theirs is run."""

    packages: tuple[str, ...]
    suite: str

    @property
    def digest(self) -> str:
        """A SHA-256 of the recipe, in hex: what is unpacked is known by this."""
        recipe = json.dumps({**asdict(self), "recipe": UNPACK_RECIPE}, sort_keys=True)
        return hashlib.sha256(recipe.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component: of Debian `packages`, of `files`, or built from `source`.

    `version` is what it begins with, "1.6" for any 1.6.x, and empty where any will do. `suite` is that of the packages
    where it is not the release's own.
    """

    name: str
    version: str = ""
    packages: tuple[str, ...] = ()
    suite: str | None = None
    files: tuple[ReleaseFile, ...] = ()
    source: DebianSource | None = None

    @property
    def kind(self) -> str:
        """Where it comes from, in words."""
        if self.source is not None:
            return f"built from Debian {self.source.suite}'s source of {self.source.package}"
        if self.packages:
            return f"Debian{f' {self.suite}' if self.suite else ''}: {', '.join(self.packages)}"
        return "files of this host" if any(file.path for file in self.files) else "fetched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release: `os` says what its image is built on, `file` where it is written down."""

    name: str
    os: Os
    components: tuple[Component, ...]
    file: str

    @property
    def only_packages(self) -> bool:
        """Whether all of it is of Debian packages that are installed."""
        return all(each.packages and self.unpacked(each) is None for each in self.components)

    @property
    def of_routers(self) -> bool:
        """Whether it says what routers run, and nothing of servers."""
        return {each.name for each in self.components} == {ROUTING}

    @property
    def firmware(self) -> Component | None:
        """What servers start by, where it says that and nothing else of them; else None."""
        (only, *others) = self.components
        return only if only.name in FIRMWARE and not others else None

    @property
    def has_image(self) -> bool:
        """Whether servers can have a root disk of it."""
        return not self.of_routers and self.firmware is None

    def unpacked(self, component: Component) -> Unpacked | None:
        """Return which packages of a component are unpacked beside what is installed, or None.

        They are those of another suite than the release's own, and all of a release that has no image.
        """
        own = SUITES[self.os]
        suite = component.suite or own
        if not component.packages or (suite == own and self.has_image):
            return None
        return Unpacked(packages=component.packages, suite=suite)

    @property
    def kubernetes(self) -> str | None:
        """The version of Kubernetes; None where it has none."""
        return next((each.version for each in self.components if each.name == KUBERNETES), None)


def minor(version: str) -> Minor:
    """Return the minor version of "1.20.2": (1, 20). Raises ValueError."""
    first, second = version.split(".")[:2]
    return int(first), int(second)
