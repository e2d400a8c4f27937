"""`vdc deploy`, `kubeconfig`, `kubectl` and `node`, on clusters that only remember what they are told."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vdc.cli import clusters, lifecycle
from vdc.cli.clusters import NodeAction, act, check_image, deploy_on, find_kubectl, write_private
from vdc.cluster import deployers
from vdc.cluster.changing import changing
from vdc.cluster.kubernetes import rotation
from vdc.datacenter import lifecycle as life
from vdc.datacenter.live import UP, LiveDataCenter, boot_id
from vdc.errors import ClusterError, DirtyError, HostError, InputError, WaitTimeout
from vdc.host import artifacts
from vdc.host.claims import PLAN
from vdc.model.load import read_topology
from vdc.model.topology import Topology
from vdc.plan.images import IMAGES
from vdc.plan.plan import PlanContext, make_plan
from vdc.settings import Settings
from vdc.steps import Steps

from .conftest import TOPOLOGIES, Vdc

COMMANDS = [
    ("deploy", "n"),
    ("kubeconfig", "n"),
    ("kubectl", "n", "--", "get", "nodes"),
    ("node", "n", "remove", "s"),
    ("rotate", "n"),
]


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_they_need_root_and_a_data_centre(vdc: Vdc, argv: tuple[str, ...]) -> None:
    assert vdc(*argv).status == 77
    said = vdc(*argv, uid=0)
    assert said.status == 2
    assert "no data centre 'n'" in said.err


@dataclass
class Told:
    """A deployer and its cluster: what it was asked for, and what it fails with."""

    calls: list[str] = field(default_factory=list)
    there: set[str] = field(default_factory=set)
    fails: Exception | None = None
    refuses: Exception | None = None

    def deployer(self, name: str) -> Callable[[], Any]:
        told = self

        class Deployer:
            speaks = ""

            def check(self, topology: Topology) -> None:
                if told.refuses is not None:
                    raise told.refuses

            def deploy(self, dc: Any, *, retain: bool = False) -> None:
                told.calls.append(f"deploy {name}{' --retain' if retain else ''}")
                if told.fails is not None:
                    raise told.fails
                told.there.add(name)

            def begun(self, dc: Any) -> bool:
                return name in told.there

        return Deployer


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    made = Told()
    every = {name: made.deployer(name) for name in ("etcd", "kubernetes", "script")}
    monkeypatch.setattr(deployers, "DEPLOYERS", every)
    return made


@pytest.fixture
def settings(short_path: Path) -> Settings:
    return Settings(state_dir=short_path / "state", cache_dir=short_path / "cache")


@pytest.fixture
def dc(settings: Settings) -> LiveDataCenter:
    """A data centre of small.yml that says it is up, as far as files go."""
    context = PlanContext(
        instance="n", state_dir=settings.state_dir, cache_dir=settings.cache_dir, accelerator="tcg", slowness=1.0
    )
    made = make_plan(read_topology(TOPOLOGIES / "small.yml"), context)
    made.context.run_directory.mkdir(parents=True)
    (made.context.run_directory / PLAN).write_text(made.to_json(), encoding="utf-8")
    up: dict[str, object] = {"boot": boot_id(), "owner": None, "seconds": {}}
    (made.context.run_directory / UP).write_text(json.dumps(up), encoding="utf-8")
    return LiveDataCenter(plan=made, settings=settings, steps=Steps())


def test_what_suits_the_topology_is_deployed(vdc: Vdc, dc: LiveDataCenter, told: Told) -> None:
    said = vdc("deploy", "n", uid=0)
    assert said.status == 0, said.err
    assert said.out.startswith("etcd serves on n after ")
    assert vdc("deploy", "n", "--deployer", "etcd", "--retain", uid=0).status == 0
    assert told.calls == ["deploy etcd", "deploy etcd --retain"]


def test_an_unknown_deployer_is_refused_with_those_there_are(vdc: Vdc, dc: LiveDataCenter, told: Told) -> None:
    said = vdc("deploy", "n", "--deployer", "nomad", uid=0)
    assert said.status == 2
    assert "there is etcd, kubernetes, script" in said.err


def test_a_second_cluster_on_the_same_servers_is_refused(dc: LiveDataCenter, told: Told) -> None:
    told.there.add("kubernetes")
    with pytest.raises(ClusterError, match="n has a cluster already, or a part of one, by the deployer kubernetes"):
        deploy_on(dc, "etcd", retain=False)
    assert told.calls == []


def test_what_cannot_work_is_refused_before_it_begins(dc: LiveDataCenter, told: Told) -> None:
    told.refuses = InputError("no control plane")
    with pytest.raises(InputError, match="no control plane"):
        deploy_on(dc, None, retain=False)
    assert told.calls == []


def test_nothing_is_deployed_on_a_data_centre_that_is_not_up(vdc: Vdc, dc: LiveDataCenter, told: Told) -> None:
    (dc.run_directory / UP).unlink()
    said = vdc("deploy", "n", uid=0)
    assert said.status == DirtyError.exit_code
    assert "n is not up" in said.err
    assert "vdc down n" in said.err
    assert told.calls == []


@pytest.fixture
def downs(monkeypatch: pytest.MonkeyPatch, dc: LiveDataCenter) -> list[str]:
    """The data centres that are taken down; `up` makes the one there is."""
    names: list[str] = []
    monkeypatch.setattr(life, "prepare", lambda *_, **__: dc.plan)
    monkeypatch.setattr(life, "up", lambda *_, **__: dc)
    monkeypatch.setattr(life, "down", lambda name, *_: names.append(name))
    return names


SMALL = str(TOPOLOGIES / "small.yml")


def test_up_deploys_where_it_is_asked_to(vdc: Vdc, downs: list[str], told: Told) -> None:
    said = vdc("up", SMALL, "--deploy", uid=0)
    assert said.status == 0, said.err
    assert said.out.startswith("n is up, etcd serves after ")
    assert told.calls == ["deploy etcd --retain"]
    assert vdc("up", SMALL, uid=0).status == 0
    assert told.calls == ["deploy etcd --retain"]


def test_up_takes_all_down_where_the_cluster_does_not_come_up(vdc: Vdc, downs: list[str], told: Told) -> None:
    told.fails = WaitTimeout("etcd", deadline=1.0, last="no leader")
    said = vdc("up", SMALL, "--deploy", uid=0)
    assert (said.status, downs) == (1, ["n"])
    assert "no leader" in said.err
    said = vdc("up", SMALL, "--deploy", "--retain", uid=0)
    assert (said.status, downs) == (1, ["n"])
    assert "what was built is kept" in said.err
    assert told.calls == ["deploy etcd --retain"] * 2


def test_up_builds_nothing_that_nothing_can_be_deployed_on(vdc: Vdc, downs: list[str], told: Told) -> None:
    told.refuses = HostError("no client")
    assert vdc("up", SMALL, "--deploy", uid=0).status == 3
    assert (told.calls, downs) == ([], [])


@pytest.mark.parametrize("argv", COMMANDS[1:3], ids=lambda argv: argv[0])
def test_without_kubernetes_there_is_no_access_to_it(
    vdc: Vdc, dc: LiveDataCenter, argv: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "find_kubectl", lambda *_: "kubectl")
    said = vdc(*argv, uid=0)
    assert said.status == 1
    assert "no Kubernetes is deployed on n" in said.err


def test_kubectl_is_that_of_the_release_else_that_of_the_host(
    dc: LiveDataCenter, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "kubectl", lambda *_: tmp_path / "kubectl")
    assert find_kubectl(dc, settings) == str(tmp_path / "kubectl")
    monkeypatch.setattr(artifacts, "kubectl", lambda *_: None)
    (tmp_path / "kubectl").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_kubectl(dc, settings) == str(tmp_path / "kubectl")
    (tmp_path / "kubectl").unlink()
    with pytest.raises(HostError, match="no kubectl: neither of debian-12") as raised:
        find_kubectl(dc, settings)
    assert "vdc release fetch debian-12" in str(raised.value)


def test_a_kubeconfig_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.touch(mode=0o644)
    write_private(path, "first")
    write_private(path, "second")
    assert path.read_text(encoding="utf-8") == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


class Nodes:
    """Remembers what it is asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.dc = cast(Any, type("DataCenter", (), {"servers": {"s": "machine of s"}}))

    def __getattr__(self, verb: str) -> Callable[[object], None]:
        return lambda what: self.calls.append(f"{verb} {what}")


@pytest.mark.parametrize(
    ("action", "calls"),
    [
        (NodeAction.ADD, ["join machine of s", "wait_nodes_ready ['s']"]),
        (NodeAction.REMOVE, ["remove s"]),
        (NodeAction.REPLACE, ["replace s", "wait_nodes_ready ['s']"]),
        (NodeAction.PROMOTE, ["promote s", "wait_nodes_ready ['s']"]),
    ],
)
def test_a_node_comes_goes_or_changes_and_is_waited_for(action: NodeAction, calls: list[str]) -> None:
    nodes = Nodes()
    act(cast(Any, nodes), action, "s")
    assert nodes.calls == calls


@pytest.fixture
def rotated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What became of certificates, authorities and keys of a cluster of two nodes."""
    calls: list[str] = []
    monkeypatch.setattr(clusters, "kubernetes_on", lambda _: SimpleNamespace(node_names=("a", "b")))
    monkeypatch.setattr(rotation, "rotate", lambda _, what: calls.append(what))
    monkeypatch.setattr(rotation, "rotate_certificates", lambda _, nodes: calls.extend(nodes))
    return calls


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ((), ["a", "b"]),
        (("b",), ["b"]),
        (("--authority", "etcd"), ["etcd"]),
        (("--key", "secrets"), ["secrets"]),
    ],
    ids=["all", "one", "authority", "key"],
)
def test_certificates_authorities_and_keys_are_replaced(
    vdc: Vdc, dc: LiveDataCenter, rotated: list[str], options: tuple[str, ...], calls: list[str]
) -> None:
    said = vdc("rotate", "n", *options, uid=0)
    assert said.status == 0, said.err
    assert rotated == calls


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("c",), "no node 'c'"),
        (("a", "--authority", "etcd"), "that of all nodes"),
        (("a", "--key", "secrets"), "that of all nodes"),
        (("--authority", "etcd", "--key", "secrets"), "that of all nodes"),
    ],
    ids=["unknown", "authority and node", "key and node", "both"],
)
def test_what_cannot_be_renewed_is_refused(
    vdc: Vdc, dc: LiveDataCenter, rotated: list[str], options: tuple[str, ...], said: str
) -> None:
    done = vdc("rotate", "n", *options, uid=0)
    assert (done.status, rotated) == (2, [])
    assert said in done.err


@pytest.mark.parametrize("argv", [("deploy", "n"), ("node", "n", "remove", "rack0-cs0"), ("rotate", "n")], ids=" ".join)
def test_nobody_changes_a_cluster_that_another_one_changes(
    vdc: Vdc, dc: LiveDataCenter, told: Told, argv: tuple[str, ...]
) -> None:
    with changing(dc, "vdc deploy n"):
        done = vdc(*argv, uid=0)
    assert done.status == 1
    assert "the cluster of n is being changed by `vdc deploy n`" in done.err
    assert told.calls == []


def test_nothing_is_replaced_where_its_image_is_not_there_or_is_another_one(
    dc: LiveDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = IMAGES["kubernetes-1.20"]
    monkeypatch.setattr(LiveDataCenter, "servers", {"rack0-cs0": SimpleNamespace(release=image.name)})
    versions = {"kubernetes": "1.20.2"}
    with pytest.raises(HostError, match=r"rack0-cs0: the image of kubernetes-1\.20 is not in"):
        check_image(dc, "rack0-cs0", versions)
    manifest = image.manifest(dc.plan.context.cache_dir)
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"sizes": {}, "components": {"kubernetes": "1.20.2"}}), encoding="utf-8")
    check_image(dc, "rack0-cs0", versions)
    with pytest.raises(HostError, match=r"has Kubernetes 1\.20\.2, the cluster has 1\.21\.0"):
        check_image(dc, "rack0-cs0", {"kubernetes": "1.21.0"})


def test_only_servers_of_racks_become_nodes(vdc: Vdc, dc: LiveDataCenter) -> None:
    said = vdc("node", "n", "add", "rack9-cs9", uid=0)
    assert said.status == 2
    assert "no server 'rack9-cs9'" in said.err
    assert vdc("node", "n", "explode", "rack0-cs0", uid=0).status == 2
    assert lifecycle.is_planned("n", dc.settings)
