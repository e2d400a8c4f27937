"""Commands of the user's own upgrade a component of each node, and take it back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.errors import ClusterError, InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.testing import FakeCluster, FakeDataCenter, FakeUpgrades
from vdc.upgrade.hooked import Hooked
from vdc.upgrade.path import Change, Hook, Method, UpgradePath
from vdc.upgrade.trial import expect_release, upgrader
from vdc.upgrade.ways import way_of

ROOT = Path(__file__).parents[2]
SMALL = expand(load(ROOT / "topologies" / "small.yml"))
NAMES = [server.name for server in SMALL.members]


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(SMALL, tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> UpgradePath:
    """A tool that notes versions in a folder: whatever has no note is of version 1."""
    notes = tmp_path / "notes"
    notes.mkdir()
    note = f'printf %s "$VDC_VERSION" >"{notes}/$VDC_SERVER"'
    check = f'[ "$(cat "{notes}/$VDC_SERVER" 2>/dev/null || echo 1)" = "$VDC_VERSION" ]'
    hook = Hook(component="agent", run=("sh", "-c", note), back=("sh", "-c", note), check=("sh", "-c", check))
    return UpgradePath(
        name="ours",
        about="our agent",
        origin="debian-12",
        target="ours-2",
        method=Method.IN_PLACE,
        cluster="etcd",
        topology="topologies/small.yml",
        changes=(Change(component="agent", old="1", new="2"),),
        hooks=(hook,),
    )


def test_a_path_with_hooks_is_gone_by_them(dc: FakeDataCenter, path: UpgradePath, tmp_path: Path) -> None:
    going = upgrader(dc, FakeCluster(dc), path, FakeUpgrades(dc))
    assert isinstance(going.way, Hooked)
    assert {going.way.at(name) for name in NAMES} == {"debian-12"}
    assert going.run(most=1) == ("rack0-cs0",)
    assert [going.way.at(name) for name in NAMES] == ["ours-2", "debian-12", "debian-12"]
    assert going.back() == ("rack0-cs0",)
    assert going.run() == tuple(NAMES)
    assert {file.read_text() for file in (tmp_path / "notes").iterdir()} == {"2"}
    assert going.run() == ()


def test_what_no_release_says_is_told_apart_by_the_hook_alone(dc: FakeDataCenter, path: UpgradePath) -> None:
    own = replace(path, target=path.origin)
    going = upgrader(dc, FakeCluster(dc), own, FakeUpgrades(dc))
    expect_release(dc, going.way, own, new=False)
    assert going.run(most=1) == ("rack0-cs0",)
    assert [going.way.at(name) for name in NAMES] == ["debian-12 with agent 2", *["debian-12 with agent 1"] * 2]
    assert going.run() == ("rack1-cs0", "rack2-cs0")
    expect_release(dc, going.way, own, new=True)
    assert going.back() == tuple(NAMES)


def test_what_a_command_says_is_in_a_log_and_in_the_error(dc: FakeDataCenter, path: UpgradePath) -> None:
    (hook,) = path.hooks
    broken = replace(path, hooks=(replace(hook, run=("sh", "-c", "echo no disk for $VDC_COMPONENT; exit 4")),))
    with pytest.raises(ClusterError, match=r"rack0-cs0: .*exited 4: no disk for agent"):
        upgrader(dc, FakeCluster(dc), broken, FakeUpgrades(dc)).run()


def test_a_command_that_changes_nothing_is_found_out(dc: FakeDataCenter, path: UpgradePath) -> None:
    (hook,) = path.hooks
    idle = replace(path, hooks=(replace(hook, run=("true",)),))
    with pytest.raises(Exception, match="rack0-cs0 to run agent 2"):
        upgrader(dc, FakeCluster(dc), idle, FakeUpgrades(dc)).run()


def test_without_a_command_for_it_nothing_goes_back(dc: FakeDataCenter, path: UpgradePath) -> None:
    (hook,) = path.hooks
    going = upgrader(dc, FakeCluster(dc), replace(path, hooks=(replace(hook, back=()),)), FakeUpgrades(dc))
    going.run()
    with pytest.raises(ClusterError, match="no hook takes agent back"):
        going.back()


def test_a_hook_that_cannot_tell_is_refused(dc: FakeDataCenter, path: UpgradePath) -> None:
    (hook,) = path.hooks
    with pytest.raises(InputError, match="nothing tells which version of agent a node runs"):
        way_of(dc, FakeCluster(dc), replace(path, hooks=(replace(hook, check=()),)))


def test_a_check_that_never_says_no_tells_nothing(dc: FakeDataCenter, path: UpgradePath) -> None:
    row = replace(path, hooks=(replace(path.hooks[0], run=("false",), check=("true",)),))
    with pytest.raises(ClusterError, match="rack0-cs0 runs two versions of agent, as its check says, which cannot be"):
        upgrader(dc, FakeCluster(dc), row, FakeUpgrades(dc)).run()
