from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.errors import HostError
from vdc.host import preflight
from vdc.host.ledger import Ledger, Pool, Share, wants
from vdc.host.preflight import (
    GIB,
    MIB,
    OPTIONAL_TOOLS,
    PACKAGES,
    HostFacts,
    check,
    expect_room,
    install_hint,
    lacks,
    needs,
)
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.releases import release
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.settings import Settings

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def ledger(*, memory: int = 8 * GIB, disk: int = 50 * GIB) -> Ledger:
    """Of a host without data centres."""
    return Ledger(
        memory=Pool(what="memory", free=memory),
        vcpus=Pool(what="CPU", free=8, unit=(1, " vCPUs")),
        disk=Pool(what="disk for data centres", free=disk),
    )


ABLE = HostFacts(
    tools=frozenset(PACKAGES),
    features=frozenset({"bridge", "veth", "tun"}),
    ledger=ledger(),
    cache_free=50 * GIB,
    namespaces=frozenset(),
    owned=frozenset(),
    images=frozenset({"debian-12"}),
)


def plan_of(file: str, instance: str = "mine") -> Plan:
    context = PlanContext(
        instance=instance,
        state_dir=Path("/var/lib/vdc"),
        cache_dir=Path("/var/cache/vdc"),
        accelerator="tcg",
        slowness=1.0,
    )
    return make_plan(expand(load(TOPOLOGIES / file)), context)


SMALL = plan_of("small.yml")
FABRIC = plan_of("fabric.yml")


def test_a_host_that_has_all_lacks_nothing() -> None:
    assert lacks(SMALL, ABLE) == ()


@pytest.mark.parametrize(
    "tool", ["bird", "qemu-system-x86_64", "qemu-img", "libvirtd", "mke2fs", "ip", "nsenter", "setpriv", "setsid"]
)
def test_a_missing_tool_is_named_with_its_package(tool: str) -> None:
    assert lacks(SMALL, replace(ABLE, tools=ABLE.tools - {tool})) == (
        f"{tool} is missing: install the package {PACKAGES[tool]}",
    )


def test_a_fabric_without_servers_needs_no_qemu_no_image_and_no_tap() -> None:
    host = replace(
        ABLE,
        tools=frozenset({"ip", "nsenter", "unshare", "setpriv", "setsid", "ping", "bird", "birdc"}),
        features=frozenset({"bridge", "veth"}),
        images=frozenset(),
        ledger=ledger(disk=0),
        cache_free=0,
    )
    assert lacks(FABRIC, host) == ()


@pytest.mark.parametrize("tool", ["mmdebstrap", "gpg", "cpio"])
def test_what_builds_images_is_needed_only_to_build_one(tool: str) -> None:
    without = replace(ABLE, tools=ABLE.tools - {tool})
    assert lacks(SMALL, without) == ()
    assert lacks(SMALL, replace(without, images=frozenset())) == (f"{tool} is missing: install the package {tool}",)


def test_nobody_needs_ssh_to_build_a_data_centre() -> None:
    assert lacks(SMALL, replace(ABLE, tools=ABLE.tools - {"ssh"}, images=frozenset())) == ()


def test_too_little_memory_is_told_with_both_figures() -> None:
    wanted = wants(SMALL).memory
    assert wanted > SMALL.memory
    assert lacks(SMALL, replace(ABLE, ledger=ledger(memory=wanted))) == ()
    assert lacks(SMALL, replace(ABLE, ledger=ledger(memory=500 * MIB))) == (
        f"too little memory: needs {wanted // MIB} MiB, 500 of 500 MiB are left",
    )


def test_too_little_disk_is_told_for_data_centres_and_for_images() -> None:
    host = replace(ABLE, ledger=ledger(disk=100 * MIB), cache_free=100 * MIB, images=frozenset())
    assert lacks(SMALL, host) == (
        f"too little disk for data centres: needs {SMALL.disk // MIB} MiB, 100 of 100 MiB are left",
        "too little disk for images: needs 3072 MiB, 100 MiB are free",
    )


def test_a_source_that_must_be_built_needs_room() -> None:
    kubernetes = plan_of("k8s-small.yml")
    (source,) = (each.source for each in release("kubernetes-1.20").components if each.source)
    images = frozenset({"debian-12"})
    assert needs(kubernetes, images=images).cache == 9 * GIB
    assert needs(kubernetes, images=images, built=frozenset({source.digest})).cache == 3 * GIB
    assert needs(kubernetes, images=images | {"kubernetes-1.20"}).cache == 0


def test_a_kernel_without_a_kind_of_link_is_told() -> None:
    assert lacks(SMALL, replace(ABLE, features=frozenset({"veth"}))) == (
        "the kernel makes no bridge",
        "the kernel makes no tun",
    )


def test_a_namespace_of_somebody_else_is_a_clash_and_one_of_ours_is_not() -> None:
    host = replace(ABLE, namespaces=frozenset({"vdc-mine.spine0", "other"}))
    assert lacks(SMALL, host) == ("a network namespace vdc-mine.spine0 exists and is not vdc's: choose another --name",)
    assert lacks(SMALL, replace(host, owned=frozenset({"mine"}))) == ()


def test_everything_that_lacks_is_told_at_once() -> None:
    nothing = HostFacts(
        tools=frozenset(),
        features=frozenset(),
        ledger=ledger(memory=0, disk=0),
        cache_free=0,
        namespaces=frozenset(),
        owned=frozenset(),
        images=frozenset(),
    )
    assert len(lacks(SMALL, nothing)) == len(PACKAGES.keys() - OPTIONAL_TOOLS) + 3 + 3


def test_a_host_that_cannot_raises_one_error_with_exit_code_3_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    huge = replace(SMALL.topology.servers[0], memory=10**18)
    plan = replace(SMALL, topology=replace(SMALL.topology, servers=(huge,)))
    with pytest.raises(HostError, match="too little memory") as caught:
        check(plan, Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache"))
    assert caught.value.exit_code == 3
    assert "apt-get install" in str(caught.value)


def test_the_hint_names_each_package_once() -> None:
    assert install_hint(["birdc", "bird", "ip"]) == "apt-get install --no-install-recommends bird2 iproute2"
    assert install_hint([]) is None


def test_a_start_that_waits_for_others_is_refused_only_what_they_could_not_give_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = {"other": Share(promised=wants(SMALL).memory, taken=wants(SMALL).memory)}
    full = ledger()._replace(memory=Pool(what="memory", free=0, shares=holder))
    monkeypatch.setattr(preflight, "gather", lambda _: replace(ABLE, ledger=full))
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path)
    with pytest.raises(HostError, match="other has 2") as caught:
        check(SMALL, settings)
    assert "vdc gc" in str(caught.value)
    check(SMALL, replace(settings, admission_wait=10))
    check(plan_of("small.yml", "other"), settings)


def test_a_plan_whose_disks_could_grow_beyond_the_quota_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "gather", lambda _: ABLE)
    settings = Settings(state_dir=tmp_path, cache_dir=tmp_path)
    check(SMALL, replace(settings, quota=9 * GIB))
    with pytest.raises(HostError) as caught:
        check(SMALL, replace(settings, quota=8 * GIB))
    assert str(caught.value) == (
        "this host cannot hold mine:\n"
        "  - over the quota of disk: full disks take 9216 MiB, and a data centre may take 8192 MiB (VDC_QUOTA)"
    )


def test_a_full_disk_is_told_with_its_directory_and_figures(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", cache_dir=tmp_path)
    expect_room(settings, needed=1)
    with pytest.raises(HostError, match=rf"disk full: \d+ MiB are free in {tmp_path}/state, {GIB} MiB are needed"):
        expect_room(settings, needed=GIB * MIB)


def test_every_package_that_vdc_may_ask_for_is_installed_by_the_setup() -> None:
    setup = (TOPOLOGIES.parent / ".ci/setup").read_text(encoding="utf-8").split()
    assert set(PACKAGES.values()) <= set(setup)
