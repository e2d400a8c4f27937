from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings

from tests.model.strategies import FOLDER, small, topologies
from vdc.errors import InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.spec import RELEASES
from vdc.model.topology import Topology
from vdc.plan.images import IMAGES
from vdc.plan.kinds import KINDS
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.plan.resources import RESOURCES, Bird, ConfigDisk, Domain
from vdc.plan.servers import domain_xml
from vdc.plan.timers import to_servers
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


def test_every_collection_of_a_topology_has_a_planner_and_small_uses_every_resource(plan: Plan) -> None:
    collections = {field.name.removesuffix("s") for field in fields(Topology)} - {"name", "release", "boot"}
    assert set(KINDS) == collections
    assert {type(resource).__name__ for resource in plan.resources} == set(RESOURCES)


def test_every_release_of_the_language_has_an_image() -> None:
    assert set(RELEASES) == set(IMAGES)


def test_another_release_boots_another_kernel_with_the_same_disks_and_cables() -> None:
    server = small().servers[0]
    old, new = (ET.fromstring(domain_xml(server, release, CONTEXT)) for release in RELEASES[:2])
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
    assert (to_servers(0.05).bfd_interval, to_servers(0.05).hold) == (200, 9)
    assert (to_servers(2.0).bfd_interval, to_servers(2.0).hold) == (1200, 60)


def test_a_tor_takes_nothing_from_a_server_but_its_node_address() -> None:
    session = BIRD_CONFIGS["rack0-tor0"].split("protocol bgp rack0_cs0 ")[1]
    assert "import where net = 10.64.0.1/32;" in session


@pytest.mark.parametrize("device", BIRD_CONFIGS)
def test_bird_accepts_the_configuration(device: str, tmp_path: Path) -> None:
    bird = shutil.which("bird", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if bird is None:
        pytest.skip("bird is not installed (package bird2)")
    config = tmp_path / "bird.conf"
    config.write_text(BIRD_CONFIGS[device].replace("/var/lib/vdc/a/bird", str(tmp_path)), encoding="utf-8")
    run([bird, "-p", "-c", str(config)], timeout=10)
