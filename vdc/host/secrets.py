"""The secrets of one data centre: an SSH key to log in with, and a host key for every server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets folder of a run directory. Keys are made when first asked for."""

    directory: Path

    @property
    def login_key(self) -> Path:
        """The private key that every server accepts for root."""
        return self.directory / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The public host keys, as ssh(1) wants them; written by `guest_files`."""
        return self.directory / "known_hosts"

    def guest_files(self, server: str, address: str) -> dict[str, tuple[str, int]]:
        """Return a server's secret files: absolute guest path to text and mode. The same at every call.

        `address` is where it is reached, or empty.
        """
        host_key = self.directory / f"{server}-host-ed25519"
        public = _key(host_key)
        line = f"{','.join(filter(None, (server, address)))} {public}\n"
        known = self.known_hosts.read_text() if self.known_hosts.exists() else ""
        if line not in known:
            self.known_hosts.write_text(known + line)
        return {
            "/etc/ssh/ssh_host_ed25519_key": (host_key.read_text(), 0o600),
            "/root/.ssh/authorized_keys": (_key(self.login_key) + "\n", 0o600),
        }


def _key(path: Path) -> str:
    """Return the public half of the key in `path`, made if it is not there."""
    public = path.with_suffix(".pub")
    if not public.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = Ed25519PrivateKey.generate()
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public.write_bytes(key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    return public.read_text()
