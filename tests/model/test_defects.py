"""The sixteen defects of placemat that a successor must not have, and the tests that show that it has not.

`DEFECTS` tells for each where it is tested: here, where one file is enough to show it, or beside the part that it is
about. What is tested elsewhere is named, and has to be there.
"""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vdc.errors import InputError
from vdc.host import volumes
from vdc.host.disks import image_format
from vdc.host.firmware import uefi
from vdc.host.user_images import ensure
from vdc.imports.documents import Source
from vdc.imports.placemat import import_placemat
from vdc.model.expand import expand
from vdc.model.load import load, parse, read_seeds
from vdc.model.topology import Topology
from vdc.plan.emulation import UefiFirmware
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.plan.resources.disks import SeedDisk, VolumeDisk
from vdc.plan.resources.processes import Domain
from vdc.settings import Settings
from vdc.shell import run
from vdc.steps import Steps

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).relative_to(ROOT).as_posix()
FABRIC, GUEST = "tests/host/test_fabric.py", "tests/host/test_guest.py"

DEFECTS: Mapping[str, tuple[str, ...]] = {
    "1: nodes without a serial collide": (f"{HERE}::test_servers_without_a_serial_have_one_each",),
    "2: the status shows no CPUs": (f"{HERE}::test_the_cpus_of_a_server_are_known_however_they_are_told",),
    "3: one process that fails takes all routers with it": (f"{FABRIC}::test_status_names_the_bird_that_died",),
    "4: nothing is checked before something happens": (f"{HERE}::test_mistakes_are_told_before_anything_happens",),
    "5: a seed without a network does not work": (f"{HERE}::test_a_seed_needs_no_network_config",),
    "6: a compressed image cannot be below an overlay": (f"{HERE}::test_an_overlay_is_on_the_unpacked_image",),
    "7: volumes of before are used again": (f"{HERE}::test_a_volume_is_made_anew",),
    "8: a TPM forgets": (f"{HERE}::test_what_is_not_built_yet_is_refused_by_name",),
    "9: a power action hangs": (f"{GUEST}::test_a_guest_that_powered_itself_off_can_be_started_again",),
    "10: cleaning up takes what is others' and leaves processes": (
        f"{FABRIC}::test_gc_removes_what_a_killed_up_left_and_nothing_else",
        f"{FABRIC}::test_directories_that_are_not_ours_are_let_alone",
        f"{FABRIC}::test_two_of_the_same_file_run_side_by_side",
    ),
    "11: NUMA nodes without memory": (f"{HERE}::test_every_numa_node_has_memory_and_its_share_of_cpus",),
    "12: the path of the firmware is fixed": (f"{HERE}::test_firmware_is_looked_for_where_distributions_keep_it",),
    "13: what forwards outlives its data centre": (f"{FABRIC}::test_a_killed_up_leaves_nothing_after_down",),
    "14: why a file cannot be read is not told": (f"{HERE}::test_why_a_file_cannot_be_read_is_told",),
    "15: a BMC reads beyond what it received": (f"{HERE}::test_what_is_not_built_yet_is_refused_by_name",),
    "16: up means started": (
        f"{FABRIC}::test_every_kernel_table_agrees_with_the_routing_model",
        f"{GUEST}::test_a_guest_that_never_answers_is_named_with_its_console_and_rolled_back",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_has_a_test(defect: str) -> None:
    assert DEFECTS[defect]
    for place in DEFECTS[defect]:
        file, name = place.split("::")
        functions = [
            node.name
            for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef)
        ]
        assert name in functions, place


def test_all_sixteen_are_there() -> None:
    assert [int(defect.split(":")[0]) for defect in DEFECTS] == list(range(1, 17))


def topology(text: str, file: Path = Path("t.yml")) -> Topology:
    spec = parse(text, file=str(file))
    return expand(spec, read_seeds(spec))


def plan(of: Topology, folder: Path = Path("/var/lib/vdc")) -> Plan:
    context = PlanContext(
        instance="a", state_dir=folder, cache_dir=Path("/var/cache/vdc"), accelerator="tcg", slowness=1.0
    )
    return make_plan(of, context)


def domains(of: Topology) -> dict[str, ET.Element]:
    found = {each.server: ET.fromstring(each.xml) for each in plan(of).resources if isinstance(each, Domain)}
    assert found
    return found


def test_servers_without_a_serial_have_one_each() -> None:
    made = topology("name: x\nracks: [{count: 2, servers: {cs: 3}}]\nroles: {cs: {}}\n")
    serials = {
        name: domain.findtext("./sysinfo/system/entry[@name='serial']") or "" for name, domain in domains(made).items()
    }
    assert len(serials) == 6
    assert all(serials.values())
    assert len(set(serials.values())) == 6


@pytest.mark.parametrize("cpus", ["cpu: 4", "smp: {cpus: 4}", "smp: {sockets: 2, cores: 2}"])
def test_the_cpus_of_a_server_are_known_however_they_are_told(cpus: str) -> None:
    made = topology(f"name: x\nracks: [{{servers: {{cs: 1}}}}]\nroles: {{cs: {{{cpus}}}}}\n")
    assert made.servers[0].cpu == 4
    shown = json.loads(plan(made).to_json())
    assert [server["cpu"] for server in shown["topology"]["servers"]] == [4]


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("{kind: Network, name: lan, type: internal}", "Network lan: name: duplicate name; t.yml:1 has it already"),
        ("{kind: Node, name: b, cpu: 1, interfaces: [lam]}", 'there is no Network "lam"; did you mean "lan"?'),
        (
            "{kind: NetworkNamespace, name: b, interfaces: [{network: lan, addresses: [10.9.0.1/24]}]}",
            "duplicate address 10.9.0.1",
        ),
        ("{kind: Network, name: b, type: external, address: 10.9.0.1/25}", "overlaps with the network lan"),
    ],
    ids=["names", "references", "addresses", "prefixes"],
)
def test_mistakes_are_told_before_anything_happens(mistake: str, message: str) -> None:
    """Those of placemat's own files; those of a topology are in tests/golden/errors."""
    right = """\
{kind: Network, name: lan, type: internal}
---
{kind: NetworkNamespace, name: a, interfaces: [{network: lan, addresses: [10.9.0.1/24]}]}
"""
    assert import_placemat([Source("t.yml", right)]).text
    with pytest.raises(InputError) as caught:
        import_placemat([Source("t.yml", f"{right}---\n{mistake}\n")])
    assert message in str(caught.value)
    assert all(problem.line == 5 for problem in caught.value.problems)


def test_a_seed_needs_no_network_config(tmp_path: Path) -> None:
    (tmp_path / "user-data.yml").write_text("#cloud-config\n")
    text = """\
name: x
networks: {lan: {}}
devices: {a: {kind: server, server: {image: own, user_data: user-data.yml}, interfaces: [{network: lan}]}}
images: {own: {file: own.img}}
"""
    made = topology(text, tmp_path / "t.yml")
    seeds = [each for each in plan(made).resources if isinstance(each, SeedDisk)]
    assert [set(seed.files) for seed in seeds] == [{"meta-data", "user-data"}]


def test_an_overlay_is_on_the_unpacked_image(tmp_path: Path) -> None:
    disk, packed = tmp_path / "disk.qcow2", tmp_path / "disk.qcow2.gz"
    run(["qemu-img", "create", "-q", "-f", "qcow2", str(disk), "3M"], timeout=30.0)
    packed.write_bytes(gzip.compress(disk.read_bytes()))
    text = f"""\
name: x
networks: {{lan: {{}}}}
devices: {{a: {{kind: server, server: {{image: own}}, interfaces: [{{network: lan}}]}}}}
images: {{own: {{file: {packed}, compression: gzip}}}}
"""
    settings = Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")
    context = PlanContext(
        instance="a",
        state_dir=settings.state_dir,
        cache_dir=settings.cache_dir,
        accelerator="tcg",
        slowness=1.0,
    )
    made = ensure(topology(text), context, settings, Steps())
    unpacked = context.user_image(made.images[0])
    assert image_format(unpacked) == "qcow2"
    assert volumes.virtual_size(unpacked) == 3 << 20


def test_a_volume_is_made_anew(tmp_path: Path) -> None:
    volume = VolumeDisk(server="a", name="data", path=str(tmp_path / "a" / "data.img"), content="raw", size=1 << 20)
    volumes.create(volume, tmp_path)
    Path(volume.path).write_bytes(b"what was there before")
    volumes.create(volume, tmp_path)
    assert Path(volume.path).read_bytes() == bytes(1 << 20)


@pytest.mark.parametrize("key", ["tpm", "bmc", "netboot"])
def test_what_is_not_built_yet_is_refused_by_name(key: str) -> None:
    with pytest.raises(InputError) as caught:
        topology(f"name: x\nracks: [{{servers: {{cs: 1}}}}]\nroles:\n  cs: {{{key}: true}}\n")
    assert f"t.yml:4:{len(key) + 10}: roles.cs.{key}: " in str(caught.value)
    assert "not built yet" in str(caught.value)


def test_every_numa_node_has_memory_and_its_share_of_cpus() -> None:
    made = topology("name: x\nracks: [{servers: {cs: 1}}]\nroles: {cs: {cpu: 4, numa: 2, memory: 1GiB}}\n")
    (domain,) = domains(made).values()
    cells = domain.findall("./cpu/numa/cell")
    assert [cell.get("cpus") for cell in cells] == ["0-1", "2-3"]
    assert [(cell.get("memory"), cell.get("unit")) for cell in cells] == [(str(512 << 20), "b")] * 2
    with pytest.raises(InputError, match="3 CPUs cannot be shared out evenly to 2 NUMA nodes"):
        topology("name: x\nracks: [{servers: {cs: 1}}]\nroles: {cs: {cpu: 3, numa: 2}}\n")


def test_firmware_is_looked_for_where_distributions_keep_it(tmp_path: Path) -> None:
    old, new = (UefiFirmware(code=str(tmp_path / f"{n}C.fd"), variables=str(tmp_path / f"{n}V.fd")) for n in (1, 2))
    assert uefi((old, new)) is None
    Path(old.code).touch()
    for path in (new.code, new.variables):
        Path(path).touch()
    assert uefi((old, new)) == new, "code without its variables is none"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file or directory"),
        (b"name: \xff\n", "not UTF-8 text: invalid start byte at byte 6"),
        (b"name: [x\n", "not YAML: "),
        (b"", "the file is empty"),
        (b"# " + bytes(17 << 20), "the file has 17 MiB, and a topology at most 16"),
    ],
    ids=["missing", "bytes", "syntax", "empty", "large"],
)
def test_why_a_file_cannot_be_read_is_told(content: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "t.yml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load(file)
    assert message in str(caught.value)
