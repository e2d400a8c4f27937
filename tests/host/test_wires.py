"""The cable of a guest, whose NIC is at a bridge: here a namespace takes the place of the guest."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from vdc.datacenter.wire import LiveWire
from vdc.faults.judging import contradictions, salvos
from vdc.host import drops, namespaces, netlink
from vdc.host.drops import Sender
from vdc.host.ears import Ear, hear
from vdc.host.flights import Guest, Place
from vdc.host.wires import Side
from vdc.model.disturbance import UNDISTURBED, Disturbance
from vdc.plan.resources.network import Bridge, Namespace, Plug, Veth
from vdc.shell import in_namespace, run
from vdc.wait import NotYet, wait_for

DC, TOR, GUEST = "vdc-t-wire", "vdc-t-wire.tor", "vdc-t-wire.guest"
MAC = "02:00:00:00:00:07"

KINDS = {
    "loss": Disturbance(loss=0.2),
    "delay": Disturbance(delay=0.1),
    "duplicate": Disturbance(duplicate=0.2),
    "corrupt": Disturbance(corrupt=0.2),
    "MTU black hole": Disturbance(mtu=1000),
}


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWire]:
    namespaces.create_namespaces([Namespace(name=name, forwarding=False) for name in (DC, TOR, GUEST)])
    netlink.create_bridges([Bridge(netns=DC, name="segment")])
    netlink.create_veths(
        [
            Veth(
                a=Plug(netns=DC, name="leg", bridge="segment"),
                b=Plug(netns=TOR, name="down", addresses=("10.9.0.1/24",)),
            ),
            Veth(
                a=Plug(netns=DC, name="tap", bridge="segment"),
                b=Plug(netns=GUEST, name="eth0", mac=MAC, addresses=("10.9.0.7/24",)),
            ),
        ]
    )
    tap = Side(netns=DC, interface="tap")
    yield LiveWire(
        outgoing=Side(netns=DC, interface="tap", bridge="segment", mac=MAC),
        incoming=tap,
        near=Place(netns=DC, interface="tap"),
        far=Place(netns=TOR, interface="down"),
        mtu=1500,
        log=tmp_path_factory.mktemp("logs") / "logs" / "relay.log",
        guest=Guest(address=IPv4Address("10.9.0.7"), mac=MAC, source=IPv4Address("10.9.0.1")),
    )
    namespaces.remove_namespaces([GUEST, TOR, DC])


def expect(wire: LiveWire, does: tuple[Disturbance, Disturbance], asked: tuple[Disturbance, Disturbance]) -> None:
    def shown() -> None:
        flown = {name: wire.fly(salvo) for name, salvo in salvos(*asked, wire.mtu).items()}
        wrong = [
            f"{way}: {text}"
            for way, what, place in (("outgoing", does[0], 0), ("incoming", does[1], 1))
            for text in contradictions(what, {name: both[place] for name, both in flown.items()})
        ]
        if wrong:
            raise NotYet("; ".join(wrong))

    wait_for(shown, what="the packets to show it", timeout=60)


@pytest.mark.parametrize("outgoing", [True, False], ids=["outgoing", "incoming"])
@pytest.mark.parametrize("what", KINDS.values(), ids=KINDS)
def test_what_a_guest_sends_or_gets_is_disturbed_and_nothing_is_left(
    wire: LiveWire, what: Disturbance, outgoing: bool
) -> None:
    asked = (what, UNDISTURBED) if outgoing else (UNDISTURBED, what)
    wire.disturb("abcdefg", outgoing=asked[0], incoming=asked[1])
    try:
        expect(wire, asked, asked)
        answered = in_namespace(TOR, ["ping", "-c", "20", "-i", "0.05", "-W", "1", "10.9.0.7"])
        assert " 0 received" not in run(answered, timeout=30, check=False).stdout
    finally:
        wire.restore("abcdefg")
    wait_for(lambda: wire.expect_restored("abcdefg"), what="nothing to be left", timeout=20)
    expect(wire, (UNDISTURBED, UNDISTURBED), asked)
    assert run(in_namespace(DC, ["nft", "list", "tables"]), timeout=30).stdout == ""
    assert not [each for each in netlink.carriers(DC) if each.startswith("vf")]


def test_what_comes_to_a_guest_and_to_its_router_is_heard_for_each_direction(wire: LiveWire) -> None:
    del wire  # it makes the namespaces
    guest, tor = IPv4Address("10.9.0.7"), IPv4Address("10.9.0.1")
    to_guest, to_tor = b"to guest", b"to a tor"
    ears = {to_guest: Ear(netns=DC, taps=("tap",)), to_tor: Ear(netns=TOR)}

    def send() -> None:
        for source, target, token in ((TOR, guest, to_guest), (GUEST, tor, to_tor)):
            argv = ["ping", "-c", "2", "-i", "0.2", "-W", "1", "-p", token.hex(), str(target)]
            run(in_namespace(source, argv), timeout=30, check=False)

    assert hear(ears, send) == {to_guest, to_tor}
    senders = [Sender(netns=DC, lost=(tor,), taps=("tap",))]
    drops.drop(senders, "ab")
    try:
        assert hear(ears, send) == {to_guest}, "only what the guest sends is lost"
    finally:
        drops.undo(senders, "ab")
    other = [Sender(netns=TOR, lost=(guest,))]
    drops.drop(other, "ab")
    try:
        assert hear(ears, send) == {to_tor}
    finally:
        drops.undo(other, "ab")
    assert hear(ears, send) == {to_guest, to_tor}
