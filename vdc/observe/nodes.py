"""Nodes of a Kubernetes: what the topology wants of them, what they may do, and whether their proxies answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from vdc.cluster.kubernetes.api import Caller, KubernetesCluster, NodeState
from vdc.cluster.kubernetes.paths import kubeconfig
from vdc.cluster.kubernetes.timers import timers
from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError
from vdc.model.topology import Server
from vdc.shell import Completed
from vdc.wait import NotYet, wait_for

MARK: Final = "vdc.local/marked"
"""An annotation that means nothing."""
PROXY_MODE: Final = "http://127.0.0.1:10249/proxyMode"
"""Where kube-proxy says on its node by which means it works."""

_ASKED = 2
"""Times that a proxy is asked for each API server, so that one that takes turns comes to all of them."""

_ALIVE = 200
_KUBELET_SECONDS = 60.0


def node_differences(kubernetes: KubernetesCluster) -> tuple[str, ...]:
    """Return how the nodes that the API has are not those of the topology: missing, strange, or with other words.

    All members of the topology should be Ready nodes, of the version that is installed on each.

    Raises AssertionError: the topology has no server that could be one.
    """
    dc = kubernetes.dc
    planned = {server.name: _planned(dc, server) for server in dc.topology.members}
    assert planned, "the data centre has no servers"
    found = {node.name: replace(node, pod_blocks=()) for node in kubernetes.nodes()}
    return tuple(
        f"{name}: {found.get(name, 'missing')}, expected {planned.get(name, 'no node')}"
        for name in sorted(planned.keys() | found.keys())
        if planned.get(name) != found.get(name)
    )


def wait_kubelets(kubernetes: KubernetesCluster) -> None:
    """Wait until the kubelet of every node says that it is well. Raises WaitTimeout with what one says instead."""
    for name in kubernetes.node_names:
        wait_for(
            partial(_expect_well, kubernetes, name),
            what=f"the kubelet of {name} to be well",
            timeout=deadline(kubernetes.dc, _KUBELET_SECONDS),
            interval=0.5,
        )


def wait_proxies(kubernetes: KubernetesCluster, *, serving: bool, timeout: float) -> None:
    """Wait until the API answers through the proxy of every node, and goes on to; or until it does through none.

    From the moment that all of them answer, each is asked some times for every API server: no request may fail.

    Raises:
        WaitTimeout: they don't, with the reason.
        ClusterError: one answered, and then failed.
    """
    state = "answer" if serving else "fail"
    wait_for(
        lambda: _expect_proxies(kubernetes, serving=serving),
        what=f"the proxies of all nodes to {state}",
        timeout=timeout,
        interval=0.5,
    )
    for name in kubernetes.node_names if serving else ():
        for _ in range(_ASKED * len(kubernetes.members)):
            if reason := _proxy_trouble(kubernetes, name):
                raise ClusterError(f"the proxy of {name} answered, and then failed: {reason}")


def as_node(dc: DataCenter, node: str, *arguments: str) -> Completed:
    """Run kubectl on a node with the credential of its kubelet; whatever its exit status is."""
    argv = ["kubectl", f"--kubeconfig={kubeconfig('kubelet')}", "--cache-dir=/tmp/kubectl", *arguments]
    return dc.servers[node].run(argv, check=False, timeout=60.0 + deadline(dc, 60.0))


def etcd_answers(kubernetes: KubernetesCluster, server: str, *, caller: Caller) -> bool:
    """Return whether a member of etcd answers somebody; one that refuses does so before it is asked, by TLS.

    Raises ClusterError: it does not answer those whom it knows either, so that this would prove nothing.
    """
    try:
        kubernetes.ask_etcd(server, caller=caller)
    except ClusterError:
        kubernetes.ask_etcd(server)
        return False
    return True


def noticing(kubernetes: KubernetesCluster) -> float:
    """Return within how many seconds each proxy knows which API servers are ready: checks, and attempts to connect."""
    timing = timers(kubernetes.pace)
    return 3 * timing.proxy_check + 2 * timing.proxy_connect if kubernetes.dc.slowness else 0.0


def mark(dc: DataCenter, node: str, *, of: str, value: str) -> Completed:
    """Set the annotation `MARK` of the node `of`, with the credential of `node`; whatever comes of it."""
    return as_node(dc, node, "annotate", "node", of, f"{MARK}={value}", "--overwrite")


def marked(kubernetes: KubernetesCluster, node: str) -> str:
    """Return what the annotation `MARK` of a node is, or an empty text."""
    return str(kubernetes.get("Node", node)["metadata"].get("annotations", {}).get(MARK, ""))


def proxy_modes(kubernetes: KubernetesCluster) -> Mapping[str, str]:
    """Return by which means kube-proxy of each node works, as it says itself: node to "iptables" or "ipvs"."""
    argv = ["busybox", "wget", "-q", "-O", "-", PROXY_MODE]
    return {name: kubernetes.dc.servers[name].run(argv).stdout.strip() for name in kubernetes.node_names}


def is_forbidden(done: Completed) -> bool:
    """Return whether a command failed because the API server forbids it, and not for another reason."""
    return done.status != 0 and "forbidden" in f"{done.stdout}{done.stderr}".lower()


def _planned(dc: DataCenter, server: Server) -> NodeState:
    kubernetes = dc.topology.kubernetes
    assert kubernetes is not None, f"{dc.topology.name} has no Kubernetes"
    return NodeState(
        name=server.name,
        ready=True,
        version=f"v{dc.servers[server.name].versions()['kubernetes']}",
        zone=f"rack{server.rack}",
        role=server.role,
        control_plane=server.name in kubernetes.control_planes,
        pod_blocks=(),
    )


def _expect_proxies(kubernetes: KubernetesCluster, *, serving: bool) -> None:
    troubles = {name: _proxy_trouble(kubernetes, name) for name in kubernetes.node_names}
    if serving and any(troubles.values()):
        raise NotYet("; ".join(f"{name}: {reason}" for name, reason in troubles.items() if reason))
    if not serving and not all(troubles.values()):
        raise NotYet(f"still answered by {', '.join(name for name, reason in troubles.items() if not reason)}")


def _expect_well(kubernetes: KubernetesCluster, node: str) -> None:
    try:
        answer = kubernetes.ask_kubelet(node, "/healthz")
    except ClusterError as error:
        raise NotYet(error.message) from error
    if answer.status != _ALIVE:
        raise NotYet(f"{answer.status} {answer.body.strip()[:200]}")


def _proxy_trouble(kubernetes: KubernetesCluster, name: str) -> str:
    try:
        answer = kubernetes.ask_api("/readyz", via=name, proxied=True)
    except ClusterError as error:
        return error.message
    return "" if answer.status == _ALIVE else f"{answer.status} {answer.body.strip()[:200]}"
