"""Where vdc keeps things, and what of it the environment decides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vdc.errors import InputError

STATE_DIR = Path("/var/lib/vdc")
CACHE_DIR = Path("/var/cache/vdc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The choices of a run that belong to the host and not to the topology.

    `state_dir` holds a run directory per data centre, `cache_dir` what can be made again (images, the
    accelerator's figures). `debian_mirror` names a mirror to build images from instead of Debian's.
    """

    state_dir: Path = STATE_DIR
    cache_dir: Path = CACHE_DIR
    debian_mirror: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read VDC_STATE_DIR, VDC_CACHE_DIR and VDC_DEBIAN_MIRROR; empty means unset.

        Raises InputError for a directory that is not an absolute path.
        """
        env = os.environ if environment is None else environment
        return cls(
            state_dir=_directory(env, "VDC_STATE_DIR", STATE_DIR),
            cache_dir=_directory(env, "VDC_CACHE_DIR", CACHE_DIR),
            debian_mirror=env.get("VDC_DEBIAN_MIRROR") or None,
        )


def _directory(env: Mapping[str, str], name: str, default: Path) -> Path:
    path = Path(env.get(name) or default)
    if not path.is_absolute():
        raise InputError(f"{name}={path} is not an absolute path", hint=f"{name}={path.absolute()}")
    return path
