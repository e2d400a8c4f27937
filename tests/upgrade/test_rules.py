from __future__ import annotations

import pytest

from vdc.model.releases import catalogue
from vdc.upgrade.rules import RULES, Part, changed, forbidden, skewed, unfit, versions_of

FORBIDDEN = [
    ("debian-one-release", {"debian": "11"}, {"debian": "13"}),
    ("debian-no-downgrade", {"debian": "13"}, {"debian": "12"}),
    ("etcd-one-minor", {"etcd": "3.4"}, {"etcd": "3.6"}),
    ("etcd-no-downgrade", {"etcd": "3.5.16"}, {"etcd": "3.4.23"}),
    ("containerd-one-minor", {"containerd": "1.5"}, {"containerd": "1.7"}),
    ("containerd-one-minor", {"containerd": "1.6"}, {"containerd": "2.0"}),
    ("containerd-no-downgrade", {"containerd": "2.0"}, {"containerd": "1.7"}),
    ("kube-apiserver-one-minor", {"kubernetes": "1.20.2"}, {"kubernetes": "1.22.0"}),
    ("kubernetes-no-downgrade", {"kubernetes": "1.35.0"}, {"kubernetes": "1.34.7"}),
    (
        "container-runtime-interface",
        {"kubernetes": "1.20.2", "containerd": "1.7"},
        {"kubernetes": "1.20.2", "containerd": "2.0"},
    ),
    (
        "container-runtime-interface",
        {"kubernetes": "1.25.0", "containerd": "1.5"},
        {"kubernetes": "1.26.0", "containerd": "1.5"},
    ),
]

FINE = [
    ({"debian": "12"}, {"debian": "13"}),
    ({"etcd": "3.4"}, {"etcd": "3.5"}),
    ({"etcd": "3.4.23"}, {"etcd": "3.4.40"}),
    ({"etcd": "3.5.16"}, {"etcd": "3.5.1"}),
    ({"containerd": "1.7"}, {"containerd": "2.0"}),
    ({"kubernetes": "1.20.2"}, {"kubernetes": "1.20.2"}),
    ({"kubernetes": "1.34.7"}, {"kubernetes": "1.35.0"}),
    ({"kubernetes": "1.22.0", "containerd": "1.7"}, {"kubernetes": "1.23.0", "containerd": "2.0"}),
    ({"bird": "2.0"}, {"bird": "3.1"}),
    ({"etcd": ""}, {"etcd": "3.5"}),
    ({}, {"etcd": "3.5"}),
]

_API = ("a", "kube-apiserver", "1.30.1")

SKEWED = [
    ("kube-apiserver-skew", [_API, ("b", "kube-apiserver", "1.28.0")]),
    ("kubelet-skew", [_API, ("w", "kubelet", "1.31.0")]),
    ("kubelet-skew", [_API, ("w", "kubelet", "1.26.0")]),
    ("kubelet-skew", [("a", "kube-apiserver", "1.27.0"), ("w", "kubelet", "1.24.9")]),
    ("kubelet-skew", [_API, ("b", "kube-apiserver", "1.29.0"), ("a", "kubelet", "1.30.1")]),
    ("kube-proxy-skew", [_API, ("w", "kube-proxy", "1.31.0")]),
    ("kube-proxy-skew", [("w", "kubelet", "1.26.0"), ("w", "kube-proxy", "1.30.0")]),
    ("kube-proxy-skew", [("w", "kubelet", "1.23.0"), ("w", "kube-proxy", "1.20.2")]),
    ("kube-controller-manager-skew", [_API, ("a", "kube-controller-manager", "1.28.0")]),
    ("kube-controller-manager-skew", [_API, ("b", "kube-apiserver", "1.29.0"), ("a", "kube-scheduler", "1.30.1")]),
    ("kubectl-skew", [_API, ("me", "kubectl", "1.32.0")]),
]

SIDE_BY_SIDE = [
    [_API, ("b", "kube-apiserver", "1.29.0"), ("a", "kube-controller-manager", "1.29.0")],
    [_API, ("w", "kubelet", "1.27.0"), ("w", "kube-proxy", "1.27.0")],
    [("a", "kube-apiserver", "1.26.0"), ("w", "kubelet", "1.24.9")],
    [("w", "kubelet", "1.30.0"), ("w", "kube-proxy", "1.27.0")],
    [_API, ("me", "kubectl", "1.31.0"), ("you", "kubectl", "1.29.0")],
    [_API, ("w", "kubelet", ""), ("w", "cadvisor", "1.99")],
    [],
]


@pytest.mark.parametrize(("rule", "old", "new"), FORBIDDEN)
def test_what_is_forbidden_names_the_rule(rule: str, old: dict[str, str], new: dict[str, str]) -> None:
    assert [breach.rule.name for breach in forbidden(old, new)] == [rule]


@pytest.mark.parametrize(("old", "new"), FINE)
def test_what_is_allowed_breaks_nothing(old: dict[str, str], new: dict[str, str]) -> None:
    assert forbidden(old, new) == ()


@pytest.mark.parametrize(("rule", "parts"), SKEWED)
def test_what_must_not_run_side_by_side_names_the_rule(rule: str, parts: list[tuple[str, str, str]]) -> None:
    assert {breach.rule.name for breach in skewed(Part(*each) for each in parts)} == {rule}


@pytest.mark.parametrize("parts", SIDE_BY_SIDE)
def test_what_may_run_side_by_side_breaks_nothing(parts: list[tuple[str, str, str]]) -> None:
    assert skewed(Part(*each) for each in parts) == ()


def test_every_rule_is_broken_by_a_case_and_says_where_it_is_written() -> None:
    assert {rule for rule, *_ in (*FORBIDDEN, *SKEWED)} == {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.source.startswith("https://") for rule in RULES)


def test_a_breach_says_what_it_is_of() -> None:
    (breach,) = forbidden({"etcd": "3.4"}, {"etcd": "3.6"})
    assert str(breach) == (
        "etcd 3.4 → 3.6: etcd is upgraded one minor version at a time "
        "(rule etcd-one-minor, https://etcd.io/docs/v3.5/upgrades/upgrading-etcd/)"
    )


def test_every_release_fits_together() -> None:
    assert {name: unfit(versions_of(each)) for name, each in catalogue().items()} == dict.fromkeys(catalogue(), ())


def test_what_changes_is_what_differs_be_it_new_or_gone() -> None:
    changes = changed({"etcd": "3.4", "dns": "2", "bird": "2.0"}, {"etcd": "3.5", "bird": "2.0", "cni": "1.1"})
    assert list(map(str, changes)) == ["etcd 3.4 → 3.5", "dns 2 → none", "cni none → 1.1"]


def test_a_release_without_a_kernel_has_no_operating_system() -> None:
    assert versions_of(catalogue()["debian-12"])["debian"] == "12"
    assert "debian" not in versions_of(catalogue()["routers-bird-2.0"])
