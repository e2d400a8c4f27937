"""What is asked by a probe of requests."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from vdc.observe.flows import PERIOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked, and as whom: a URL `http://…`, `https://…`, or `dns://SERVER:PORT/NAME`.

    `device` is where that is, `lane` what it is told under. Over TLS `ca`, `cert` and `key` are files, and
    `server_name` whom the certificate must be for. With `reuse` a connection carries one request after the other.
    Durations in seconds.
    """

    name: str
    lane: str
    device: str
    url: str
    client: str = ""
    reuse: bool = False
    period: float = PERIOD
    patience: float = 1.0
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None

    @property
    def source(self) -> str:
        """Who asks."""
        return self.client

    @property
    def target(self) -> str:
        """Who is asked."""
        return self.device

    def context(self) -> ssl.SSLContext | None:
        """Return what its TLS believes and shows; None without TLS."""
        if self.ca is None:
            return None
        context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestProbeConfig:
    """What to ask, and where to write what came of it."""

    source: str
    history: str
    targets: tuple[Target, ...]
    duration: float = 3600.0

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `vdc.observe.sampler.save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**raw, "targets": tuple(Target(**each) for each in raw["targets"])})
