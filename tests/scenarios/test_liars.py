"""Each scenario passes on an honest data centre and fails on one that lies: a scenario that cannot fail is
none.

The table says for each scenario which lies it must find out, and which word its failure must have in it.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from vdc.errors import VdcError
from vdc.faults import injected
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.testing import FakeCluster, FakeDataCenter, FakeProbe, Lie

ROOT = Path(__file__).parents[2]
FIXTURES = frozenset({"dc", "cluster", "probe", "inject"})

Scenario = Callable[..., None]
Row = Mapping[Lie, str]

_UNDER_PROBE: Row = MappingProxyType(
    {
        Lie.WRITE_LOST: "no_write_lost: invalid",
        Lie.SLOW_FAILOVER: "longest_outage: invalid",
        Lie.NO_SAMPLES: "unknown",
        Lie.SAMPLES_STOP: "longest_outage: unknown",
    }
)
_FROM_DARK: Row = MappingProxyType(
    {
        Lie.WRITE_LOST: "no_write_lost: invalid",
        Lie.NO_SAMPLES: "unknown",
        Lie.SAMPLES_STOP: "longest_outage: unknown",
    }
)
_FAULT: Row = MappingProxyType({Lie.FAULT_WITHOUT_EFFECT: "to bite", Lie.NEVER_HEALS: "not healed"})
_RESTART: Row = MappingProxyType({Lie.REBOOT_IGNORED: "boot ID", Lie.DATA_LOST_BY_RESTART: "expected"})

LIES: Mapping[str, Row] = MappingProxyType(
    {
        "standard/test_fabric.py::test_every_bgp_and_bfd_session_is_up_and_every_route_is_in_its_kernel": {
            Lie.SESSION_DOWN: "Connect",
            Lie.BFD_DOWN: "Down",
            Lie.NEXT_HOP_MISSING: "expected",
        },
        "standard/test_fabric.py::test_every_pair_of_racks_is_joined_over_every_spine": {
            Lie.NEXT_HOP_MISSING: "rack2-tor1 to",
        },
        "standard/test_fabric.py::test_each_server_reaches_all_others_and_the_outside_over_one_tor_alone": {
            **_FAULT,
            Lie.EXTERNAL_UNREACHABLE: "to reach",
        },
        "standard/test_cluster.py::test_the_cluster_serves_through_every_member": {
            Lie.MEMBER_MUTE: "does not answer",
            Lie.STALE_READS: "expected",
        },
        "reboot/test_reboot.py::test_a_graceful_reboot_of_one_server_goes_unnoticed": {
            **_UNDER_PROBE,
            **_RESTART,
        },
        "reboot/test_reboot.py::test_the_leader_losing_power_costs_one_election": {
            **_UNDER_PROBE,
            **_RESTART,
            Lie.FAULT_WITHOUT_EFFECT: "still leads",
        },
        "reboot/test_reboot.py::test_all_servers_start_again_from_dark": {
            **_FROM_DARK,
            **_RESTART,
            Lie.FAULT_WITHOUT_EFFECT: "boot ID",
        },
        "fault/test_fabric_faults.py::test_the_loss_of_one_tor_is_survived": {**_UNDER_PROBE, **_FAULT},
        "fault/test_fabric_faults.py::test_the_loss_of_one_spine_is_survived": {**_UNDER_PROBE, **_FAULT},
        "fault/test_fabric_faults.py::test_a_cut_server_link_is_survived": {**_UNDER_PROBE, **_FAULT},
        "fault/test_server_faults.py::test_a_crashed_leader_is_replaced": {
            **_UNDER_PROBE,
            **_FAULT,
            **_RESTART,
            Lie.REBOOT_IGNORED: "not healed",
        },
        "fault/test_server_faults.py::test_the_loss_of_a_whole_rack_is_survived": {
            **_UNDER_PROBE,
            **_FAULT,
            **_RESTART,
        },
        "fault/test_server_faults.py::test_a_leader_cut_off_from_its_peers_is_replaced": {
            **_UNDER_PROBE,
            **_FAULT,
            Lie.OLD_LEADER_STAYS: "still leads",
        },
        "upgrade/test_rolling.py::test_a_rolling_upgrade_of_the_operating_system_goes_unnoticed": {
            **_UNDER_PROBE,
            **_RESTART,
            Lie.UPGRADE_IGNORED: "etcd 3.4",
            Lie.KERNEL_KEPT: "kernel 6.1",
        },
    }
)


@cache
def scenarios() -> Mapping[str, Scenario]:
    """Find every scenario there is: "suite/file::function" to function."""
    found: dict[str, Scenario] = {}
    for path in sorted((ROOT / "scenarios").glob("**/test_*.py")):
        spec = importlib.util.spec_from_file_location(f"_scenario_{path.parent.name}_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        place = path.relative_to(ROOT / "scenarios").as_posix()
        functions = inspect.getmembers(module, inspect.isfunction)
        found |= {f"{place}::{name}": function for name, function in functions if name.startswith("test_")}
    return found


def variants(scenario: Scenario) -> list[Mapping[str, Any]]:
    """Return the arguments that pytest would give besides fixtures, one mapping for each run."""
    extra = set(inspect.signature(scenario).parameters) - FIXTURES
    if not extra:
        return [{}]
    marks = [mark for mark in getattr(scenario, "pytestmark", []) if mark.name == "parametrize"]
    assert [{mark.args[0]} for mark in marks] == [extra], f"cannot run {scenario.__name__}"
    return [{marks[0].args[0]: value} for value in marks[0].args[1]]


@pytest.fixture(scope="module")
def small() -> Topology:
    return expand(load(ROOT / "topologies" / "small.yml"))


_RACKS = "racks: [{count: 3, servers: {cs: 1}}]\nroles: {cs: {memory: 512MiB}}\nexternal: {clients: 1}\n"
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "ipv6": f"family: ipv6\n{_RACKS}",
        "dual_unnumbered_ibgp": (
            f"family: dual\nfabric: {{links: unnumbered}}\nrouting: {{rack: ibgp}}\noob: {{servers: true}}\n{_RACKS}"
        ),
        "five_stage": f"fabric: {{borders: 2, superspines: 2, pods: 2, spines: 2}}\n{_RACKS}",
        "ecmp_of_two_without_bfd": (
            "fabric: {spines: 3, tors: 3}\n"
            f"routing: {{ecmp: 2, bfd: {{enabled: false}}, server_bfd: {{enabled: false}}}}\n{_RACKS}"
        ),
        "uneven": (
            "racks: [{count: 2, servers: {cs: 1}}, {tors: 3, servers: {cs: 1}}]\nroles: {cs: {memory: 512MiB}}\n"
            "external: {clients: 1}\n"
        ),
        "more_beside": (
            "networks: {lab: {prefixes: [192.0.2.0/24]}}\nimages: {theirs: {file: theirs.img}}\n"
            "devices:\n  bench: {kind: client, interfaces: [{network: lab}]}\n"
            "  guest: {kind: server, server: {memory: 512MiB, image: theirs}, interfaces: [{network: lab}]}\n"
            f"  fw: {{kind: router, interfaces: [{{link: border0}}, {{network: lab}}]}}\n{_RACKS}"
        ),
    }
)
"""Data centres that are not as small.yml: those that scenarios must make sense on, too."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(LIES))
def test_a_scenario_passes_on_every_kind_of_data_centre(name: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "kind.yml"
    file.write_text(f"name: kind\n{KINDS[kind]}")
    topology = expand(load(file))
    for arguments in variants(scenarios()[name]):
        assert played(topology, tmp_path, scenarios()[name], arguments).dirty() is None


@pytest.fixture
def play(small: Topology, tmp_path: Path) -> Callable[..., FakeDataCenter]:
    """Run a scenario on a fresh fake data centre that tells these lies, and return it."""
    return partial(played, small, tmp_path)


def played(
    topology: Topology, folder: Path, scenario: Scenario, arguments: Mapping[str, Any], *lies: Lie
) -> FakeDataCenter:
    dc = FakeDataCenter(topology, folder, lies=lies)
    offered = {
        "dc": dc,
        "cluster": FakeCluster(dc),
        "probe": FakeProbe(dc),
        "inject": partial(injected, dc),
    }
    wanted = set(inspect.signature(scenario).parameters) & FIXTURES
    scenario(**{name: offered[name] for name in wanted}, **arguments)
    return dc


def test_every_scenario_has_a_row_and_every_row_a_scenario() -> None:
    assert scenarios()
    assert set(LIES) == set(scenarios())
    assert all(LIES.values())


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_scenario_passes_on_an_honest_data_centre(name: str, play: Callable[..., FakeDataCenter]) -> None:
    for arguments in variants(scenarios()[name]):
        assert play(scenarios()[name], arguments).dirty() is None


@pytest.mark.parametrize(("name", "lie"), [(name, lie) for name in sorted(LIES) for lie in LIES[name]], ids=str)
def test_a_scenario_finds_the_lie(name: str, lie: Lie, play: Callable[..., FakeDataCenter]) -> None:
    for arguments in variants(scenarios()[name]):
        with _failing(LIES[name][lie]):
            play(scenarios()[name], arguments, lie)


@contextmanager
def _failing(word: str) -> Iterator[None]:
    with pytest.raises((AssertionError, VdcError)) as caught:
        yield
    assert word in str(caught.value), f"failed for another reason: {caught.value}"
