"""Configuration files of the kubelet and of kube-proxy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from vdc.cluster.kubernetes.config_control import as_json
from vdc.cluster.kubernetes.paths import RESOLV_CONF, RUNTIME_SOCKET, certificate, key, kubeconfig
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.kubernetes.timers import go_duration, timers
from vdc.cluster.kubernetes.versions import api_version, ip_versions, minor, role_labels, taint_keys

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
ROLE_LABEL: Final = "vdc.role"
"""The label with the role that a server has in the topology."""

_MOST_PODS: Final = 110  # what Kubernetes is tested with on a node


def node_labels(node: Node) -> Mapping[str, str]:
    """Return the labels that a kubelet gives its node; NodeRestriction allows it these."""
    return MappingProxyType({ZONE_LABEL: node.zone, ROLE_LABEL: node.server.role})


def restricted_labels(cluster: ClusterSpec, node: Node) -> Mapping[str, str]:
    """Return the labels of a node that only an administrator may give it."""
    return dict.fromkeys(role_labels(minor(cluster.version)), "") if node.control_plane else {}


def taints(cluster: ClusterSpec, node: Node) -> tuple[Mapping[str, str], ...]:
    """Return the taints that a node has from the moment it registers."""
    keys = taint_keys(minor(cluster.version)) if node.control_plane else ()
    return tuple({"key": name, "effect": "NoSchedule"} for name in keys)


def taint_flags(cluster: ClusterSpec, node: Node) -> tuple[str, ...]:
    """Return the taints as the kubelet's command line has them: KEY=VALUE:EFFECT."""
    return tuple(f"{taint['key']}=:{taint['effect']}" for taint in taints(cluster, node))


def most_pods(node: Node) -> int:
    """Return how many pods a node can have.

    Of each block of addresses host-local leaves out the first, the last, and the one that is the node's end of every
    pod's wire.
    """
    return min(_MOST_PODS, sum(block.num_addresses - 3 for block in node.server.pods if block.version == 4))


def kubelet_config(cluster: ClusterSpec, node: Node) -> str:
    """Return the KubeletConfiguration (https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/).

    There is no registry to pull an image from again, so that images are never collected as garbage.
    """
    of = minor(cluster.version)
    timing = timers(cluster.slowness)
    config: dict[str, Any] = {
        "apiVersion": api_version("KubeletConfiguration", of),
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True, "cacheTTL": "2m0s"},
            "x509": {"clientCAFile": certificate("ca")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": certificate("kubelet-server"),
        "tlsPrivateKeyFile": key("kubelet-server"),
        "cgroupDriver": "systemd",
        "clusterDNS": [str(node.address)],
        "clusterDomain": cluster.settings.domain,
        "resolvConf": RESOLV_CONF,
        "containerLogMaxSize": "5Mi",
        "containerLogMaxFiles": 2,
        "evictionHard": {"memory.available": "48Mi", "nodefs.available": "2%", "imagefs.available": "2%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": most_pods(node),
        "nodeStatusUpdateFrequency": go_duration(timing.node_status),
        "nodeStatusReportFrequency": "5m0s",
        "nodeLeaseDurationSeconds": round(timing.node_lease),
        "runtimeRequestTimeout": go_duration(timing.runtime_request),
        "volumeStatsAggPeriod": go_duration(timing.volume_stats),
        "readOnlyPort": 0,
        "serializeImagePulls": True,
        "systemReserved": {"memory": "128Mi"},
        "kubeReserved": {"memory": "512Mi" if node.control_plane else "192Mi"},
    }
    if of >= 21:
        config |= {"shutdownGracePeriod": "20s", "shutdownGracePeriodCriticalPods": "5s"}
    if of >= 23 and (own := taints(cluster, node)):
        config["registerWithTaints"] = list(own)
    if of >= 27:
        config["containerRuntimeEndpoint"] = f"unix://{RUNTIME_SOCKET}"
    return as_json(config)


def kube_proxy_config(cluster: ClusterSpec, node: Node) -> str:
    """Return the KubeProxyConfiguration (https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/).

    What comes from the pods' pool keeps its address on the way to a service.
    """
    sync = go_duration(timers(cluster.slowness).rules_sync)
    served = ip_versions(cluster)
    return as_json(
        {
            "apiVersion": api_version("KubeProxyConfiguration", minor(cluster.version)),
            "kind": "KubeProxyConfiguration",
            # else it asks for its node, and takes 127.0.0.1 if that is not there in half a minute
            "bindAddress": str(node.address),
            "clientConnection": {"kubeconfig": kubeconfig("kube-proxy")},
            "clusterCIDR": ",".join(str(pool) for pool in cluster.settings.pods if pool.version in served),
            "hostnameOverride": node.name,
            "healthzBindAddress": "0.0.0.0:10256",
            "metricsBindAddress": "127.0.0.1:10249",
            "mode": cluster.settings.proxy,
            "iptables": {"syncPeriod": sync, "minSyncPeriod": "1s"},
            "ipvs": {"syncPeriod": sync, "scheduler": "rr"},
        }
    )
