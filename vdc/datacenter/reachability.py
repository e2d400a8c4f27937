"""Whether one device reaches another, asked of the device itself with ping(8)."""

from __future__ import annotations

from collections.abc import Sequence

from vdc.datacenter.api import Runner
from vdc.errors import CommandError
from vdc.model.ip import Address
from vdc.shell import Completed
from vdc.wait import NotYet

_PROBES = 3
_SECONDS_PER_PROBE = 1
_UNREACHABLE = ("100% packet loss", "Network is unreachable")


def expect_reaches(device: Runner, target: Address, *, source: Address | None = None) -> None:
    """Return if at least one echo request from `device` to `target` is answered.

    Raises:
        NotYet: none was; the text says what ping said.
        CommandError: ping could not be asked at all.
    """
    if not _answered(device, target, source):
        raise NotYet(f"{device.name} does not reach {target}")


def expect_cut_off(device: Runner, target: Address, *, source: Address | None = None) -> None:
    """Return if no echo request from `device` to `target` is answered.

    Raises:
        NotYet: one was.
        CommandError: ping could not be asked at all.
    """
    if _answered(device, target, source):
        raise NotYet(f"{device.name} still reaches {target}")


def send_requests(device: Runner, target: Address, *, source: Address, token: bytes) -> None:
    """Send echo requests with a token in them from `device` to `target`, whether or not they are answered.

    Raises CommandError: ping could not be asked at all.
    """
    _answered(device, target, source, ("-p", token.hex()))


def _answered(device: Runner, target: Address, source: Address | None, how: Sequence[str] = ()) -> bool:
    origin = ["-I", str(source)] if source is not None else []
    argv = [
        "ping",
        "-n",
        "-c",
        str(_PROBES),
        "-i",
        "0.3",
        "-W",
        str(_SECONDS_PER_PROBE),
        *origin,
        *how,
        str(target),
    ]
    done = device.run(argv, timeout=30.0, check=False)
    if done.status == 0:
        return True
    said = done.stdout + done.stderr
    if any(sign in said for sign in _UNREACHABLE):
        return False
    # A ping that is missing or forbidden would otherwise pass for a cut network.
    raise CommandError(device.name, argv, done.status, _text(done))


def _text(done: Completed) -> str:
    return done.stderr or done.stdout
