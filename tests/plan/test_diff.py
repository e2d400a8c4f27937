"""What differs between two plans, what of it a running data centre can become, and what it is on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import Golden
from vdc.cli.difference import diff_text
from vdc.datacenter.apply import Reshaping, expect_possible
from vdc.errors import InputError
from vdc.model.expand import expand
from vdc.model.load import parse
from vdc.model.routing import expected_routes
from vdc.model.topology import Topology
from vdc.plan.diff import diff
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.plan.reshape import drained, owner, refusals, union
from vdc.plan.resources.network import Veth
from vdc.plan.resources.processes import Bird, Domain

GOLDEN = Path(__file__).parents[1] / "golden" / "diff"

CONTEXT = PlanContext(
    instance="mine",
    state_dir=Path("/var/lib/vdc"),
    cache_dir=Path("/var/cache/vdc"),
    accelerator="tcg",
    slowness=1.0,
)

BASE = """\
name: base
fabric: {borders: 2, spines: 2}
racks: [{count: 2, servers: {cs: 2, ss: 1}}]
roles: {cs: {memory: 640MiB}, ss: {memory: 640MiB, volumes: [{name: d, kind: empty, size: 1GiB}]}}
networks: {lab: {prefixes: [192.0.2.0/24]}}
devices:
  fw: {kind: router, interfaces: [{link: spine0}, {network: lab}]}
  bench: {kind: client, interfaces: [{network: lab}]}
"""


def edited(*edits: tuple[str, str]) -> str:
    text = BASE
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


CASES: Mapping[str, str] = {
    "nothing": BASE,
    "rack": edited(("count: 2, ", "count: 3, ")),
    "no_rack": edited(("count: 2, ", "count: 1, ")),
    "server": edited(("{cs: 2, ss: 1}", "{cs: 3, ss: 1}")),
    "no_server": edited(("{cs: 2, ss: 1}", "{cs: 2}")),
    "spine": edited(("spines: 2", "spines: 3")),
    "no_border": edited(("borders: 2", "borders: 1")),
    "device": f"{BASE}  more: {{kind: client, interfaces: [{{network: lab}}]}}\n",
    "device_before": edited(("devices:\n", "devices:\n  more: {kind: client, interfaces: [{network: lab}]}\n")),
    "no_device": BASE.partition("  bench:")[0],
    "link": f"{BASE}links: [{{between: [spine0, rack0-tor0], mtu: 1400, rate: 10Mbit, loss: 0.5%}}]\n",
    "network_mtu": edited(("[192.0.2.0/24]", "[192.0.2.0/24], mtu: 1400")),
    "timers": f"{BASE}routing: {{ecmp: 8, bfd: {{interval: 300ms}}}}\n",
    "memory": edited(("cs: {memory: 640MiB}", "cs: {memory: 1GiB}")),
    "volume": edited(("size: 1GiB", "size: 2GiB")),
    "family": f"{BASE}family: dual\n",
    "name": edited(("name: base", "name: other")),
    "asn": f"{BASE}overrides: {{rack0-tor0: {{asn: 4200020000}}, rack1-cs0: {{addresses: [10.64.3.9]}}}}\n",
    "pool": f"{BASE}pools: {{link: 10.9.0.0/20}}\n",
    "five_spines": edited(("spines: 2", "spines: 5")),
}
"""Files that a data centre of `BASE` is to become."""


def topology_of(text: str) -> Topology:
    return expand(parse(text, file="test.yml"))


def plan_of(text: str) -> Plan:
    return make_plan(topology_of(text), CONTEXT)


RUNNING = plan_of(BASE)


def said(case: str) -> str:
    target = plan_of(CASES[case])
    found = diff(RUNNING, target)
    try:
        expect_possible(Reshaping(running=RUNNING, target=target, diff=found))
    except InputError as error:
        return f"{diff_text(found)}\n\nerror: {error}\n"
    return f"{diff_text(found)}\n"


@pytest.mark.parametrize("case", CASES)
def test_what_is_told_of_a_difference(case: str, golden: Golden) -> None:
    golden(GOLDEN / f"{case}.txt", said(case))


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


def test_what_is_refused_is_refused_and_nothing_else() -> None:
    refused = {case for case in CASES if "error: " in said(case)}
    assert refused == {"device_before", "memory", "volume", "family", "name", "asn", "pool", "five_spines"}


@pytest.mark.parametrize("case", CASES)
def test_going_back_is_the_opposite(case: str) -> None:
    there, back = diff(RUNNING, plan_of(CASES[case])), diff(plan_of(CASES[case]), RUNNING)
    assert {each.id for each in there.added} == {each.id for each in back.removed}
    assert {each.id for each in there.removed} == {each.id for each in back.added}
    assert {(old.id, new.id) for old, new in there.changed} == {(new.id, old.id) for old, new in back.changed}
    assert {each.name for each in there.of("added")} == {each.name for each in back.of("removed")}


GROWN = ("rack", "server", "spine", "device")


@pytest.mark.parametrize("case", GROWN)
def test_what_is_added_changes_nothing_of_what_is_there_but_what_routers_and_servers_are_told(case: str) -> None:
    found = diff(RUNNING, plan_of(CASES[case]))
    assert found.added
    assert found.of("changed") == ()
    assert {type(new).__name__ for _, new in found.changed} <= {"Bird", "ConfigDisk"}


@pytest.mark.parametrize("case", GROWN)
def test_between_a_topology_and_one_with_more_is_the_latter(case: str) -> None:
    old, new = topology_of(BASE), topology_of(CASES[case])
    assert union(old, new) == new
    assert drained(new, new) == new


def test_a_cable_that_leads_elsewhere_is_not_the_same_cable() -> None:
    target = plan_of(CASES["pool"])
    moved = [new for _, new in diff(RUNNING, target).changed if isinstance(new, Veth)]
    assert moved
    assert len(refusals(diff(RUNNING, target))) >= len(moved)


def test_a_domain_of_another_image_is_refused_though_its_topology_is_the_same() -> None:
    other = tuple(
        replace(item, xml=f"{item.xml}<!-- -->") if isinstance(item, Domain) else item for item in RUNNING.resources
    )
    found = diff(RUNNING, replace(RUNNING, resources=other))
    assert found.devices == ()
    assert refusals(found)[0] == "rack0-cs0: domain:rack0-cs0 differs"


def text_of(sizes: tuple[int, int, int, int], ways: tuple[str, str, str]) -> str:
    (borders, spines, racks, servers), (family, links, rack) = sizes, ways
    return (
        f"name: any\nfamily: {family}\nfabric: {{borders: {borders}, spines: {spines}, links: {links}}}\n"
        f"racks: [{{count: {racks}, servers: {{cs: {servers}}}}}]\nroles: {{cs: {{}}}}\nrouting: {{rack: {rack}}}\n"
    )


_few = st.integers(min_value=1, max_value=3)
_sizes = st.tuples(_few, _few, _few, _few)
_ways = st.tuples(
    st.sampled_from(["ipv4", "ipv6", "dual"]),
    st.sampled_from(["numbered", "unnumbered"]),
    st.sampled_from(["ebgp", "ibgp"]),
)


@given(before=_sizes, after=_sizes, ways=_ways)
@settings(max_examples=40, deadline=None)
def test_any_size_can_become_any_other(
    before: tuple[int, int, int, int], after: tuple[int, int, int, int], ways: tuple[str, str, str]
) -> None:
    old, new = (plan_of(text_of(sizes, ways)) for sizes in (before, after))
    assert refusals(diff(old, new)) == ()


@given(before=_sizes, after=_sizes, ways=_ways)
@settings(max_examples=40, deadline=None)
def test_drained_what_stays_routes_as_if_what_leaves_were_gone(
    before: tuple[int, int, int, int], after: tuple[int, int, int, int], ways: tuple[str, str, str]
) -> None:
    old, new = (topology_of(text_of(sizes, ways)) for sizes in (before, after))
    routes, left = expected_routes(drained(union(old, new), new)), expected_routes(new)
    for router in new.routers:
        assert routes[router.name] == left[router.name], router.name


@given(before=_sizes, after=_sizes, ways=_ways)
@settings(max_examples=40, deadline=None)
def test_in_between_is_everything_but_servers_that_leave(
    before: tuple[int, int, int, int], after: tuple[int, int, int, int], ways: tuple[str, str, str]
) -> None:
    old, new = (topology_of(text_of(sizes, ways)) for sizes in (before, after))
    both = make_plan(union(old, new), CONTEXT)
    ids = {each.id for each in both.resources}
    was, will_be = ({each.id for each in make_plan(each, CONTEXT).resources} for each in (old, new))
    servers = {server.name for server in old.servers} - {server.name for server in new.servers}
    gone = {each.id for each in make_plan(old, CONTEXT).resources if owner(each) in servers}
    assert ids >= will_be
    assert {rid for rid in was - ids if rid not in {"libvirtd", "console-recorder"}} == gone
    sessions = {(s.device, s.peer_device) for router in both.topology.routers for s in router.sessions}
    assert {(peer, device) for device, peer in sessions if peer in {r.name for r in both.topology.routers}} <= sessions


def test_drained_a_router_that_leaves_tells_nobody_that_stays_and_is_told_as_before() -> None:
    old, new = topology_of(BASE), topology_of(CASES["no_border"])
    plan = make_plan(drained(union(old, new), new), CONTEXT)
    texts = {each.router: each.config for each in plan.resources if isinstance(each, Bird)}
    before = {each.router: each.config for each in RUNNING.resources if isinstance(each, Bird)}
    assert [name for name, text in texts.items() if sorted(text) != sorted(before[name])] == ["border1"]
    assert texts["border1"].count("export none;") - before["border1"].count("export none;") == 2
