"""Whom a client of a cluster believes, and as whom it shows itself."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom a client believes, and as whom it shows itself: without `cert` and `key`, or a `token`, it is nobody."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None
    token: str = field(default="", repr=False)

    def context(self) -> ssl.SSLContext:
        """Return it as TLS wants it."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context
