"""What is asked of the kernel for impairments and NAT, and what is said where it cannot."""

from __future__ import annotations

import pytest

from vdc.host import impairments, nat
from vdc.plan.resources import Resource
from vdc.plan.resources.network import Impairment, Nat

CABLE = Impairment(
    netns="vdc-a.spine0", interface="rack0-tor0", loss=0.25, rate=10**7, far_netns="vdc-a.rack0-tor0", far="spine0"
)
FROM_GUEST = Impairment(netns="vdc-a", interface="rack0-cs0.0", incoming=True, loss=0.1, rate=10**9)
TO_GUEST = Impairment(netns="vdc-a", interface="rack0-cs0.0", loss=0.1)
LATE = Impairment(netns="vdc-a.spine0", interface="rack0-tor0", delay=0.02, jitter=0.001, loss=0.001)

QUEUES = {
    "rate without netem": (CABLE, False, "rack0-tor0 root tbf rate 10000000bit burst 12500 latency 50ms"),
    "rate of a guest": (FROM_GUEST, False, "ifbd351f000 root tbf rate 1000000000bit burst 1250000 latency 50ms"),
    "netem": (CABLE, True, "rack0-tor0 root netem loss 25% rate 10000000bit limit 1000"),
    "delay": (LATE, True, "rack0-tor0 root netem delay 20000us 1000us loss 0.1% limit 88750"),
}


@pytest.mark.parametrize("case", QUEUES)
def test_a_queue_is_what_the_wire_should_do(case: str) -> None:
    impairment, netem, wanted = QUEUES[case]
    assert impairments.queue_lines(impairment, netem=netem) == (f"qdisc replace dev {wanted}",)


def test_loss_alone_takes_no_queue_where_there_is_no_netem() -> None:
    assert impairments.queue_lines(TO_GUEST, netem=False) == ()


DROPS = {
    "a cable loses at its far end": (
        CABLE,
        "vdc-a.rack0-tor0",
        'add chain netdev vdc-spine0 loss { type filter hook ingress device "spine0" priority 0; }',
        "add rule netdev vdc-spine0 loss numgen random mod 1000000 < 250000 drop",
    ),
    "towards a guest at its tap": (
        TO_GUEST,
        "vdc-a",
        'add chain netdev vdc-rack0-cs0.0 loss { type filter hook egress device "rack0-cs0.0" priority 0; }',
        "add rule netdev vdc-rack0-cs0.0 loss numgen random mod 1000000 < 100000 drop",
    ),
    "from a guest at the bridge": (
        FROM_GUEST,
        "vdc-a",
        "add chain bridge vdc-rack0-cs0.0 loss { type filter hook prerouting priority 0; }",
        'add rule bridge vdc-rack0-cs0.0 loss iifname "rack0-cs0.0" numgen random mod 1000000 < 100000 drop',
    ),
}


@pytest.mark.parametrize("case", DROPS)
def test_what_is_lost_is_dropped_where_no_sender_notices(case: str) -> None:
    impairment, netns, *wanted = DROPS[case]
    lines = list(impairments.drop_lines(impairment))
    assert {where for where, _ in lines} == {netns}
    assert [line for _, line in lines][-2:] == wanted


LACKS: dict[str, tuple[list[Resource], set[str], list[str]]] = {
    "nothing is asked for": ([], set(), []),
    "netem does it all": ([LATE, CABLE], {"netem"}, []),
    "a delay without netem": (
        [LATE],
        {"tbf", "nftables"},
        ["delay and jitter from spine0 to rack0-tor0 cannot be had: this host's kernel has no sch_netem"],
    ),
    "many delays": (
        [LATE] * 5,
        {"nftables"},
        [
            "delay and jitter from spine0 to rack0-tor0, from spine0 to rack0-tor0, from spine0 to rack0-tor0 and 2 "
            "more cannot be had: this host's kernel has no sch_netem"
        ],
    ),
    "loss and rate without netem": ([CABLE], {"tbf", "nftables"}, []),
    "neither queue nor filter": ([CABLE], set(), ["the kernel has no nftables", "the kernel has no tbf"]),
    "from a guest": ([FROM_GUEST], {"netem"}, ["the kernel has no ifb"]),
}


@pytest.mark.parametrize("case", LACKS)
def test_what_the_kernel_lacks_is_said_by_name(case: str) -> None:
    resources, features, wanted = LACKS[case]
    assert list(impairments.lacks(resources, features.__contains__)) == wanted


NAT = Nat(
    netns="vdc-a.internet",
    inside="border0",
    border="10.131.0.2",
    sources=("10.64.0.0/16",),
    uplink="uplink",
    address="198.18.0.0/31",
    host_interface="vdcn01234567",
    host_address="198.18.0.1/31",
    table="vdc-a",
    outside=None,
)


def test_nat_lets_out_what_it_was_told_to_and_in_what_answers_and_drops_the_rest() -> None:
    assert list(nat.inner_rules(NAT)) == [
        "add table ip vdc-a",
        "add chain ip vdc-a forward { type filter hook forward priority filter; policy drop; }",
        "add rule ip vdc-a forward ct state established,related accept",
        'add rule ip vdc-a forward iifname "border0" ip saddr { 10.64.0.0/16, 10.131.0.2 } accept',
        "add chain ip vdc-a out { type nat hook postrouting priority srcnat; }",
        'add rule ip vdc-a out oifname "uplink" masquerade',
    ]


def test_a_host_that_forwards_anyway_gets_no_filter_and_one_that_does_not_forwards_nothing_else() -> None:
    plain = list(nat.outer_rules(NAT, ()))
    assert plain == [
        "add table inet vdc-a",
        "add chain inet vdc-a out { type nat hook postrouting priority srcnat; }",
        'add rule inet vdc-a out ip saddr 198.18.0.0 oifname != "vdcn*" masquerade',
    ]
    guarded = list(nat.outer_rules(NAT, ("eth0",)))
    assert guarded[: len(plain)] == plain
    assert guarded[-1] == 'add rule inet vdc-a forward iifname @guarded oifname != "vdcn*" drop'
