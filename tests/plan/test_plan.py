from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings

from tests.model.strategies import FOLDER, small, topologies
from tests.plan.test_golden import CASES, plan_of
from vdc.errors import InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.releases import names
from vdc.model.topology import Bfd, Routing, Topology
from vdc.plan.images import IMAGES
from vdc.plan.kinds import KINDS
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.plan.resources import RESOURCES
from vdc.plan.resources.disks import ConfigDisk
from vdc.plan.resources.processes import Bird, Domain
from vdc.plan.servers import domain_xml
from vdc.plan.timers import Timers, between_routers, described, to_servers
from vdc.shell import run

CONTEXT = PlanContext(
    instance="a",
    state_dir=Path("/var/lib/vdc"),
    cache_dir=Path("/var/cache/vdc"),
    accelerator="tcg",
    slowness=1.0,
)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(small(), CONTEXT)


def bird_configs() -> dict[str, str]:
    resources = make_plan(small(), CONTEXT).resources
    routers = {each.router: each.config for each in resources if isinstance(each, Bird)}
    servers = {each.server: each.files["/etc/bird/bird.conf"] for each in resources if isinstance(each, ConfigDisk)}
    return routers | servers


BIRD_CONFIGS = bird_configs()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_every_topology_file_loads_expands_and_plans(path: Path) -> None:
    topology = expand(load(path))
    plan = make_plan(topology, CONTEXT)
    assert topology.name == path.stem
    assert {each.router for each in plan.resources if isinstance(each, Bird)} == {r.name for r in topology.routers}
    assert {each.server for each in plan.resources if isinstance(each, Domain)} == {s.name for s in topology.servers}


@settings(max_examples=15, deadline=None)
@given(topologies)
def test_json_and_back_is_the_identity(topology: Topology) -> None:
    plan = make_plan(topology, CONTEXT)
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest


@settings(max_examples=15, deadline=None)
@given(topologies)
def test_ids_are_unique_and_everything_required_is_there(topology: Topology) -> None:
    resources = make_plan(topology, CONTEXT).resources
    ids = {resource.id for resource in resources}
    assert len(ids) == len(resources)
    assert {needed for resource in resources for needed in resource.requires} <= ids


def test_planning_twice_gives_the_same_and_another_instance_does_not(plan: Plan) -> None:
    assert make_plan(small(), CONTEXT).to_json() == plan.to_json()
    assert make_plan(small(), replace(CONTEXT, instance="b")).digest != plan.digest


def test_two_instances_share_no_namespace_file_or_uuid(plan: Plan) -> None:
    other = make_plan(small(), replace(CONTEXT, instance="b"))

    def owned(of: Plan) -> set[str]:
        namespaces = {each.id for each in of.resources if each.id.startswith("namespace:")}
        domains = [each for each in of.resources if isinstance(each, Domain)]
        return namespaces | {each.uuid for each in domains} | {each.console for each in domains}

    assert owned(plan)
    assert owned(plan) & owned(other) == set()


@pytest.mark.parametrize("name", ["", "A", "-a", "a" * 21, "a.b", "a/b", "a\n"])
def test_a_bad_instance_name_is_an_input_error(name: str) -> None:
    with pytest.raises(InputError, match="is not an instance name"):
        make_plan(small(), replace(CONTEXT, instance=name))


def test_a_state_directory_too_deep_for_sockets_is_an_input_error_before_anything_is_built() -> None:
    fits = len("/a/consoles/rack0-cs0.sock")
    deepest = Path("/" + "d" * (107 - fits - 1))
    assert make_plan(small(), replace(CONTEXT, state_dir=deepest)).resources
    with pytest.raises(InputError, match="108 bytes long"):
        make_plan(small(), replace(CONTEXT, state_dir=Path(f"{deepest}d")))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"context": 1}', "null"])
def test_json_that_is_no_plan_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="not a plan"):
        Plan.from_json(text)


def test_totals_are_the_sums_over_the_servers(plan: Plan) -> None:
    assert (plan.memory, plan.vcpus) == (3 * (640 << 20), 3)
    assert plan.disk >= 3 << 30
    assert make_plan(expand(load(FOLDER / "fabric.yml")), CONTEXT).disk == 0


def test_a_resource_is_found_by_its_id(plan: Plan) -> None:
    assert isinstance(plan.resource("domain:rack0-cs0"), Domain)
    with pytest.raises(KeyError, match="no resource"):
        plan.resource("domain:rack9-cs0")


def test_a_fabric_without_servers_needs_no_libvirt() -> None:
    plan = make_plan(expand(load(FOLDER / "fabric.yml")), CONTEXT)
    kinds = {type(resource).__name__ for resource in plan.resources}
    assert kinds == {"Namespace", "Loopback", "Bird", "Veth", "Bridge", "DefaultRoute"}


def test_every_part_of_a_topology_has_a_planner() -> None:
    collections = {field.name.removesuffix("s") for field in fields(Topology)}
    assert set(KINDS) == collections - {"name", "release", "boot", "family", "routing", "image", "kubernete", "script"}


def test_every_kind_of_resource_is_in_a_golden_plan() -> None:
    found = {type(resource).__name__ for case in CASES for resource in plan_of(case).resources}
    # the others are those of tests/plan/test_hardware.py
    assert found == set(RESOURCES) - {"VolumeDisk", "SharedFolder", "SeedDisk", "IgnitionFile", "Nvram"}


def test_every_release_of_the_language_has_an_image() -> None:
    assert set(names()) == set(IMAGES)


def test_another_release_boots_another_kernel_with_the_same_disks_and_cables() -> None:
    server = small().servers[0]
    old, new = (ET.fromstring(domain_xml(server, release, CONTEXT)) for release in ("debian-12", "debian-13"))
    assert old.findtext("os/kernel") != new.findtext("os/kernel")
    for path in ("uuid", "name"):
        assert old.findtext(path) == new.findtext(path)
    for path in ("devices/disk/source", "devices/interface/mac", "devices/interface/target"):
        assert [each.attrib for each in old.findall(path)] == [each.attrib for each in new.findall(path)]


def test_what_a_path_holds_is_escaped_in_xml() -> None:
    context = replace(CONTEXT, state_dir=Path('/srv/a&b<"c">'))
    xml = ET.fromstring(domain_xml(small().servers[0], "debian-12", context))
    sources = [source.get("file") for source in xml.findall("devices/disk/source")]
    assert sources[0] == '/srv/a&b<"c">/a/disks/rack0-cs0-root.qcow2'


def test_timers_towards_servers_scale_with_the_host_and_never_go_below_those_between_routers() -> None:
    fast, slow = to_servers(Routing(), 0.05), to_servers(Routing(), 2.0)
    assert (fast.bfd_interval, fast.hold) == (200, 9)
    assert (slow.bfd_interval, slow.hold) == (1200, 60)


def test_timers_towards_servers_that_are_longer_on_a_slow_host_are_told() -> None:
    assert described(small(), 0.05) == {}
    assert described(small(), 1.0) == {
        "BGP hold towards servers": "30 s (default 9 s)",
        "BFD towards servers": "600 ms, 5 times (default 200 ms, 5 times)",
    }
    assert described(replace(small(), servers=()), 1.0) == {}


def test_what_the_file_says_of_timers_wins_whatever_the_host() -> None:
    routing = Routing(bfd=Bfd(interval=0.05, multiplier=3), hold=3, server_bfd=Bfd(interval=2.0), server_hold=90)
    assert between_routers(routing, 10**6) == Timers(hold=3, bfd_interval=50, bfd_multiplier=3)
    assert to_servers(routing, 7.0) == Timers(hold=90, bfd_interval=2000)
    assert (
        to_servers(Routing(server_bfd=None), 1.0).bfd_interval
        == between_routers(Routing(bfd=None), 1).bfd_interval
        == 0
    )


@pytest.mark.parametrize("links", [1, 128, 1_024, 4_096, 16_000])
def test_bfd_between_routers_never_takes_more_than_its_share_of_the_host(links: int) -> None:
    interval = between_routers(Routing(), links).bfd_interval
    assert interval >= 200
    assert 2 * links / (interval / 1000) <= 2500
    assert interval == 200 or 2 * links / ((interval - 1) / 1000) > 2500, "slower than it needs to be"


def test_a_restarting_router_is_waited_for_and_a_silent_server_is_not() -> None:
    routing = Routing(graceful_restart=True)
    assert (between_routers(routing, 1).restart, between_routers(routing, 1).bfd_graceful) == (120, True)
    assert (to_servers(routing, 2.0).restart, to_servers(routing, 2.0).bfd_graceful) == (240, False)
    assert to_servers(routing, 1e6).restart == 4095


def test_a_tor_takes_nothing_from_a_server_but_its_node_address() -> None:
    session = BIRD_CONFIGS["rack0-tor0"].split("protocol bgp rack0_cs0 ")[1]
    assert "import where net ~ [ 10.64.0.1/32 ];" in session


@pytest.mark.parametrize("device", BIRD_CONFIGS)
def test_bird_accepts_the_configuration(device: str, tmp_path: Path) -> None:
    bird = shutil.which("bird", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if bird is None:
        pytest.skip("bird is not installed (package bird2)")
    config = tmp_path / "bird.conf"
    config.write_text(BIRD_CONFIGS[device].replace("/var/lib/vdc/a/bird", str(tmp_path)), encoding="utf-8")
    run([bird, "-p", "-c", str(config)], timeout=10)
