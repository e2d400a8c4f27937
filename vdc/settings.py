"""Where vdc keeps things, and what of it the environment decides."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, overload

from vdc.errors import InputError

STATE_DIR = Path("/var/lib/vdc")
CACHE_DIR = Path("/var/cache/vdc")

_SIZE = re.compile(r"(\d+) ?([KMGT]?)(?:iB)?")
_URL = re.compile(r"https?://[^/\s]+(/\S*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of a run that belong to the host and not to the topology.

    `state_dir` holds a run directory per data centre, `cache_dir` what can be made again (images, the
    accelerator's figures). `debian_mirror` names a mirror to build images from instead of Debian's. `quota` is how many
    bytes of disk one data centre may come to take. A start that does not fit beside the other data centres waits
    `admission_wait` seconds at most. `vcpus_per_core` is how many virtual CPUs of all of them may share a core, if not
    what is right for the accelerator. `releases` is a folder of release files besides those of the checkout,
    `release_mirror` a URL that replaces scheme and host of whatever a release fetches. `upgrade_paths` is a file of
    paths of upgrades besides that of the checkout.
    """

    state_dir: Path = STATE_DIR
    cache_dir: Path = CACHE_DIR
    debian_mirror: str | None = None
    quota: int | None = None
    admission_wait: float = 0.0
    vcpus_per_core: int | None = None
    releases: Path | None = None
    release_mirror: str | None = None
    upgrade_paths: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read VDC_STATE_DIR, VDC_CACHE_DIR, VDC_DEBIAN_MIRROR and so on; empty means unset.

        Raises InputError for a path that is not absolute, and for what is not a size or a number.
        """
        env = os.environ if environment is None else environment
        return cls(
            state_dir=_directory(env, "VDC_STATE_DIR", STATE_DIR),
            cache_dir=_directory(env, "VDC_CACHE_DIR", CACHE_DIR),
            debian_mirror=env.get("VDC_DEBIAN_MIRROR") or None,
            quota=_size(env, "VDC_QUOTA"),
            admission_wait=_number(env, "VDC_ADMISSION_WAIT") or 0.0,
            vcpus_per_core=_number(env, "VDC_VCPUS_PER_CORE"),
            releases=_directory(env, "VDC_RELEASES", None),
            release_mirror=_url(env, "VDC_RELEASE_MIRROR"),
            upgrade_paths=_directory(env, "VDC_UPGRADE_PATHS", None),
        )


@overload
def _directory(env: Mapping[str, str], name: str, default: Path) -> Path: ...


@overload
def _directory(env: Mapping[str, str], name: str, default: None) -> Path | None: ...


def _directory(env: Mapping[str, str], name: str, default: Path | None) -> Path | None:
    path = Path(env[name]) if env.get(name) else default
    if path is not None and not path.is_absolute():
        raise InputError(f"{name}={path} is not an absolute path", hint=f"{name}={path.absolute()}")
    return path


def _url(env: Mapping[str, str], name: str) -> str | None:
    text = env.get(name) or None
    if text is not None and not _URL.fullmatch(text):
        raise InputError(f"{name}={text} is not a URL", hint=f"{name}=http://mirror.example.org/releases")
    return text


def _number(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name) or None
    if text is not None and not text.isdecimal():
        raise InputError(f"{name}={text} is not a whole number", hint=f"{name}=10")
    return None if text is None else int(text)


def _size(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name) or None
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InputError(f"{name}={text} is not a size", hint=f"{name}=20GiB")
    return int(match[1]) << 10 * " KMGT".index(match[2] or " ")
