"""Upgrades in rounds: who goes when, what never runs beside what, who goes back first, and how far a hold goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vdc.errors import ClusterError, InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.flow_watch import FlowWatch
from vdc.observe.ordinary import web_on_every_node
from vdc.observe.verdict import Kind
from vdc.testing import FakeDataCenter, FakeKubernetes, FakeProbe
from vdc.testing.upgrades import FakeUpgrades
from vdc.upgrade.kubernetes_trial import outages
from vdc.upgrade.parts import programs_of, rounds_of
from vdc.upgrade.paths import path
from vdc.upgrade.rounds import Rounds, turns
from vdc.upgrade.trial import dies_at, upgrader
from vdc.upgrade.upgrader import Moment, Upgrader

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
ROW = path("kubernetes-rebuilt")
OLD, NEW = ROW.origin, ROW.target


@pytest.fixture
def cluster(tmp_path: Path) -> FakeKubernetes:
    return FakeKubernetes(FakeDataCenter(expand(load(TOPOLOGIES / "k8s.yml")), tmp_path))


class Watcher:
    """Notes which node was at which step, and demands that nothing is ever newer than any API server."""

    def __init__(self, cluster: FakeKubernetes) -> None:
        self._cluster = cluster
        self.seen: list[tuple[str, str]] = []

    def __call__(self, node: str, step: str, moment: Moment) -> None:
        if moment is Moment.DONE:
            self.seen.append((node, step))
        dc = self._cluster.dc
        assert isinstance(dc, FakeDataCenter)
        versions = {
            name: dict(line.split("=") for line in dc.world.installed.programs(name, PROGRAMS).splitlines())
            for name in self._cluster.node_names
        }
        oldest = min(versions[name][API] for name in self._cluster.members)
        assert all(each[KUBELET] <= oldest for each in versions.values()), versions
        assert all(versions[name][SCHEDULER] <= oldest for name in self._cluster.members), versions


PROGRAMS = API, SCHEDULER, KUBELET = tuple(
    f"/usr/local/bin/{name}" for name in ("kube-apiserver", "kube-scheduler", "kubelet")
)


def led(cluster: FakeKubernetes) -> tuple[Upgrader, Watcher]:
    watcher = Watcher(cluster)
    return upgrader(cluster.dc, cluster, ROW, upgrades(cluster), boundary=watcher), watcher


def upgrades(cluster: FakeKubernetes) -> FakeUpgrades:
    assert isinstance(cluster.dc, FakeDataCenter)
    return FakeUpgrades(cluster.dc)


def test_all_control_planes_are_new_before_any_kubelet_is(cluster: FakeKubernetes) -> None:
    going, watcher = led(cluster)
    assert set(going.run()) == set(cluster.node_names)
    steps = [step for _, step in watcher.seen]
    members = len(cluster.members)
    assert steps[: 2 * members] == members * ["put API server in place", "restart kube-apiserver"]
    assert steps[2 * members : 4 * members] == members * [
        "put controllers in place",
        "restart kube-controller-manager and kube-scheduler",
    ]
    assert set(steps[4 * members :]) == {"put kubelet and kube-proxy in place", "restart kubelet and kube-proxy"}
    assert [going.way.at(name) for name in cluster.node_names] == [NEW] * len(cluster.node_names)
    assert going.run() == ()


def test_kubelets_go_back_before_api_servers(cluster: FakeKubernetes) -> None:
    going, watcher = led(cluster)
    going.run()
    watcher.seen.clear()
    assert set(going.back()) == set(cluster.node_names)
    steps = [step for _, step in watcher.seen]
    assert steps.index("restart kube-apiserver") > max(
        number for number, step in enumerate(steps) if step == "restart kubelet and kube-proxy"
    )
    assert [going.way.at(name) for name in cluster.node_names] == [OLD] * len(cluster.node_names)


def test_a_control_plane_does_not_go_back_below_kubelets_of_others(cluster: FakeKubernetes) -> None:
    going, _ = led(cluster)
    going.run()
    one = cluster.members[0]
    others = ", ".join(sorted(set(cluster.node_names) - {one}))
    with pytest.raises(ClusterError, match=f"controllers of {one} cannot go back before kubelet") as caught:
        going.back([one])
    assert all(name in caught.value.message for name in others.split(", "))
    assert going.way.at(one) == NEW
    worker = cluster.node_names[-1]
    assert going.back([worker]) == (worker,)
    assert going.way.at(worker) == OLD


def test_a_hold_counts_each_round_of_a_node(cluster: FakeKubernetes) -> None:
    going, _ = led(cluster)
    everybody = turns(going.way, going.limits)
    assert len(everybody) == 2 * len(cluster.members) + len(cluster.node_names)
    for number in range(1, len(everybody) + 1):
        assert going.run(most=number) == (everybody[number - 1][0],)
        assert [way.at(name) for name, way in everybody].count(NEW) == number
    first = everybody[0][0]
    assert going.way.at(first) == NEW


def test_a_node_that_has_gone_one_round_is_at_neither_release(cluster: FakeKubernetes) -> None:
    going, _ = led(cluster)
    going.run(most=1)
    assert (
        going.way.at(cluster.members[0])
        == f"{NEW} by API server, {OLD} by controllers, {OLD} by kubelet and kube-proxy"
    )


def test_who_dies_at_any_boundary_is_continued(cluster: FakeKubernetes) -> None:
    way = upgrader(cluster.dc, cluster, ROW, upgrades(cluster)).way
    steps = sum(len(way.forward(node.name)) for node in way.nodes)
    deaths = 0
    while upgrades(cluster).killed(cluster.dc, cluster, ROW, moment=dies_at(deaths)):
        deaths += 1
        assert deaths <= 2 * steps
    assert deaths == 2 * steps
    assert {way.at(node.name) for node in way.nodes} == {NEW}


def test_what_lies_below_goes_first(cluster: FakeKubernetes) -> None:
    both = replace(ROW, changes=(*path("containerd-1.7").changes, *ROW.changes))
    assert [work.name for work in rounds_of(both)] == ["below", "API server", "controllers", "kubelet and kube-proxy"]
    assert {"/usr/bin/containerd", API, KUBELET} <= programs_of(both)
    way = upgrades(cluster).way(cluster.dc, cluster, both)
    assert isinstance(way, Rounds)
    assert [lap.name for lap in way.laps] == ["below", "API server", "controllers", "kubelet and kube-proxy"]


def test_what_nobody_can_restart_is_refused() -> None:
    with pytest.raises(InputError, match="nobody knows how to restart runc of kubernetes"):
        rounds_of(replace(ROW, changes=(replace(ROW.changes[0], component="runc"),)))


def test_an_api_server_that_restarts_is_missed_by_those_only_who_have_no_other(cluster: FakeKubernetes) -> None:
    assert isinstance(cluster.dc, FakeDataCenter)
    with FakeProbe(cluster.dc).kubernetes(cluster, web_on_every_node(cluster)) as watch:
        pass
    for alone, wanted in ((False, {"api", "api-server"}), (True, {"api-server"})):
        judged = dict(zip(_judged(watch, alone=alone), outages(cluster.dc, ROW, watch, alone=alone), strict=True))
        assert {traffic for traffic in judged if traffic.startswith("api")} == wanted
        assert all(judged[traffic].kind is Kind.VALID for traffic in wanted)
    runtime = path("containerd-1.7")
    assert len(outages(cluster.dc, runtime, watch, alone=True)) == len(runtime.budgets)


def _judged(watch: FlowWatch, *, alone: bool) -> list[str]:
    """Return the budgets in the order in which they are judged."""
    assert watch.flows
    return [traffic for traffic in ROW.budgets if not (alone and traffic == "api")]


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8])
def test_every_moment_of_every_step_of_a_node_is_died_at_on_some_node(steps: int) -> None:
    died = [dies_at(number) for number in range(2 * steps * 8)]
    assert died[1::2] == [Moment.RECORDED] * (steps * 8)
    for step in range(steps):
        assert {died[2 * (node * steps + step)] for node in range(8)} == {Moment.BEGUN, Moment.DONE}
