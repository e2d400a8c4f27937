"""The rules that reach over fields; what they say is in tests/golden/errors."""

from __future__ import annotations

import time
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from annotated_types import Le
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from vdc.errors import InputError
from vdc.model import addressing
from vdc.model.checks import CHECKS, findings
from vdc.model.checks.base import Survey
from vdc.model.checks.names import INSTANCE_LENGTH
from vdc.model.checks.shape import MOST_RACKS
from vdc.model.expand import expand
from vdc.model.load import parse
from vdc.model.reuse import extended, filled_in, read_file
from vdc.model.spec import FabricSpec, TopologySpec
from vdc.model.topology import Tier
from vdc.model.validation import shaped
from vdc.plan.context import PlanContext
from vdc.settings import CACHE_DIR, STATE_DIR

TIERS = ("borders", "superspines", "pods", "spines", "tors")
ERRORS = Path(__file__).parents[1] / "golden" / "errors"


@cache
def surveys() -> tuple[Survey, ...]:
    """What can be made of the files with mistakes."""
    made = []
    for path in sorted(ERRORS.glob("*.yml")):
        try:
            tree = filled_in(extended(read_file(path)), ())
        except InputError:
            continue
        spec, _, _ = shaped(tree)
        if spec is not None:
            made.append(Survey(spec=spec))
    return tuple(made)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.__module__.rpartition('.')[2]}.{check.__name__}")
def test_every_rule_is_broken_by_a_golden_case(check: object) -> None:
    assert callable(check)
    assert [finding for survey in surveys() for finding in check(survey)]


BIG = """\
name: big
fabric: {spines: 4}
racks: [{count: 1000, servers: {cs: 14, ss: 6}}]
roles: {cs: {}, ss: {}}
pools: {link: 10.16.0.0/14, loopback: 10.1.0.0/18, segment: 10.32.0.0/11, node: 10.64.0.0/13}
"""


def test_a_thousand_racks_of_twenty_servers_are_checked_in_two_seconds() -> None:
    started = time.process_time()
    spec = parse(BIG, file="big.yml")
    assert len(spec.rack_servers()) == 1000
    assert time.process_time() - started < 2


def test_a_thousand_racks_written_one_by_one_are_checked_as_soon() -> None:
    racks = "".join(f"  - {{servers: {{cs: 14, ss: {5 + number % 2}}}}}\n" for number in range(1000))
    text = BIG.replace("racks: [{count: 1000, servers: {cs: 14, ss: 6}}]\n", f"racks:\n{racks}")
    started = time.process_time()
    assert len(parse(text, file="big.yml").rack_servers()) == 1000
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    ("racks", "told"),
    [
        ("[{count: 4096, servers: {cs: 1024}}]", "racks[0]: makes 4,194,304 servers, and there can be 200,000"),
        (
            "[{}, {repeat: 4000, racks: [{repeat: 4000, racks: [{count: 4000}]}]}]",
            "racks[1]: makes 64,000,000,001 racks, and there can be 10,000",
        ),
    ],
)
def test_what_is_far_too_large_is_told_at_once(racks: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(f"name: x\nracks: {racks}\nroles: {{cs: {{}}}}\n", file="t.yml")
    (problem,) = caught.value.problems
    assert f"{problem.path}: {problem.message}" == told


def test_a_name_in_thousands_is_guessed_in_a_moment() -> None:
    wrong = "".join(f"  rack1000-cs{number}: {{cpu: 1}}\n" for number in range(50))
    started = time.process_time()
    with pytest.raises(InputError, match='unknown device "rack1000-cs3"; did you mean "rack100-cs3"'):
        parse(f"{BIG}overrides:\n{wrong}", file="big.yml")
    assert time.process_time() - started < 3


def test_interfaces_named_after_routers_are_never_too_long() -> None:
    fields = FabricSpec.model_fields
    rules = {key: next(each for each in fields[key].metadata if isinstance(each, Le)) for key in TIERS}
    last = {key: int(str(rule.le)) - 1 for key, rule in rules.items()}
    names = (
        addressing.leg_name(addressing.router_name(Tier.TOR, last["tors"], rack=MOST_RACKS - 1)),
        addressing.leg_name(addressing.router_name(Tier.BORDER, last["borders"])),
        addressing.router_name(Tier.SUPERSPINE, last["superspines"]),
        addressing.router_name(Tier.SPINE, last["spines"], pod=last["pods"]),
    )
    assert max(map(len, names)) == addressing.IFNAMSIZ


def test_a_socket_named_after_the_longest_device_fits_in_the_default_directory() -> None:
    """Interfaces have at most 15 characters, instances 20; `vdc.plan` checks other directories."""
    context = PlanContext(
        instance="i" * INSTANCE_LENGTH, state_dir=STATE_DIR, cache_dir=CACHE_DIR, accelerator="tcg", slowness=1.0
    )
    longest = "d" * addressing.IFNAMSIZ
    sockets = (context.console(longest), context.bird_file(longest, "ctl"))
    assert max(len(bytes(path)) for path in sockets) <= 107


def valid(text: str) -> TopologySpec:
    return parse(f"name: x\n{text}", file="t.yml")


@pytest.mark.parametrize(
    "text",
    [
        "fabric: {spines: 0, borders: 0}\nracks: [{tors: 1, servers: {a: 1}}]\nroles: {a: {}}\n",
        "fabric: {spines: 0}\nracks: [{count: 3}]\n",
        "networks: {lan: {}}\ndevices: {pc: {kind: client, interfaces: [{network: lan}]}}\n",
        "family: ipv6\nracks: [{servers: {cs: 3}}]\nroles: {cs: {}}\npools: {node: 10.64.0.0/24}\n",
        "racks: [{}]\nasn: {border: 64512, spine: 64513, tor: 64600, server: 65000}\n",
        "racks: [{}]\npools: {node: 10.80.0.0/16}\n",
        "racks: [{servers: {cs: 1}}]\nroles: {cs: {smp: {sockets: 2, cores: 2, cpus: 3}}}\n",
        "racks: [{servers: {a: 1}}]\nroles: {a: {cpu: 4, numa: 2}}\noverrides: {rack0-a0: {smp: {cpus: 4}}}\n",
        "racks: [{servers: {a: 1}, roles: {a: {cpu: 4}}}]\nroles: {a: {numa: 4}}\n",
        "racks: [{}]\noverrides: {spine0: {asn: 4200000001}, spine1: {asn: 4200500000}, border0: {asn: 4200500001}}\n",
        "racks: [{}]\nlinks: [{between: [border0, external], delay: 5ms}, {between: ['*', rack0-tor?], mtu: 1400}]\n",
    ],
)
def test_unusual_files_are_valid_all_the_same(text: str) -> None:
    assert valid(text).name == "x"


def test_without_racks_there_is_no_fabric_unless_the_file_has_one() -> None:
    flat = valid("networks: {lan: {}}\n")
    assert (flat.fabric.borders, flat.fabric.spines, flat.external.clients) == (0, 0, 0)
    fabric = valid("networks: {lan: {}}\nfabric: {spines: 3}\n")
    assert (fabric.fabric.borders, fabric.fabric.spines, fabric.external.clients) == (1, 3, 1)


_LENGTHS = st.fixed_dictionaries(
    {
        "link": st.integers(22, 29),
        "loopback": st.integers(24, 29),
        "segment": st.integers(20, 26),
        "node": st.integers(22, 28),
        "pod": st.integers(18, 26),
        "external": st.integers(26, 30),
        "operation": st.integers(26, 30),
        "oob": st.integers(22, 26),
        "bastion": st.integers(24, 30),
    }
)
_SHAPES = st.fixed_dictionaries(
    {
        "borders": st.integers(1, 3),
        "superspines": st.integers(1, 2),
        "pods": st.integers(1, 2),
        "spines": st.integers(1, 5),
        "tors": st.integers(1, 3),
    }
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(_LENGTHS, _SHAPES, st.integers(2, 4), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_what_the_rules_of_room_allow_fits(
    lengths: dict[str, int], fabric: dict[str, int], racks: int, servers: int, clients: int, blocks: int
) -> None:
    """Pools that are just big enough: nothing is beyond its pool, and nothing is there twice."""
    pools = {name: f"10.{number}.0.0/{length}" for number, (name, length) in enumerate(lengths.items(), start=1)}
    data = {
        "name": "x",
        "fabric": fabric,
        "racks": [{"count": racks, "servers": {"cs": servers}}],
        "roles": {"cs": {"announces": ["bastion"], "pod_blocks": blocks}},
        "external": {"clients": clients},
        "operation": {"clients": clients},
        "oob": {"servers": True},
        "pools": {**pools, "segment_length": 28, "pod_length": 28},
    }
    spec = TopologySpec.model_validate(data)
    event("fits" if not list(findings(spec)) else "does not fit")
    assume(not list(findings(spec)))
    made = expand(spec, {})
    ends = [end for link in made.links for end in (link.a, link.b)]
    ports = {segment.kind.value: list(segment.ports) for segment in made.segments}
    for name, there in (
        ("link", [each.ip for end in ends for each in end.addresses]),
        ("loopback", [each.ip for router in made.routers for each in router.loopbacks]),
        ("node", [each.ip for server in made.servers for each in server.nodes]),
        ("bastion", [each.ip for server in made.servers for each in server.announces]),
        *((kind, [each.ip for end in ports.get(kind, ()) for each in end.addresses]) for kind in ("external", "oob")),
    ):
        assert len(there) == len(set(there)), name
        assert [each for each in there if each not in getattr(spec.pools, name)] == []
    blocks_given = [each for server in made.servers for each in server.pods]
    assert len(blocks_given) == len(set(blocks_given))
    assert all(each.subnet_of(spec.pools.pod) for each in blocks_given if isinstance(each, IPv4Network))
    prefixes = [segment.prefix for segment in made.segments]
    assert len(prefixes) == len(set(prefixes))
