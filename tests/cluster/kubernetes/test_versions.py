from __future__ import annotations

import pytest

from vdc.cluster.kubernetes.spec import parse_version
from vdc.cluster.kubernetes.versions import api_version, check_versions, major_minor, minor, role_labels, taint_keys
from vdc.errors import InputError
from vdc.model.releases import catalogue, release

GOOD = {"kubernetes": "1.20.2", "etcd": "3.4.23+dfsg-1", "containerd": "1.6.20~ds1-1"}


@pytest.mark.parametrize("text", ["1.19.16", "1.36.0", "2.0.0"])
def test_a_version_that_is_not_supported_is_refused_with_the_range(text: str) -> None:
    with pytest.raises(InputError) as refused:
        minor(parse_version(text))
    assert str(refused.value) == f"Kubernetes {text} is not supported\n  hint: supported are 1.20 to 1.35"


@pytest.mark.parametrize("name", [name for name, each in catalogue().items() if each.kubernetes])
def test_every_release_of_this_checkout_has_versions_that_go_together(name: str) -> None:
    check_versions({each.name: each.version for each in release(name).components if each.version})


def test_versions_that_go_together_are_accepted() -> None:
    check_versions(GOOD)


@pytest.mark.parametrize(
    ("versions", "message"),
    [
        ({"containerd": "2.0.1"}, "containerd 2.0 needs Kubernetes 1.23 or later, this is 1.20"),
        ({"containerd": "1.5.9"}, "containerd 1.5 is not supported: 1.6 or later"),
        ({"etcd": "3.3.25"}, "etcd 3.3 is not supported: 3.4 or later"),
        (
            {"etcd": "3.3.25", "containerd": "2.0.1"},
            "containerd 2.0 needs Kubernetes 1.23 or later, this is 1.20; etcd 3.3 is not supported: 3.4 or later",
        ),
        ({"kubernetes": "new"}, '"new.0" is not a version of Kubernetes\n  hint: as 1.20.2'),
        ({"kubernetes": "1.36"}, "Kubernetes 1.36 is not supported\n  hint: supported are 1.20 to 1.35"),
    ],
)
def test_versions_that_do_not_go_together_are_all_named(versions: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as refused:
        check_versions({**GOOD, **versions})
    assert str(refused.value) == message


def test_a_release_without_kubernetes_is_refused() -> None:
    with pytest.raises(InputError, match="the release has no Kubernetes"):
        check_versions({"etcd": "3.4.23"})


def test_a_newer_containerd_is_fine_with_a_newer_kubernetes() -> None:
    check_versions({**GOOD, "kubernetes": "1.30.1", "containerd": "2.0.1"})


@pytest.mark.parametrize(
    ("kind", "of", "expected"),
    [
        ("EndpointSlice", 20, "discovery.k8s.io/v1beta1"),
        ("EndpointSlice", 21, "discovery.k8s.io/v1"),
        ("Eviction", 21, "policy/v1beta1"),
        ("Eviction", 22, "policy/v1"),
        ("KubeSchedulerConfiguration", 21, "kubescheduler.config.k8s.io/v1beta1"),
        ("KubeSchedulerConfiguration", 24, "kubescheduler.config.k8s.io/v1beta2"),
        ("KubeSchedulerConfiguration", 25, "kubescheduler.config.k8s.io/v1"),
        ("KubeSchedulerConfiguration", 35, "kubescheduler.config.k8s.io/v1"),
    ],
)
def test_an_api_version_is_the_newest_there_is(kind: str, of: int, expected: str) -> None:
    assert api_version(kind, of) == expected


def test_the_old_name_of_the_control_plane_goes() -> None:
    assert [len(taint_keys(of)) for of in (20, 24, 25, 35)] == [2, 2, 1, 1]
    assert [len(role_labels(of)) for of in (20, 23, 24, 35)] == [2, 2, 1, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3.4.23+dfsg-1", (3, 4)), ("1.6.20~ds1-1+deb12u1", (1, 6)), ("2.0", (2, 0)), ("v1.35.0", (1, 35))],
)
def test_the_versions_of_packages_are_versions(text: str, expected: tuple[int, int]) -> None:
    assert major_minor(text) == expected
