"""Keys that a cluster shares: one signs the tokens of service accounts, one encrypts secrets at rest.

Each is a file, and has for a while a successor, or a predecessor, beside it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vdc.cluster.pki import write_text

_FIRST: Final = "key1"


class Phase(StrEnum):
    """How far a succession is: everybody must have what belongs to it before the next one begins."""

    SETTLED = "settled"
    INTRODUCED = "introduced"
    """There is a successor, which everybody is to know."""
    SUCCEEDED = "succeeded"
    """It is in use; its predecessor is still known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A key in a file, made by `make` of the one before it, and those beside it. Each change is one rename."""

    path: Path
    make: Callable[[str], str]

    def ensure(self) -> None:
        """Make the first one, where there is none."""
        if not self.path.exists():
            write_text(self.path, self.make(""), mode=0o600)

    @property
    def phase(self) -> Phase:
        """How far a succession is."""
        if self._successor.exists():
            return Phase.INTRODUCED
        return Phase.SUCCEEDED if self._predecessor.exists() else Phase.SETTLED

    @property
    def texts(self) -> tuple[str, ...]:
        """All that there are, the one in use first."""
        beside = self._successor if self.phase is Phase.INTRODUCED else self._predecessor
        return tuple(path.read_text("ascii") for path in (self.path, beside) if path.exists())

    def introduce(self) -> None:
        """Make a successor."""
        if self.phase is Phase.SETTLED:
            write_text(self._successor, self.make(self.path.read_text("ascii")), mode=0o600)

    def succeed(self) -> None:
        """Use the successor. Raises FileNotFoundError: there is none."""
        if not self._successor.exists():
            raise FileNotFoundError(self._successor)
        write_text(self._predecessor, self.path.read_text("ascii"), mode=0o600)
        self._successor.replace(self.path)

    def retire(self) -> None:
        """Forget the predecessor."""
        self._predecessor.unlink(missing_ok=True)

    @property
    def _successor(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.next{self.path.suffix}")

    @property
    def _predecessor(self) -> Path:
        return self.path.with_name(f"{self.path.stem}.previous{self.path.suffix}")


def signing_keys(folder: Path) -> Keys:
    """Return the private keys that sign the tokens of service accounts, as PEM texts."""
    return Keys(path=folder / "sa.key", make=_signing_key)


def public_key(private: str) -> str:
    """Return the public key of a private one, both as PEM texts."""
    public = serialization.load_pem_private_key(private.encode(), password=None).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def encryption_keys(folder: Path) -> Keys:
    """Return the keys that secrets are encrypted with in etcd: each a name and 32 bytes, see `named_secret`."""
    return Keys(path=folder / "encryption.key", make=_encryption_key)


def named_secret(text: str) -> tuple[str, bytes]:
    """Return the name of an encryption key, which stands before all that it has encrypted, and the key itself."""
    name, _, secret = text.rpartition(" ")
    return name or _FIRST, bytes.fromhex(secret)


def _signing_key(before: str) -> str:
    del before
    key = ec.generate_private_key(ec.SECP256R1())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def _encryption_key(before: str) -> str:
    number = int(named_secret(before)[0].removeprefix("key")) + 1 if before else 1
    return f"key{number} {secrets.token_hex(32)}"
