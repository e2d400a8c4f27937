"""How packets are disturbed: the rules, and the fates that a relay decides."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random

import pytest

from vdc.errors import WaitTimeout
from vdc.host import wires
from vdc.host.packet_relay import Fates
from vdc.host.wires import Side, ruleset
from vdc.model.disturbance import HELD_BACK, Disturbance
from vdc.wait import NotYet

ROUTER = Side(netns="vdc-x.spine0", interface="rack0-tor0")
GUEST = Side(netns="vdc-x", interface="rack0-cs0-0", bridge="rack0-seg0", mac="02:00:00:00:00:07")


def test_what_only_loses_packets_needs_no_relay() -> None:
    assert ruleset(ROUTER, Disturbance(loss=0.1), "ab") == (
        "table netdev vdc-fault-ab {\n"
        "  chain fault {\n"
        '    type filter hook egress device "rack0-tor0" priority 0\n'
        "    meta mark 0x766463 accept\n"
        "    numgen random mod 1000000 < 100000 drop\n"
        "  }\n"
        "}\n"
    )
    assert "    drop\n" in ruleset(ROUTER, Disturbance(loss=1.0), "ab")


def test_what_is_too_long_goes_to_the_relay_alone() -> None:
    rules = ruleset(ROUTER, Disturbance(mtu=1400), "ab")
    assert '    ip length > 1400 fwd to "vfab"\n    ip6 length > 1360 fwd to "vfab"\n' in rules


def test_what_a_guest_sends_is_led_over_its_bridge_and_never_back_to_it() -> None:
    assert ruleset(GUEST, Disturbance(delay=0.1, loss=0.1), "ab") == (
        "table netdev vdc-fault-ab {\n"
        "  chain fault {\n"
        '    type filter hook ingress device "rack0-cs0-0" priority 0\n'
        "    meta mark 0x766463 accept\n"
        "    numgen random mod 1000000 < 100000 drop\n"
        '    fwd to "vfab"\n'
        "  }\n"
        "  chain own {\n"
        '    type filter hook egress device "rack0-cs0-0" priority 0\n'
        "    ether saddr 02:00:00:00:00:07 drop\n"
        "  }\n"
        "}\n"
    )


def fates(what: Disturbance) -> Fates:
    return Fates({**asdict(what), "held_back": HELD_BACK}, Random(1))


def test_a_delay_keeps_the_order_and_is_never_shorter_than_it_may_be() -> None:
    relay = fates(Disturbance(delay=0.1, jitter=0.05))
    due = [when - number / 1000 for number in range(500) for when, _ in relay.of(b"x" * 100, number / 1000)]
    assert all(each >= 0.05 for each in due)
    out = [number / 1000 + each for number, each in enumerate(due)]
    assert out == sorted(out)
    assert max(due) - min(due) > 0.05


def test_a_rate_spaces_frames_and_drops_what_would_wait_too_long() -> None:
    relay = fates(Disturbance(rate=1_000_000))
    due = [when for _ in range(100) for when, _ in relay.of(b"x" * 1250, 0.0)]
    assert due == pytest.approx([0.01 * number for number in range(1, len(due) + 1)])
    assert 0.19 <= due[-1] <= 0.22


def test_a_reordered_frame_is_held_back_and_the_others_are_not() -> None:
    relay = fates(Disturbance(reorder=0.5))
    late = {when for _ in range(100) for when, _ in relay.of(b"x" * 100, 0.0)}
    assert late == {0.0, HELD_BACK}


def test_one_bit_is_turned_and_never_one_of_the_addresses() -> None:
    relay, frame = fates(Disturbance(corrupt=1.0)), bytes(100)
    for _ in range(200):
        ((_, changed),) = relay.of(frame, 0.0)
        assert sum(byte.bit_count() for byte in changed) == 1
        assert not any(changed[:14])


def test_doubled_frames_are_two_and_long_ones_none() -> None:
    assert len(list(fates(Disturbance(duplicate=1.0)).of(b"x" * 100, 0.0))) == 2
    assert list(fates(Disturbance(mtu=1000)).of(b"x" * 1015, 0.0)) == []
    assert len(list(fates(Disturbance(mtu=1000)).of(b"x" * 1014, 0.0))) == 1


def test_a_relay_is_in_its_namespace_from_its_first_moment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entered: list[str] = []
    started: list[tuple[str, ...]] = []

    def inside(name: str, action: Callable[[], object]) -> object:
        entered.append(name)
        done = action()
        entered.pop()
        return done

    def daemon(argv: Sequence[str], **_: object) -> None:
        assert entered == [ROUTER.netns]
        started.append(tuple(argv))

    monkeypatch.setattr("vdc.host.namespaces.inside", inside)
    monkeypatch.setattr(wires, "daemon", daemon)
    monkeypatch.setattr(wires, "_open_tap", lambda _: os.open(os.devnull, os.O_RDONLY))
    monkeypatch.setattr(wires, "_open_way_out", lambda _: socket.socket())
    monkeypatch.setattr("vdc.host.nft.load", lambda *_, about: None)
    monkeypatch.setattr(wires, "expect_gone", lambda *_: None)
    wires.disturb(ROUTER, Disturbance(delay=0.1), "ab", tmp_path / "logs" / "relay.log")
    assert [argv[0] for argv in started] == [sys.executable]


def test_a_tap_that_stays_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(wires, "_SECONDS", 0.0)
    monkeypatch.setattr("vdc.host.namespaces.identity", lambda _: (0, 0))
    monkeypatch.setattr("vdc.host.netlink.carriers", lambda _: {"vfab": True})
    with pytest.raises(NotYet, match="still has vfab"):
        wires.expect_gone(ROUTER, "ab")
    with pytest.raises(WaitTimeout, match="end of the relay before this one"):
        wires.disturb(ROUTER, Disturbance(delay=0.1), "ab", tmp_path / "relay.log")
    monkeypatch.setattr("vdc.host.netlink.carriers", lambda _: {})
    wires.expect_gone(ROUTER, "ab")
