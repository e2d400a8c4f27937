from __future__ import annotations

import pytest

from tests.cluster.kubernetes.examples import ROOT, cluster, minor
from tests.conftest import Golden
from vdc.cluster.kubernetes import flags
from vdc.cluster.kubernetes.config_control import scheduler_config
from vdc.cluster.kubernetes.config_node import (
    kube_proxy_config,
    kubelet_config,
    node_labels,
    restricted_labels,
    taint_flags,
)
from vdc.cluster.kubernetes.spec import ClusterSpec

MINORS = range(20, 36)

REMOVED = {
    # flag: the first minor version whose program refuses it
    "--insecure-port": 20,
    "--network-plugin": 24,
    "--port": 24,
    "--container-runtime": 27,
    "--logtostderr": 26,
    "--pod-infra-container-image": 35,
    "--pod-eviction-timeout": 27,
    "--experimental-cluster-signing-duration": 22,
}
"""From the changelogs; whatever is not written here was never used."""


def lines(spec: ClusterSpec) -> dict[str, tuple[str, ...]]:
    node = spec.control_planes[0]
    kubelet = flags.kubelet(spec, node, labels=node_labels(node), taints=taint_flags(spec, node))
    return {
        "etcd": flags.etcd(spec, node),
        "kube-apiserver": flags.api_server(spec, node),
        "kube-controller-manager": flags.controller_manager(spec),
        "kube-scheduler": flags.scheduler(spec),
        "kubelet": kubelet,
        "kube-proxy": flags.kube_proxy(),
    }


@pytest.mark.parametrize("number", MINORS)
def test_the_command_lines_and_configurations_of_a_minor_version(number: int, golden: Golden) -> None:
    spec = minor(number)
    node = spec.control_planes[0]
    texts = ["\n  ".join(line) for line in lines(spec).values()]
    texts += [scheduler_config(spec), kubelet_config(spec, node), kube_proxy_config(spec, node)]
    texts.append(f"labels: {', '.join(restricted_labels(spec, node))}\n")
    golden(ROOT / f"tests/golden/kubernetes/minors/1.{number}.txt", "\n\n".join(texts))


@pytest.mark.parametrize("number", MINORS)
def test_no_flag_is_given_that_the_version_has_no_more(number: int) -> None:
    given = {each.split("=")[0] for line in lines(minor(number)).values() for each in line[1:]}
    gone = {flag for flag, since in REMOVED.items() if number >= since}
    assert not given & gone


@pytest.mark.parametrize("number", [20, 23])
def test_nobody_is_answered_without_tls(number: int) -> None:
    every = lines(minor(number))
    assert "--port=0" in every["kube-controller-manager"]
    assert "--port=0" in every["kube-scheduler"]


def test_a_single_control_plane_needs_no_election() -> None:
    assert "--leader-elect=false" in flags.controller_manager(cluster())
    assert '"leaderElect": false' in scheduler_config(cluster())


def test_of_three_one_leads_for_as_long_as_the_host_is_slow() -> None:
    assert "--leader-elect-lease-duration=90s" in flags.controller_manager(cluster("k8s.yml"))
    assert "--leader-elect-lease-duration=15s" in flags.controller_manager(cluster("k8s.yml", slowness=0.1))


def test_on_a_fast_host_nothing_is_off() -> None:
    fast = cluster(slowness=0.1)
    assert not [each for each in flags.controller_manager(fast) if each.startswith("--controllers")]
    assert "--enable-priority-and-fairness=false" not in flags.api_server(fast, fast.control_planes[0])


@pytest.mark.parametrize(("number", "off"), [(23, True), (24, False)])
def test_who_asks_for_a_token_in_a_secret_gets_one_where_not_every_account_has_one(number: int, *, off: bool) -> None:
    (controllers,) = (each for each in flags.controller_manager(minor(number)) if each.startswith("--controllers"))
    assert ("-serviceaccount-token" in controllers.split(",")) == off
    assert flags.signs_tokens(minor(number)) != off


def test_every_member_is_among_the_first() -> None:
    members = flags.initial_members(cluster("k8s.yml"), joining=False)["ETCD_INITIAL_CLUSTER"].split(",")
    assert members == [
        "rack0-cp0=https://10.64.0.1:2380",
        "rack1-cp0=https://10.64.0.17:2380",
        "rack2-cp0=https://10.64.0.33:2380",
    ]


def test_etcd_asks_before_it_elects_in_every_version() -> None:
    old, new = cluster(), minor(35)
    assert "--pre-vote=true" in flags.etcd(old, old.control_planes[0])
    assert "--pre-vote=true" not in flags.etcd(new, new.control_planes[0])
