"""What differs between versions of Kubernetes, as far as a cluster of ours says it: one table.

Sources: the changelogs (https://github.com/kubernetes/kubernetes/tree/master/CHANGELOG), the deprecated API migration
guide (https://kubernetes.io/docs/reference/using-api/deprecation-guide/), containerd's RELEASES.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from vdc.cluster.kubernetes.spec import ClusterSpec, parse_version
from vdc.errors import InputError
from vdc.model.release import SUPPORTED_KUBERNETES

_OLDEST, _NEWEST = SUPPORTED_KUBERNETES
SUPPORTED: Final = " to ".join(".".join(map(str, each)) for each in SUPPORTED_KUBERNETES)
"""The versions of Kubernetes that can be deployed, for people."""

_API_VERSIONS: Final[Mapping[str, tuple[tuple[int, str], ...]]] = {
    "EndpointSlice": ((20, "discovery.k8s.io/v1beta1"), (21, "discovery.k8s.io/v1")),
    "CronJob": ((20, "batch/v1beta1"), (21, "batch/v1")),
    "PodDisruptionBudget": ((20, "policy/v1beta1"), (21, "policy/v1")),
    "Eviction": ((20, "policy/v1beta1"), (22, "policy/v1")),
    "KubeSchedulerConfiguration": (
        (20, "kubescheduler.config.k8s.io/v1beta1"),
        (22, "kubescheduler.config.k8s.io/v1beta2"),
        (25, "kubescheduler.config.k8s.io/v1"),
    ),
    "KubeletConfiguration": ((20, "kubelet.config.k8s.io/v1beta1"),),
    "KubeProxyConfiguration": ((20, "kubeproxy.config.k8s.io/v1alpha1"),),
    "EncryptionConfiguration": ((20, "apiserver.config.k8s.io/v1"),),
    "Policy": ((20, "audit.k8s.io/v1"),),
}
"""Kind to its API versions, each with the minor version from which on it is the one to use."""

_DUAL_STACK: Final = 21
_CHECKED: Final = frozenset({"containerd", "etcd"})
CONTROL_PLANE_KEY: Final = "node-role.kubernetes.io/control-plane"
_MASTER_KEY: Final = "node-role.kubernetes.io/master"


def minor(version: tuple[int, ...]) -> int:
    """Return the minor version: 20 of 1.20.2. Raises InputError where that is not a supported one."""
    if not _OLDEST <= version[:2] <= _NEWEST:
        raise InputError(
            f"Kubernetes {'.'.join(map(str, version))} is not supported", hint=f"supported are {SUPPORTED}"
        )
    return version[1]


def api_version(kind: str, of: int) -> str:
    """Return the API version of a kind for a minor version: the newest that it has."""
    return [name for since, name in _API_VERSIONS[kind] if since <= of][-1]


def ip_versions(cluster: ClusterSpec) -> tuple[int, ...]:
    """Return the IP versions of pods and services: two only from 1.21 on, where that is no longer alpha (KEP-563)."""
    routed = cluster.topology.versions
    return routed if minor(cluster.version) >= _DUAL_STACK else routed[:1]


def taint_keys(of: int) -> tuple[str, ...]:
    """Return the keys of the taints of control-plane nodes (KEP-2067): `master` until 1.24, too."""
    return (CONTROL_PLANE_KEY, _MASTER_KEY) if of < 25 else (CONTROL_PLANE_KEY,)


def role_labels(of: int) -> tuple[str, ...]:
    """Return the labels of control-plane nodes, which a kubelet may not set itself: `master` until 1.23, too."""
    return (CONTROL_PLANE_KEY, _MASTER_KEY) if of < 24 else (CONTROL_PLANE_KEY,)


def major_minor(text: str) -> tuple[int, int]:
    """Return the first two numbers of "3.4.23+dfsg-1". Raises InputError."""
    numbers = text.split("+")[0].split("-")[0].split("~")[0].split(".")
    return parse_version(".".join([*numbers, "0"][:3]))[:2]


def check_versions(versions: Mapping[str, str]) -> None:
    """Pass if versions of components, as a release has them, are supported and go together; "1.6" is any 1.6.

    Raises InputError with every reason why not.
    """
    if "kubernetes" not in versions:
        raise InputError("the release has no Kubernetes", hint="`vdc release list` shows which ones do")
    of = minor(major_minor(versions["kubernetes"]))
    wrong = tuple(_clashes(of, {name: major_minor(version) for name, version in versions.items() if name in _CHECKED}))
    if wrong:
        raise InputError("; ".join(wrong))


def _clashes(of: int, versions: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    said = {name: ".".join(map(str, version)) for name, version in versions.items()}
    containerd, etcd = versions.get("containerd", (1, 6)), versions.get("etcd", (3, 4))
    # CRI v1alpha2 is gone from containerd 2.0, and from the kubelet of 1.26, which needs CRI v1 of containerd 1.6
    if containerd >= (2, 0) and of < 23:
        yield f"containerd {said['containerd']} needs Kubernetes 1.23 or later, this is 1.{of}"
    if containerd < (1, 6):
        yield f"containerd {said['containerd']} is not supported: 1.6 or later"
    if etcd < (3, 4):
        yield f"etcd {said['etcd']} is not supported: 3.4 or later"
