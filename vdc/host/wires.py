"""Disturbs the packets of a wire from outside its devices, and undoes it, without a trace.

What only loses packets is a rule of nftables (nft(8), family netdev) where they leave an interface. What holds, doubles
or changes them leads them to a tap instead, from which a process sends them on (`vdc.host.packet_relay`): that works on
every kernel, beside whatever the topology wants of the wire, while netem (tc-netem(8)) is missing on some, and takes
the place of other queues. As on a real wire, each packet goes alone: the tap takes no offloaded ones.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from vdc.errors import BuildError
from vdc.host import namespaces, netlink, nft, packet_relay, processes, rtnl
from vdc.model.disturbance import HELD_BACK, Disturbance
from vdc.shell import daemon, find, run
from vdc.wait import NotYet, wait_for

MARK: Final = 0x766463
"""On packets that a relay sends, by which the rules know them and let them pass."""

_PROBE: Final = """table netdev probe {
  chain fault {
    type filter hook egress device "lo" priority 0
    fwd to "lo"
  }
}
"""
_SECONDS: Final = 30.0
_SHARES: Final = 1_000_000
_IPV6_HEADER: Final = 40
_TAP_MTU: Final = 65521
_SO_MARK: Final = 36  # socket(7)

# <linux/if_tun.h>
_TUNSETIFF: Final = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Where the packets of one direction set out: they leave `interface` in `netns`.

    With a `bridge`, `interface` is the host's side of a NIC whose guest has the address `mac`: what the guest sends
    comes in there, and goes on over the bridge.
    """

    netns: str
    interface: str
    bridge: str | None = None
    mac: str | None = None


@cache
def lacks() -> str | None:
    """Return what this host lacks to disturb a wire, or None."""
    if find("nft") is None:
        return "there is no nft(8) on this host"
    done = run(["unshare", "--net", "--", "nft", "-f", "-"], stdin=_PROBE, timeout=_SECONDS, check=False)
    if done.status != 0:
        return "this host's kernel has no nftables that forward what leaves an interface (NFT_FWD_NETDEV, Linux 5.17)"
    return None if Path("/dev/net/tun").exists() else "this host has no /dev/net/tun"


def disturb(side: Side, what: Disturbance, key: str, log: Path) -> None:
    """Disturb the packets that set out at `side`; `key` (at most 8 letters) is whose disturbance it is.

    Raises BuildError: the interface is not there, or the kernel refuses.
    """
    if _relays(what):
        _start_relay(side, what, key, log)
    nft.load(side.netns, ruleset(side, what, key), about=f"disturbance:{side.netns}/{side.interface}")


def restore(side: Side, key: str) -> None:
    """Undo what `disturb` did; if nothing was done that is fine. Packets that were held are lost.

    From then on packets go as they did before; the kernel takes some time more until nothing is left (`expect_gone`).
    """
    identity = namespaces.identity(side.netns)
    if identity is None:
        return
    processes.send(_relays_of(_tap_of(key), side.netns, identity), signal.SIGKILL)
    nft.delete(side.netns, _table(key))


def expect_gone(side: Side, key: str) -> None:
    """Return if no relay is left of what `restore` has undone, nor its tap; raises NotYet otherwise."""
    tap = _tap_of(key)
    # it is there as long as somebody has it open
    if namespaces.identity(side.netns) is not None and tap in netlink.carriers(side.netns):
        raise NotYet(f"{side.netns} still has {tap}")


def ruleset(side: Side, what: Disturbance, key: str) -> str:
    """Return the rules (nft(8)) that disturb what sets out at a side."""
    hook = "ingress" if side.bridge else "egress"
    lines = [f'type filter hook {hook} device "{side.interface}" priority 0', *_rules(side, what, key)]
    chains = [("fault", lines)]
    if side.bridge and side.mac and _relays(what):
        # what the bridge floods must not come back to who sent it
        own = [f'type filter hook egress device "{side.interface}" priority 0', f"ether saddr {side.mac} drop"]
        chains.append(("own", own))
    return f"table {_table(key)} {{\n{''.join(_chain(name, rules) for name, rules in chains)}}}\n"


def _tap_of(key: str) -> str:
    """Return the name of the tap that a relay reads."""
    return f"vf{key}"


def _rules(side: Side, what: Disturbance, key: str) -> Iterator[str]:
    forward = f'fwd to "{_tap_of(key)}"'
    yield f"meta mark {MARK:#x} accept"
    if what.loss:
        yield "drop" if what.loss == 1 else f"numgen random mod {_SHARES} < {round(what.loss * _SHARES)} drop"
    if what.relayed:
        yield forward
    elif what.mtu:
        # one that is larger may be several of a fitting size, not yet cut: the tap gets them one by one
        yield f"ip length > {what.mtu} {forward}"
        yield f"ip6 length > {what.mtu - _IPV6_HEADER} {forward}"


def _chain(name: str, rules: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in (f"  chain {name} {{", *(f"    {rule}" for rule in rules), "  }"))


def _relays(what: Disturbance) -> bool:
    return what.relayed or bool(what.mtu)


def _table(key: str) -> str:
    return f"netdev vdc-fault-{key}"


def _start_relay(side: Side, what: Disturbance, key: str, log: Path) -> None:
    """Open the relay's ends before it runs, so that packets wait for it from the first moment."""
    before = f"the end of the relay before this one, at {side.netns}/{side.interface}"
    wait_for(lambda: expect_gone(side, key), what=before, timeout=_SECONDS, interval=0.005)
    tap, out = namespaces.inside(side.netns, lambda: (_open_tap(_tap_of(key)), _open_way_out(side)))
    try:
        program = [sys.executable, "-I", "-S", packet_relay.__file__, _tap_of(key), str(tap), str(out.fileno())]
        settings = json.dumps({**dataclasses.asdict(what), "held_back": HELD_BACK})
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            argv, keep = [*program, settings], (tap, out.fileno())
            # it is there from its first moment, so that `restore` finds it however soon that comes
            namespaces.inside(side.netns, lambda: daemon(argv, output=output, keep=keep))
    finally:
        os.close(tap)
        out.close()


def _open_tap(name: str) -> int:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
        quiet = Path("/proc/sys/net/ipv6/conf") / name / "disable_ipv6"
        if quiet.exists():  # the kernel must say nothing of its own there
            quiet.write_text("1")
        with rtnl.Rtnl() as kernel:
            kernel.send([rtnl.set_link(name, up=True, mtu=_TAP_MTU, about=name)])
    except OSError as error:
        os.close(handle)
        raise BuildError(f"tap:{name}", str(error)) from error
    return handle


def _open_way_out(side: Side) -> socket.socket:
    way = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        way.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
        way.bind((side.bridge or side.interface, 0))
    except OSError as error:
        way.close()
        raise BuildError(f"disturbance:{side.netns}/{side.interface}", str(error)) from error
    return way


def _relays_of(tap: str, netns: str, identity: tuple[int, int]) -> list[int]:
    """Return the relays that read a tap, which is there as long as one of them has it open."""
    if tap not in netlink.carriers(netns):
        return []
    return [pid for pid in processes.living({identity}) if tap in _words(pid)]


def _words(pid: int) -> list[str]:
    try:
        return (Path("/proc") / str(pid) / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []
