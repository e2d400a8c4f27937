"""The node itself: its kernel, its BIRD and its dnsmasq."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Collection
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

from .settings import Settings

_TIMEOUT_SECONDS = 20.0
_REPLY_END = re.compile(rb"^(\d{4}) ([^\n]*)\n\Z", re.MULTILINE)
_FAILED = 8000
_HOST_MASK = 0xFFFFFFFF


class Node:
    """A node that runs BIRD, dnsmasq and kube-proxy. `proc` is where its kernel tells of itself."""

    def __init__(self, settings: Settings, proc: Path = Path("/proc")) -> None:
        self._settings = settings
        self._proc = proc

    def write(self, path: Path, text: str) -> bool:
        """Make a file have this text, whole at any moment; return whether it had another. Raises OSError."""
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        new = path.with_name(f".{path.name}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o644)
        new.replace(path)
        return True

    def reload_names(self) -> None:
        """Make dnsmasq read its hosts again (dnsmasq(8), SIGHUP); one that does not run will. Raises OSError."""
        with suppress(FileNotFoundError, ProcessLookupError):
            for process in self._settings.dns_processes.read_text(encoding="ascii").split():
                # the unit may have others while it starts, which a hangup would end
                if (self._proc / process / "comm").read_text(encoding="utf-8").strip() == "dnsmasq":
                    os.kill(int(process), signal.SIGHUP)

    def reload_routes(self) -> None:
        """Make BIRD read its configuration again (BIRD User's Guide, 4). Raises OSError: it does not."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_SECONDS)
            try:
                connection.connect(str(self._settings.bird))
            except OSError as error:
                raise OSError(f"BIRD does not answer: {error}") from error
            _reply(connection)
            connection.sendall(b"configure\n")
            code, text = _reply(connection)
        if code >= _FAILED:
            raise OSError(f"BIRD refuses its configuration: {text}")

    def is_local(self, address: IPv4Address) -> bool:
        """Return whether an address is the node's own, or that of a pod that the kernel has a way to."""
        if address in self._settings.addresses:
            return True
        # proc(5), /proc/net/route: addresses as hexadecimal numbers in the byte order of the machine
        wanted = f"{int.from_bytes(address.packed, 'little'):08X}"
        lines = (self._proc / "net/route").read_text(encoding="ascii").splitlines()[1:]
        fields = (line.split() for line in lines)
        return any(each[1] == wanted and each[2] == "00000000" and int(each[7], 16) == _HOST_MASK for each in fields)

    def is_programmed(self, address: IPv4Address, backends: Collection[IPv4Address]) -> bool:
        """Return whether kube-proxy sends packets to an address on to one of these backends.

        Raises OSError: nobody can tell.
        """
        if self._settings.proxy == "ipvs":
            table = (self._proc / "net/ip_vs").read_text(encoding="ascii")
            return not _real_servers(address, table).isdisjoint(backends)
        rules = _output(["iptables-save", "-t", "nat"])
        return f" -d {address}/32 " in rules and any(f" --to-destination {each}:" in rules for each in backends)


def _output(argv: list[str]) -> str:
    """Return what a command prints. Raises OSError: it fails, or takes too long."""
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OSError(str(error)) from error
    if done.returncode != 0:
        raise OSError(f"{argv[0]}: {done.stderr.strip()}")
    return done.stdout


def _real_servers(address: IPv4Address, table: str) -> set[IPv4Address]:
    """Return the real servers of an address: in /proc/net/ip_vs their lines follow that of the virtual one."""
    found: set[IPv4Address] = set()
    wanted, inside = f"{int(address):08X}:", False
    for line in table.splitlines():
        words = line.split()
        if words[:1] in (["TCP"], ["UDP"], ["SCTP"]):
            inside = words[1].startswith(wanted)
        elif inside and words[:1] == ["->"] and words[3:4] not in ([], ["0"]):
            found.add(IPv4Address(int(words[1].partition(":")[0], 16)))
    return found


def _reply(connection: socket.socket) -> tuple[int, str]:
    """Return the code and the text of a reply of BIRD's."""
    reply = b""
    while not (end := _REPLY_END.search(reply)):
        block = connection.recv(65536)
        if not block:
            raise ConnectionError("BIRD has closed its control socket")
        reply += block
    return int(end[1]), reply.decode(errors="replace").strip()
