"""Upgrades in place: which files are brought, what is restarted, and which release a server is at by what runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.errors import HostError, InputError, WaitTimeout
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.release import Component, DebianSource, ReleaseFile
from vdc.testing import FakeCluster, FakeDataCenter, Lie
from vdc.upgrade import delivery
from vdc.upgrade.delivery import deliver, install_script, restart_script, unit_states
from vdc.upgrade.paths import path
from vdc.upgrade.way import Way
from vdc.upgrade.ways import in_place

SMALL = Path(__file__).parents[2] / "topologies/small.yml"
GOLDEN = Path(__file__).parents[1] / "golden/upgrade"
ETCD = Component(name="etcd", version="3.5", packages=("etcd-client", "etcd-server"), suite="trixie")


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    return FakeDataCenter(expand(load(SMALL)), tmp_path)


def way(dc: FakeDataCenter) -> Way:
    return in_place(dc, FakeCluster(dc), path("etcd-3.5"))


def go(way: Way, node: str, *names: str) -> None:
    for step in way.forward(node):
        if not names or step.name in names:
            step.do()
            step.done()


def test_the_script_puts_the_files_of_packages_in_place(golden: Golden) -> None:
    golden(GOLDEN / "install-etcd.sh", install_script("debian-12-etcd-3.5", (ETCD,)))


def test_what_is_of_no_package_is_named() -> None:
    files = (
        ReleaseFile(name="agent", digest="", into="/opt/bin"),
        ReleaseFile(name="all.tar.gz", digest="", unpack=True, members=("a/b/kubelet", "a/b/kubectl")),
    )
    source = DebianSource(package="kubernetes", suite="bookworm", version="1.20.2")
    named = install_script("r", (Component(name="x", files=files), Component(name="kubernetes", source=source)))
    for file in ("/opt/bin/agent", "/usr/local/bin/kubectl", "/usr/local/bin/kubelet", "/usr/local/bin/kube-apiserver"):
        assert file in named


def test_a_server_is_at_a_release_when_that_runs_and_not_when_its_files_are_there(dc: FakeDataCenter) -> None:
    going = way(dc)
    node = going.nodes[0].name
    assert going.at(node) == "debian-12"
    go(going, node, "put files in place")
    assert going.at(node) == "/usr/bin/etcd, which was replaced and not restarted"
    go(going, node)
    assert going.at(node) == "debian-12-etcd-3.5"
    for step in going.back(node):
        step.do()
        step.done()
    assert going.at(node) == "debian-12"


def test_a_server_that_does_not_answer_is_at_no_release(dc: FakeDataCenter) -> None:
    going = way(dc)
    dc.servers["rack0-cs0"].power_off()
    assert going.at("rack0-cs0").startswith("what it does not tell: ")


def test_the_disk_is_pulled_out_whatever_becomes_of_it(dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "_NOT_YET", 76)
    machine = dc.servers["rack0-cs0"]
    deliver(machine, "debian-12-etcd-3.5", (ETCD,), slowness=0.0)
    assert dc.world.inserted == {}
    monkeypatch.setattr(type(machine), "run", _never)
    with pytest.raises(WaitTimeout):
        deliver(machine, "debian-12-etcd-3.5", (ETCD,), slowness=0.0)
    assert dc.world.inserted == {}


def test_what_went_wrong_first_is_told_where_the_disk_stays_too(
    dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = dc.servers["rack0-cs0"]

    def stuck(_: object) -> None:
        raise HostError("it is stuck")

    monkeypatch.setattr(type(machine), "run", _never)
    monkeypatch.setattr(type(machine), "eject", stuck)
    with pytest.raises(WaitTimeout, match="no answer") as caught:
        deliver(machine, "debian-12-etcd-3.5", (ETCD,), slowness=0.0)
    assert caught.value.__notes__ == ["and the disk of the release could not be pulled out: it is stuck"]


def _never(*_: object, **__: object) -> None:
    raise WaitTimeout("x", deadline=0.0, last="no answer")


def test_what_nobody_can_restart_is_refused(dc: FakeDataCenter) -> None:
    row = path("etcd-3.5")
    strange = replace(row, changes=(replace(row.changes[0], component="kernel"),))
    with pytest.raises(InputError, match="nobody knows how to restart kernel of etcd"):
        in_place(dc, FakeCluster(dc), strange)


def test_a_restart_that_does_nothing_is_noticed(tmp_path: Path) -> None:
    dc = FakeDataCenter(expand(load(SMALL)), tmp_path, lies=[Lie.SERVICE_NOT_RESTARTED])
    with pytest.raises(WaitTimeout, match="to run the etcd that is in place"):
        go(way(dc), "rack0-cs0")


def test_a_server_that_was_left_with_the_disk_of_a_release_is_not_settled(dc: FakeDataCenter) -> None:
    going = way(dc)
    dc.servers["rack0-cs0"].insert("debian-12-etcd-3.5")
    assert "the disk of a release is still plugged in" in going.at("rack0-cs0")
    go(going, "rack0-cs0")
    assert going.at("rack0-cs0") == "debian-12-etcd-3.5"


def test_a_second_restart_is_waited_for_like_the_first(dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    going = way(dc)
    go(going, "rack0-cs0")
    monkeypatch.setattr(type(dc.world.installed), "restart", lambda *_: None)
    with pytest.raises(WaitTimeout, match="it was not started again"):
        go(going, "rack0-cs0", "restart etcd")


def test_units_that_are_told_of_are_understood() -> None:
    told = "InvocationID=a\nActiveState=active\nNeedDaemonReload=no\n\nInvocationID=b\nActiveState=failed\n"
    assert unit_states(told) == (
        {"InvocationID": "a", "ActiveState": "active", "NeedDaemonReload": "no"},
        {"InvocationID": "b", "ActiveState": "failed"},
    )


def test_a_unit_is_restarted_by_the_files_that_are_in_place() -> None:
    script = restart_script("etcd", ("vdc-etcd.service",))
    assert "*NeedDaemonReload=yes*) systemctl daemon-reload" in script
    assert script.index("daemon-reload") < script.index("systemctl restart --no-block vdc-etcd.service")
