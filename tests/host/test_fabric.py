"""A fabric of real namespaces with real BIRD in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from os import devnull
from pathlib import Path

import pytest

from tests.host.conftest import TOPOLOGIES, Command, root_links, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import differences, wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.reachability import expect_reaches
from vdc.faults import LinkCut, RouterOff
from vdc.faults.base import injected
from vdc.host import netlink, processes
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.settings import Settings
from vdc.shell import run, start
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

FABRIC = TOPOLOGIES / "fabric.yml"


def bring_up(name: str, settings: Settings) -> LiveDataCenter:
    plan = lifecycle.prepare(expand(load(FABRIC)), name, settings, Steps())
    return lifecycle.up(plan, settings, Steps())


@pytest.fixture(scope="module")
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    dc = bring_up("t-fabric", settings)
    yield dc
    lifecycle.down(dc.name, settings, Steps())


def test_every_kernel_table_agrees_with_the_routing_model(fabric: LiveDataCenter) -> None:
    assert differences(fabric) == ()
    spine = fabric.routers["spine0"].routes()
    assert len(spine) > 0, "a comparison of empty tables proves nothing"


def test_the_client_outside_reaches_every_router(fabric: LiveDataCenter) -> None:
    client = fabric.externals["external"]
    assert fabric.topology.routers
    for router in fabric.topology.routers:
        expect_reaches(client, router.loopback.ip)


def test_a_router_without_power_is_routed_around_and_comes_back(fabric: LiveDataCenter) -> None:
    with injected(fabric, RouterOff("spine0")):
        wait_converged(fabric, down=("spine0",))
    wait_converged(fabric)


def test_a_cut_link_is_routed_around_and_comes_back(fabric: LiveDataCenter) -> None:
    with injected(fabric, LinkCut("spine1", "rack1-tor0")):
        wait_converged(fabric, cut=(("spine1", "rack1-tor0"),))
    wait_converged(fabric)


def test_status_names_the_bird_that_died(fabric: LiveDataCenter, vdc: Command) -> None:
    processes.end(fabric.routers["rack2-tor1"].birds())
    said = json.loads(vdc("status", fabric.name, "--json", status=1).stdout)[0]
    assert said["state"] == "degraded"
    assert any("rack2-tor1" in reason for reason in said["reasons"])
    fabric.routers["rack2-tor1"].power_on()
    wait_converged(fabric)
    assert json.loads(vdc("status", fabric.name, "--json").stdout)[0]["state"] == "up"


def test_two_of_the_same_file_run_side_by_side(fabric: LiveDataCenter, settings: Settings) -> None:
    before = root_links()
    other = bring_up("t-fabric2", settings)
    assert differences(other) == ()
    assert root_links() == before, "the root namespace was touched"
    lifecycle.down(other.name, settings, Steps())
    assert traces("t-fabric2", settings) == []
    assert differences(fabric) == (), "taking one down disturbed the other"


def test_a_second_up_of_the_same_name_is_refused(fabric: LiveDataCenter, vdc: Command) -> None:
    done = vdc("up", str(FABRIC), "--name", fabric.name, status=2)
    assert "is up already" in done.stderr
    assert differences(fabric) == ()


def namespaces(count: int) -> Callable[[str, Settings], bool]:
    return lambda name, _: len(netlink.namespaces(f"vdc-{name}")) >= count


def birds(count: int) -> Callable[[str, Settings], bool]:
    def running(name: str, _: Settings) -> bool:
        own = {netlink.identity(each) for each in netlink.namespaces(f"vdc-{name}")}
        alive = processes.living({each for each in own if each is not None})
        return sum(processes.command(pid) == "bird" for pid in alive) >= count

    return running


MOMENTS: dict[str, Callable[[str, Settings], bool]] = {
    "the run directory is made": lambda name, settings: (settings.state_dir / name).exists(),
    "the first namespace is made": namespaces(1),
    "half of the namespaces are made": namespaces(6),
    "all namespaces are made": namespaces(11),
    "the first BIRD runs": birds(1),
    "all BIRDs run": birds(9),
    "it is up": lambda name, settings: (settings.state_dir / name / "up.json").exists(),
}


def kill_up(name: str, moment: str, settings: Settings, vdc: Command) -> None:
    """Start `vdc up` and kill it at a moment."""

    def now() -> None:
        if not MOMENTS[moment](name, settings):
            raise NotYet(moment)

    with Path(devnull).open("wb") as output:
        process = start([*vdc.argv, "up", str(FABRIC), "--name", name], output=output, env=vdc.environment)
        wait_for(now, what=moment, timeout=60, interval=0.001)
        process.kill()
        process.wait()
    assert traces(name, settings), "nothing was there to be left behind"


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_up_leaves_nothing_after_down(
    moment: str, fabric: LiveDataCenter, settings: Settings, vdc: Command, gone: list[str]
) -> None:
    gone.append("t-killed")
    kill_up("t-killed", moment, settings, vdc)
    vdc("down", "t-killed")
    assert traces("t-killed", settings) == []
    assert differences(fabric) == (), "the other data centre was touched"


def test_gc_removes_what_a_killed_up_left_and_nothing_else(
    fabric: LiveDataCenter, settings: Settings, vdc: Command, gone: list[str]
) -> None:
    gone.append("t-killed")
    kill_up("t-killed", "half of the namespaces are made", settings, vdc)
    assert "t-killed" in vdc("gc").stdout
    assert traces("t-killed", settings) == []
    assert differences(fabric) == ()


def test_the_next_up_clears_what_a_killed_one_left(settings: Settings, vdc: Command, gone: list[str]) -> None:
    gone.append("t-again")
    kill_up("t-again", "the first BIRD runs", settings, vdc)
    vdc("up", str(FABRIC), "--name", "t-again")
    vdc("down", "t-again")
    assert traces("t-again", settings) == []


def test_status_of_a_half_built_one_says_that_it_is_down(settings: Settings, vdc: Command, gone: list[str]) -> None:
    gone.append("t-half")
    kill_up("t-half", "half of the namespaces are made", settings, vdc)
    # as the kill leaves the one that was being made, at the worst moment
    netlink.remove_namespaces(["vdc-t-half.spine0"])
    (netlink.NETNS_DIR / "vdc-t-half.spine0").touch()
    said = json.loads(vdc("status", "t-half", "--json", status=1).stdout)[0]
    assert said["state"] == "down"
    vdc("down", "t-half")


def test_directories_that_are_not_ours_are_let_alone(settings: Settings, vdc: Command) -> None:
    foreign = settings.state_dir / "foreign"
    foreign.mkdir()
    (foreign / "precious").write_text("x")
    try:
        vdc("gc")
        done = vdc("up", str(FABRIC), "--name", "foreign", status=2)
        assert "is not a run directory of vdc" in done.stderr
        assert (foreign / "precious").read_text() == "x"
        assert netlink.namespaces("vdc-foreign") == ()
    finally:
        (foreign / "precious").unlink()
        foreign.rmdir()


def test_a_name_that_another_state_directory_uses_is_refused_and_that_one_is_let_alone(
    fabric: LiveDataCenter, vdc: Command, tmp_path: Path
) -> None:
    environment = vdc.environment | {"VDC_STATE_DIR": str(tmp_path)}
    done = run([*vdc.argv, "up", str(FABRIC), "--name", fabric.name], timeout=60, check=False, env=environment)
    assert done.status in {2, 3}, done.stderr
    assert fabric.name in done.stderr
    assert differences(fabric) == ()
    assert list(tmp_path.iterdir()) == []


def test_what_a_reboot_of_the_host_left_does_not_stand_in_the_way(
    settings: Settings, vdc: Command, gone: list[str]
) -> None:
    gone.append("t-boot")
    vdc("up", str(FABRIC), "--name", "t-boot")
    mark = settings.state_dir / "t-boot" / "up.json"
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"boot": "another"}))
    vdc("up", str(FABRIC), "--name", "t-boot")
    vdc("down", "t-boot")
    assert traces("t-boot", settings) == []


def test_gc_removes_one_whose_owner_died_and_not_one_whose_owner_lives(
    settings: Settings, vdc: Command, gone: list[str]
) -> None:
    gone.append("t-tied")
    plan = lifecycle.prepare(expand(load(FABRIC)), "t-tied", settings, Steps())
    lifecycle.up(plan, settings, Steps(), tied=True)
    assert "t-tied" not in vdc("gc").stdout, "its owner, this process, is alive"
    mark = settings.state_dir / "t-tied" / "up.json"
    up = json.loads(mark.read_text())
    mark.write_text(json.dumps(up | {"owner": [up["owner"][0], up["owner"][1] - 1]}))
    assert "t-tied" in vdc("gc").stdout
    assert traces("t-tied", settings) == []
