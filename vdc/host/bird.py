"""BIRD, the routing daemon: its control socket, and what it prints.

The control protocol is BIRD's own (BIRD User's Guide, chapter 4; `doc/reply_codes` in its source): lines with a
four-digit code, continued by "-", and ended by a space after the code.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from vdc.errors import CommandError

_TIMEOUT_SECONDS = 5.0
_NO_BFD = "There is no BFD protocol running"
_END = re.compile(rb"^(\d{4}) .*\n\Z", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A BGP protocol as `show protocols all` prints it."""

    name: str
    state: str
    neighbor: str


def ask(control: Path, command: str) -> str:
    """Send one command to a BIRD and return what it answered, without the reply codes.

    Raises:
        CommandError: BIRD is not running, or does not accept the command.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_SECONDS)
            connection.connect(str(control))
            _read_reply(connection)
            connection.sendall(command.encode() + b"\n")
            reply = _read_reply(connection)
    except OSError as error:
        raise CommandError(control.stem, ["birdc", command], 1, f"BIRD does not answer: {error}") from error
    code = int(_END.findall(reply)[-1])
    text = re.sub(r"^(?:\d{4}[- ]| )", "", reply.decode(errors="replace"), flags=re.MULTILINE)
    if code >= 8000:
        raise CommandError(control.stem, ["birdc", command], code, text)
    return text


def bfd_sessions(control: Path) -> dict[str, str]:
    """Return neighbour address to state of the BFD sessions of a BIRD, none if it has no BFD. Raises as `ask`."""
    try:
        return parse_bfd(ask(control, "show bfd sessions"))
    except CommandError as error:
        if _NO_BFD not in error.output:
            raise
        return {}


def _read_reply(connection: socket.socket) -> bytes:
    reply = bytearray()
    while not (reply.endswith(b"\n") and _END.search(reply, reply.rfind(b"\n", 0, -1) + 1)):
        block = connection.recv(65536)
        if not block:
            raise ConnectionError("the control socket was closed")
        reply += block
    return bytes(reply)


def parse_protocols(text: str) -> tuple[Protocol, ...]:
    """Return the BGP protocols in the output of `show protocols all`."""
    found: list[Protocol] = []
    for block in re.split(r"\n(?=\S)", text):
        head = block.split(None, 6)
        if len(head) > 3 and head[1] == "BGP":
            state = re.search(r"BGP state:\s+(\S+)", block)
            neighbor = re.search(r"Neighbor address:\s+(\S+)", block)
            found.append(
                Protocol(
                    name=head[0],
                    state=state[1] if state else head[3],
                    neighbor=neighbor[1].partition("%")[0] if neighbor else "",
                )
            )
    return tuple(found)


def parse_bfd(text: str) -> dict[str, str]:
    """Return neighbour address to session state from the output of `show bfd sessions`."""
    found = re.findall(r"^([0-9a-f.:]+)(?:%\S+)? +\S+ +(\S+) ", text, flags=re.MULTILINE)
    return {str(ip_address(address)): state for address, state in found}
