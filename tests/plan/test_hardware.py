"""What servers with more than CPUs and memory are made of: their domains to the letter, their disks, their seeds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Golden
from tests.model.strategies import small
from vdc.model.hardware import Hardware, IoLimits, Seed, Smbios, Smp, UserImage, Volume
from vdc.model.topology import Server, Topology
from vdc.plan.emulation import UEFI_FIRMWARE
from vdc.plan.plan import ROOT_GROWTH, Plan, PlanContext, make_plan
from vdc.plan.resources.disks import ConfigDisk, IgnitionFile, Nvram, Overlay, SeedDisk, SharedFolder, VolumeDisk
from vdc.plan.resources.network import Tap
from vdc.plan.resources.processes import Domain
from vdc.plan.servers import numa_cells
from vdc.plan.volumes import disk_name

GOLDEN = Path(__file__).parents[1] / "golden" / "hardware"
CONTEXT = PlanContext(
    instance="a",
    state_dir=Path("/var/lib/vdc"),
    cache_dir=Path("/var/cache/vdc"),
    accelerator="tcg",
    slowness=1.0,
)
GIB = 1 << 30
UBUNTU = UserImage(name="ubuntu", url="https://example.org/ubuntu.img", sha256="0" * 64)
USER_DATA = "#cloud-config\nhostname: x\n"

SMP = Smp(cpus=2, sockets=2, dies=1, cores=1, threads=2, maxcpus=4)
LIMITS = IoLimits(read_bytes=10 << 20, write_bytes=5 << 20, read_iops=100, write_iops=50)

CASES: Mapping[str, dict[str, object]] = {
    "plain": {},
    "beside-the-fabric": {"rack": None, "nodes": (), "sessions": ()},
    "smp": {"cpu": 2, "hardware": Hardware(smp=SMP)},
    "numa": {"cpu": 4, "memory": 2 * GIB, "hardware": Hardware(numa=2)},
    "numa-of-cpus-that-come-later": {"cpu": 2, "hardware": Hardware(smp=SMP, numa=2)},
    "queues": {"hardware": Hardware(queues=4)},
    "uefi": {"hardware": Hardware(firmware="uefi")},
    "smbios": {"hardware": Hardware(smbios=Smbios(manufacturer="A & B", product="X<1>", serial="0123"))},
    "virtio": {"hardware": Hardware(volumes=(Volume(name="logs", kind="empty", size=GIB, serial="s1"),))},
    "scsi": {"hardware": Hardware(volumes=(Volume(name="logs", kind="raw", size=GIB, bus="scsi", cache="none"),))},
    "nvme": {
        "hardware": Hardware(
            volumes=(
                Volume(name="fast", kind="empty", size=GIB, bus="nvme", cache="directsync", limits=LIMITS),
                Volume(name="fixed", kind="raw", size=GIB, bus="nvme", writable=False),
            )
        )
    },
    "limits": {"hardware": Hardware(volumes=(Volume(name="slow", kind="empty", size=GIB, limits=LIMITS),))},
    "device-class": {"hardware": Hardware(volumes=(Volume(name="ssd", kind="empty", size=GIB, directory="/ssd"),))},
    "image-volume": {
        "hardware": Hardware(volumes=(Volume(name="tools", kind="image", source="ubuntu", writable=False),))
    },
    "folders": {
        "hardware": Hardware(
            volumes=(
                Volume(name="results", kind="folder", source="/srv/results"),
                Volume(name="sources", kind="folder", source="/srv/sources", writable=False),
            )
        )
    },
    "user-image": {"image": "ubuntu", "sessions": (), "seed": Seed(user_data=USER_DATA)},
    "user-image-uefi-ignition": {
        "image": "ubuntu",
        "sessions": (),
        "seed": Seed(ignition='{"ignition": {"version": "3.3.0"}}'),
        "hardware": Hardware(
            firmware="uefi",
            volumes=(Volume(name="more", kind="empty", size=GIB), Volume(name="yet", kind="raw", size=1)),
        ),
    },
}


def topology_of(case: str) -> Topology:
    """One server of a case, like the first of `small`, and no fabric."""
    base = small()
    first = replace(base.servers[0], hardware=Hardware())
    return replace(
        base,
        servers=(replace(first, **CASES[case]),),  # type: ignore[arg-type]
        images=(UBUNTU,),
        routers=(),
        links=(),
        externals=(),
        segments=tuple(replace(segment, ports=()) for segment in base.segments),
    )


def plan_of(case: str) -> Plan:
    return make_plan(topology_of(case), CONTEXT)


def domain_of(plan: Plan) -> Domain:
    (domain,) = (resource for resource in plan.resources if isinstance(resource, Domain))
    return domain


def of(plan: Plan, kind: type) -> list[object]:
    return [resource for resource in plan.resources if isinstance(resource, kind)]


@pytest.mark.parametrize("case", CASES)
def test_the_domain_is_what_it_was_before(case: str, golden: Golden) -> None:
    # the digest of an image's recipe is not the compiler's business
    xml = re.sub(r"(debian-\d+)-[0-9a-f]{12}\b", r"\1-DIGEST", domain_of(plan_of(case)).xml)
    golden(GOLDEN / f"{case}.xml", xml)


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_domain_waits_for_all_that_it_opens(case: str) -> None:
    plan = plan_of(case)
    resources = {resource.id: resource for resource in plan.resources}
    domain = domain_of(plan)
    assert set(domain.requires) <= set(resources)
    made = {path for rid in domain.requires for path in [getattr(resources[rid], "path", None)] if path}
    opened = [value for each in ET.fromstring(domain.xml).iter() for value in (*each.attrib.values(), each.text or "")]
    below = f"{CONTEXT.run_directory}/disks/"
    for path in (path for value in opened for path in value.split("=" if "," in value else "\n")):
        if path.startswith((below, "/ssd/vdc-a")):
            assert path.split(",")[0] in made


@pytest.mark.parametrize("case", CASES)
def test_json_and_back_is_the_identity(case: str) -> None:
    plan = plan_of(case)
    assert Plan.from_json(plan.to_json()) == plan


def test_a_guest_of_a_users_image_boots_its_own_disk_and_has_nothing_of_ours() -> None:
    plan = plan_of("user-image")
    domain = ET.fromstring(domain_of(plan).xml)
    assert domain.find("os/kernel") is None
    assert [serial.text for serial in domain.findall("devices/disk/serial")] == ["root", "seed"]
    (root,) = of(plan, Overlay)
    assert isinstance(root, Overlay)
    assert root.backing == str(CONTEXT.user_image(UBUNTU))
    assert of(plan, ConfigDisk) == []


def test_another_image_is_another_file_of_the_cache() -> None:
    images = (UBUNTU, replace(UBUNTU, sha256="1" * 64), replace(UBUNTU, compression="xz"))
    assert len({CONTEXT.user_image(image) for image in images}) == len(images)
    assert CONTEXT.user_image(replace(UBUNTU, name="other")) == CONTEXT.user_image(UBUNTU)


@pytest.mark.parametrize("network", [None, "version: 2\n"])
def test_a_seed_has_a_network_only_where_it_is_given(network: str | None) -> None:
    server = replace(topology_of("user-image").servers[0], seed=Seed(user_data=USER_DATA, network_config=network))
    (seed,) = of(make_plan(replace(topology_of("user-image"), servers=(server,)), CONTEXT), SeedDisk)
    assert isinstance(seed, SeedDisk)
    assert seed.files["user-data"] == USER_DATA
    assert f'"local-hostname": "{server.name}"' in seed.files["meta-data"]
    assert str(CONTEXT.uuid(server.name)) in seed.files["meta-data"]
    assert seed.files.get("network-config") == network


def test_ignition_and_firmware_variables_are_files_of_the_server() -> None:
    plan = plan_of("user-image-uefi-ignition")
    (ignition,), (nvram,) = of(plan, IgnitionFile), of(plan, Nvram)
    assert isinstance(ignition, IgnitionFile)
    assert isinstance(nvram, Nvram)
    assert '"version": "3.3.0"' in ignition.text
    assert nvram.template == CONTEXT.uefi.variables
    assert of(plan, SeedDisk) == []


def test_a_folder_that_may_be_written_is_nothing_but_itself() -> None:
    plan = plan_of("folders")
    (folder,) = of(plan, SharedFolder)
    assert isinstance(folder, SharedFolder)
    assert (folder.name, folder.source) == ("sources", "/srv/sources")
    sources = [each.get("dir") for each in ET.fromstring(domain_of(plan).xml).findall("devices/filesystem/source")]
    assert sources == ["/srv/results", folder.path]


def test_taps_have_as_many_queues_as_the_nic() -> None:
    plan = plan_of("queues")
    assert {tap.queues for tap in plan.resources if isinstance(tap, Tap)} == {4}


def test_volumes_count_into_what_a_plan_takes_but_those_kept_elsewhere() -> None:
    plain = plan_of("plain").disk
    assert plan_of("nvme").disk == plain + 2 * GIB
    assert plan_of("image-volume").disk == plain + ROOT_GROWTH
    assert plan_of("device-class").disk == plain
    assert plan_of("folders").disk == plain
    assert plan_of("user-image").disk == ROOT_GROWTH


def test_two_volumes_never_share_a_file_also_across_servers_and_instances() -> None:
    base = small()
    hardware = Hardware(
        volumes=(Volume(name="root", kind="raw", size=1, directory="/ssd"), Volume(name="b", kind="raw"))
    )
    topology = replace(base, servers=tuple(replace(server, hardware=hardware) for server in base.servers))
    plans = [make_plan(topology, replace(CONTEXT, instance=name)) for name in ("a", "b")]
    paths = [resource.path for plan in plans for resource in plan.resources if isinstance(resource, VolumeDisk)]
    roots = [resource.path for plan in plans for resource in plan.resources if isinstance(resource, Overlay)]
    assert len(set(paths + roots)) == len(paths) + len(roots) == 3 * 2 * len(base.servers)


@given(nodes=st.integers(1, 8), each=st.integers(1, 8))
def test_numa_nodes_share_out_all_cpus_and_all_memory(nodes: int, each: int) -> None:
    server: Server = replace(
        topology_of("plain").servers[0], cpu=nodes * each, memory=nodes * GIB, hardware=Hardware(numa=nodes)
    )
    cells = numa_cells(server)
    cpus = [cpu for text, _ in cells for first, last in [map(int, text.split("-"))] for cpu in range(first, last + 1)]
    assert cpus == list(range(nodes * each))
    assert sum(memory for _, memory in cells) == server.memory


def test_disks_are_named_as_linux_names_them() -> None:
    assert [disk_name(number) for number in (0, 25, 26, 51, 52, 701, 702)] == ["a", "z", "aa", "az", "ba", "zz", "aaa"]


def test_servers_that_were_given_no_serial_have_one_each() -> None:
    plan = make_plan(small(), CONTEXT)
    domains = [resource for resource in plan.resources if isinstance(resource, Domain)]
    serials = [ET.fromstring(domain.xml).findtext("sysinfo/system/entry[@name='serial']") for domain in domains]
    assert None not in serials
    assert len(set(serials)) == len(domains) > 1


def test_cpus_are_counted_however_they_were_asked_for() -> None:
    plan = plan_of("smp")
    assert (domain_of(plan).cpu, plan.vcpus) == (2, 2)
    assert ET.fromstring(domain_of(plan).xml).find("vcpu").attrib == {"current": "2"}  # type: ignore[union-attr]


def test_every_numa_node_has_cpus_and_memory_of_its_own() -> None:
    cells = ET.fromstring(domain_of(plan_of("numa")).xml).findall("cpu/numa/cell")
    assert [cell.get("cpus") for cell in cells] == ["0-1", "2-3"]
    assert {cell.get("memory") for cell in cells} == {str(GIB)}


def test_the_firmware_is_the_one_that_the_host_has() -> None:
    fedora = UEFI_FIRMWARE[2]
    plan = make_plan(topology_of("uefi"), replace(CONTEXT, uefi=fedora))
    assert ET.fromstring(domain_of(plan).xml).findtext("os/loader") == fedora.code
    (nvram,) = of(plan, Nvram)
    assert isinstance(nvram, Nvram)
    assert nvram.template == fedora.variables
