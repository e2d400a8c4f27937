"""Every file of a node, as text, and what has to start again when one of them changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Final

from vdc.cluster.kubernetes.agent_files import AGENT_CONFIG, AGENT_PROGRAM
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.config_control import (
    audit_policy,
    encryption_config,
    kubeconfig_by_files,
    scheduler_config,
)
from vdc.cluster.kubernetes.config_node import kube_proxy_config, kubelet_config
from vdc.cluster.kubernetes.config_system import (
    cni_config,
    containerd_config,
    dnsmasq_config,
    haproxy_config,
    registry_files,
    resolv_conf,
    sysctls,
)
from vdc.cluster.kubernetes.flags import initial_members
from vdc.cluster.kubernetes.paths import (
    CNI_CONFIG,
    CONFIG,
    ETCD,
    FIRST_MEMBERS,
    PKI,
    REGISTRIES,
    RESOLV_CONF,
    UNITS,
    certificate,
    key,
    kubeconfig,
)
from vdc.cluster.kubernetes.pki import NodeCredentials
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.kubernetes.units import unit_files, units
from vdc.plan.identity import WOKEN

SYSCTLS: Final = "/etc/sysctl.d/95-kubernetes.conf"
_API_PROXY_PEM: Final = f"{PKI}/api-proxy.pem"
_CONTAINERD: Final = "/etc/containerd/config.toml"
_CNI: Final = f"{CNI_CONFIG}/10-pods.conflist"

_AFTER_A_REST: Final = f"""\
# Each controller asks for a new token before the one it has, good for an hour, expires: by a clock (clock_gettime(2):
# CLOCK_MONOTONIC) that stands still with its guest. After a longer rest the API server refuses what it shows.
[ "$1" -lt 600 ] || systemctl --no-block try-restart {Component.CONTROLLER_MANAGER}.service
"""

_WITH_KUBECONFIG: Final = ("kubelet", "kube-proxy", "agent", "controller-manager", "scheduler")

_CONTROL: Final = (Component.API_SERVER, Component.CONTROLLER_MANAGER, Component.SCHEDULER)
_NODE: Final = (Component.KUBELET, Component.KUBE_PROXY, Component.AGENT)
_USERS: Final[Mapping[str, tuple[Component, ...]]] = {
    _CONTAINERD: (Component.RUNTIME,),
    _API_PROXY_PEM: (Component.API_PROXY,),
    f"{CONFIG}/haproxy.cfg": (Component.API_PROXY,),
    f"{CONFIG}/dnsmasq.conf": (Component.DNS,),
    f"{CONFIG}/kubelet.json": (Component.KUBELET,),
    f"{CONFIG}/kube-proxy.json": (Component.KUBE_PROXY,),
    f"{CONFIG}/scheduler.json": (Component.SCHEDULER,),
    f"{CONFIG}/audit-policy.json": (Component.API_SERVER,),
    f"{CONFIG}/encryption.json": (Component.API_SERVER,),
    f"{ETCD}/ca.crt": (Component.ETCD, Component.API_SERVER),
    f"{ETCD}/member.crt": (Component.ETCD,),
    f"{ETCD}/member.key": (Component.ETCD,),
    certificate("ca"): (Component.API_PROXY, *_CONTROL, *_NODE),
    certificate("front-proxy-ca"): _CONTROL,
    f"{PKI}/sa.pub": (Component.API_SERVER,),
    key("sa"): (Component.API_SERVER, Component.CONTROLLER_MANAGER),
    kubeconfig("agent"): (Component.AGENT,),
    kubeconfig("kubelet"): (Component.KUBELET,),
    kubeconfig("kube-proxy"): (Component.KUBE_PROXY,),
    kubeconfig("controller-manager"): (Component.CONTROLLER_MANAGER,),
    kubeconfig("scheduler"): (Component.SCHEDULER,),
    **{
        path(name): (component,)
        for path in (certificate, key)
        for name, component in (
            ("agent", Component.AGENT),
            ("apiserver", Component.API_SERVER),
            ("apiserver-etcd-client", Component.API_SERVER),
            ("apiserver-kubelet-client", Component.API_SERVER),
            ("front-proxy-client", Component.API_SERVER),
            ("controller-manager", Component.CONTROLLER_MANAGER),
            ("scheduler", Component.SCHEDULER),
            ("kubelet", Component.KUBELET),
            ("kubelet-server", Component.KUBELET),
            ("kube-proxy", Component.KUBE_PROXY),
        )
    },
}
"""Who reads a file when it starts. What is not here is read when it is needed."""


def node_files(
    cluster: ClusterSpec, node: Node, credentials: NodeCredentials, *, joining: bool = False
) -> Mapping[str, str]:
    """Return every file of a node by its absolute path, but for the agent's.

    `joining`: etcd is there already, and has been told of this member; else all members begin together.
    """
    control = _control_files(cluster, credentials, joining=joining) if node.control_plane else {}
    return MappingProxyType(
        {
            **_credential_files(credentials),
            **{kubeconfig(name): _kubeconfig(name) for name in _WITH_KUBECONFIG if name in credentials.leaves},
            **_node_files(cluster, node),
            **control,
            **registry_files(cluster),
            **unit_files(cluster, node),
        }
    )


def affected(node: Node, paths: Iterable[str]) -> tuple[Component, ...]:
    """Return what has to start (again) for changes of these files, in the order of `units`.

    Members of etcd read who the first members are only while they have no data.
    """
    changed = set(chain.from_iterable(_users(path) for path in paths))
    return tuple(component for component in units(node) if component in changed)


def is_private(path: str) -> bool:
    """Return whether a file is for root alone (mode 0600): it has a key in it."""
    return path.endswith((".key", ".pem")) or path == f"{CONFIG}/encryption.json"


def _users(path: str) -> tuple[Component, ...]:
    if path.startswith(f"{UNITS}/"):
        return (Component(path.removeprefix(f"{UNITS}/").split(".")[0]),)
    if path.startswith(f"{REGISTRIES}/"):
        return ()
    if path == AGENT_CONFIG or path.startswith(f"{AGENT_PROGRAM}/"):
        return (Component.AGENT,)
    return _USERS.get(path, ())


def _credential_files(credentials: NodeCredentials) -> Mapping[str, str]:
    special = {"api-proxy", "etcd-member"}
    own = {name: each for name, each in credentials.leaves.items() if name not in special}
    proxy = credentials.leaves["api-proxy"]
    return {
        certificate("ca"): credentials.trusted["kubernetes"],
        _API_PROXY_PEM: proxy.cert_pem + proxy.key_pem,
        **{certificate(name): each.cert_pem for name, each in own.items()},
        **{key(name): each.key_pem for name, each in own.items()},
    }


def _node_files(cluster: ClusterSpec, node: Node) -> Mapping[str, str]:
    return {
        _CONTAINERD: containerd_config(cluster),
        _CNI: cni_config(cluster, node),
        SYSCTLS: sysctls(cluster),
        RESOLV_CONF: resolv_conf(node),
        f"{CONFIG}/haproxy.cfg": haproxy_config(cluster, node),
        f"{CONFIG}/dnsmasq.conf": dnsmasq_config(cluster, node),
        f"{CONFIG}/kubelet.json": kubelet_config(cluster, node),
        f"{CONFIG}/kube-proxy.json": kube_proxy_config(cluster, node),
    }


def _control_files(cluster: ClusterSpec, credentials: NodeCredentials, *, joining: bool) -> Mapping[str, str]:
    member = credentials.leaves["etcd-member"]
    initial = "".join(f"{name}={value}\n" for name, value in initial_members(cluster, joining=joining).items())
    return {
        FIRST_MEMBERS: initial,
        f"{ETCD}/ca.crt": credentials.trusted["etcd"],
        f"{ETCD}/member.crt": member.cert_pem,
        f"{ETCD}/member.key": member.key_pem,
        certificate("front-proxy-ca"): credentials.trusted["front-proxy"],
        f"{PKI}/sa.pub": credentials.service_account_public,
        key("sa"): credentials.service_account_key,
        f"{CONFIG}/audit-policy.json": audit_policy(),
        f"{CONFIG}/encryption.json": encryption_config(credentials.encryption_keys),
        f"{CONFIG}/scheduler.json": scheduler_config(cluster),
        f"{WOKEN}/{Component.CONTROLLER_MANAGER}": _AFTER_A_REST,
    }


def _kubeconfig(name: str) -> str:
    return kubeconfig_by_files(ca=certificate("ca"), certificate=certificate(name), key=key(name))
