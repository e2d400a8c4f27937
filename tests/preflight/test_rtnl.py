"""Messages of rtnetlink as bytes, and what a socket makes of the kernel's answers."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from vdc.host import rtnl
from vdc.host.rtnl import RefusedError, Request, Rtnl, VethEnd

MAC = "02:00:00:00:00:01"
NEAR, FAR = VethEnd("near", MAC, 1500), VethEnd("far", None, 9000)

MESSAGES: dict[str, tuple[Request, str]] = {
    "bridge": (
        rtnl.new_bridge("br0", mtu=1500, about="b"),
        "00000000 00000000 01000000 01000000 08000300 62723000 08000400 dc050000"
        " 24001280 0a000100 62726964 67650000 14000280 08000500 00000000 08000100 00000000",
    ),
    "up on a bridge": (
        rtnl.set_link(7, up=True, master=3, about="u"),
        "00000000 07000000 01000000 01000000 08000a00 03000000",
    ),
    "down by name": (
        rtnl.set_link("eth0", up=False, about="d"),
        "00000000 00000000 00000000 01000000 09000300 65746830 00000000",
    ),
    "mtu alone": (
        rtnl.set_link(7, mtu=9000, about="m"),
        "00000000 07000000 00000000 00000000 08000400 28230000",
    ),
    "IPv4 address": (
        rtnl.new_address(2, "10.0.0.1/31", about="a"),
        "021f0000 02000000 08000200 0a000001 08000100 0a000001",
    ),
    "IPv6 address": (
        rtnl.new_address(2, "fd00::1/127", about="a"),
        "0a7f0200 02000000 14000200 fd000000 00000000 00000000 00000001 14000100 fd000000 00000000 00000000 00000001",
    ),
    "link-local address": (
        rtnl.new_address(2, "fe80::1/64", about="a"),
        "0a4002fd 02000000 14000200 fe800000 00000000 00000000 00000001 14000100 fe800000 00000000 00000000 00000001",
    ),
    "neighbour": (
        rtnl.new_neighbour(2, "10.0.0.0", MAC, about="n"),
        "02000000 02000000 80000000 08000100 0a000000 0a000200 02000000 00010000",
    ),
    "pair": (
        rtnl.new_veth(NEAR, FAR, far_netns=5, about="v"),
        "00000000 00000000 01000000 01000000 09000300 6e656172 00000000 0a000100 02000000 00010000 08000400 dc050000"
        " 3c001280 08000100 76657468"
        " 30000280 2c000180 00000000 00000000 00000000 00000000 08000300 66617200 08000400 28230000 08001c00 05000000",
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_what_the_kernel_reads(name: str) -> None:
    request, expected = MESSAGES[name]
    assert request.body.hex(" ", 4) == expected
    assert len(request.body) % 4 == 0


class Wire:
    """A socket whose kernel answers as it is told."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def recv(self, _size: int) -> bytes:
        return self.answers.pop(0)


def answer(number: int, errno: int, text: str = "") -> bytes:
    """An acknowledgement, or with an errno a refusal (linux/netlink.h: nlmsgerr)."""
    body = struct.pack("=iIHHII", -errno, 16, 16, 0, number, 0)
    if text:
        body += rtnl.attribute(1, text.encode() + b"\0")
    return struct.pack("=IHHII", 16 + len(body), 2, 0, number, 0) + body


MakeRtnl = Callable[..., Rtnl]


@pytest.fixture
def make_rtnl() -> MakeRtnl:
    def make(*answers: bytes) -> Rtnl:
        kernel = Rtnl.__new__(Rtnl)
        kernel._socket = Wire(*answers)  # type: ignore[assignment]
        return kernel

    return make


def some(count: int) -> list[Request]:
    return [rtnl.set_link(index, up=True, about=f"link {index}") for index in range(count)]


def test_all_goes_in_one_piece_and_only_the_end_is_acknowledged(make_rtnl: MakeRtnl) -> None:
    kernel = make_rtnl(answer(2, 0))
    kernel.send(some(3))
    (sent,) = kernel._socket.sent  # type: ignore[attr-defined]
    assert [struct.unpack_from("=H", sent, at * 32 + 6)[0] & rtnl.ACK for at in range(3)] == [0, 0, rtnl.ACK]


def test_what_is_refused_is_named_with_the_kernels_reason(make_rtnl: MakeRtnl) -> None:
    kernel = make_rtnl(answer(1, 17, "Interface already exists"), answer(2, 0))
    with pytest.raises(RefusedError, match="link 1: Interface already exists") as caught:
        kernel.send(some(3))
    assert caught.value.errno == 17


def test_a_refusal_without_a_text_is_named_by_its_number(make_rtnl: MakeRtnl) -> None:
    with pytest.raises(RefusedError, match="link 0: No such device"):
        make_rtnl(answer(0, 19)).send(some(1))


def test_what_is_too_much_for_one_piece_goes_in_several(make_rtnl: MakeRtnl) -> None:
    each = (32 << 10) // 32
    kernel = make_rtnl(answer(each - 1, 0), answer(0, 0))
    kernel.send(some(each + 1))
    assert [len(sent) for sent in kernel._socket.sent] == [32 << 10, 32]  # type: ignore[attr-defined]
