"""Configuration files of the control plane (scheduler, audit, encryption), and kubeconfigs of who talks to it. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vdc.cluster.kubernetes.paths import kubeconfig as kubeconfig_path
from vdc.cluster.kubernetes.pki import AGENTS
from vdc.cluster.kubernetes.spec import PROXY_PORT, ClusterSpec
from vdc.cluster.kubernetes.timers import go_duration, timers
from vdc.cluster.kubernetes.versions import api_version, minor

LOCAL_API = f"https://127.0.0.1:{PROXY_PORT}"
"""Where everything on a node finds the API: the node's own reverse proxy."""


_INSECURE: Final = "127.0.0.1:10251"
"""Where a scheduler of before 1.22 tells anybody of its health and metrics; it takes no port 0 there."""
_WATCHERS = ["system:nodes", "system:serviceaccounts:kube-system", AGENTS]


def as_json(data: Mapping[str, Any]) -> str:
    """Return a document of JSON, which YAML includes, for people to read."""
    return json.dumps(data, indent=1) + "\n"


def scheduler_config(cluster: ClusterSpec) -> str:
    """Return the KubeSchedulerConfiguration (https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/).

    A single scheduler needs no election: with a lease it would wait for its own to end whenever it starts.
    """
    timing, of = timers(cluster.slowness), minor(cluster.version)
    election = {
        "leaderElect": True,
        "leaseDuration": go_duration(timing.lease),
        "renewDeadline": go_duration(timing.lease_renew),
        "retryPeriod": go_duration(timing.lease_retry),
        "resourceLock": "leases",
    }
    return as_json(
        {
            "apiVersion": api_version("KubeSchedulerConfiguration", of),
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": kubeconfig_path("scheduler")},
            "leaderElection": election if len(cluster.control_planes) > 1 else {"leaderElect": False},
            "enableProfiling": False,
            "enableContentionProfiling": False,
            # v1beta1 has them on every address, without TLS, whatever the flag says; later versions have none
            **({"healthzBindAddress": _INSECURE, "metricsBindAddress": _INSECURE} if of < 22 else {}),
        }
    )


def audit_policy() -> str:
    """Return the audit policy: who did what, not with which content. Left out is what components do without end.

    https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
    """
    reads = ["get", "list", "watch"]
    return as_json(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [
                {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi*"]},
                {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
                {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
                {
                    "level": "None",
                    "verbs": reads,
                    "userGroups": ["system:nodes", "system:serviceaccounts:kube-system", AGENTS],
                },
                {
                    "level": "None",
                    "verbs": reads,
                    "users": [
                        "system:apiserver",
                        "system:kube-controller-manager",
                        "system:kube-proxy",
                        "system:kube-scheduler",
                    ],
                },
                {"level": "Metadata"},
            ],
        }
    )


def encryption_config(keys: Sequence[tuple[str, bytes]]) -> str:
    """Return the configuration that keeps secrets encrypted in etcd (XSalsa20 and Poly1305) by keys of 32 bytes.

    The first one encrypts; what others have encrypted is still read, and what was written without encryption
    (https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/).
    """
    named = [{"name": name, "secret": base64.b64encode(secret).decode()} for name, secret in keys]
    return as_json(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [
                {"resources": ["secrets"], "providers": [{"secretbox": {"keys": named}}, {"identity": {}}]},
            ],
        }
    )


def kubeconfig_by_files(*, ca: str, certificate: str, key: str, server: str = LOCAL_API) -> str:
    """Return a kubeconfig whose credentials are files on the node: a rotated one is read without a restart."""
    return _kubeconfig(
        {"server": server, "certificate-authority": ca}, {"client-certificate": certificate, "client-key": key}
    )


def kubeconfig_inline(*, ca: str, certificate: str, key: str, server: str) -> str:
    """Return a kubeconfig that has its credentials (PEM texts) in it, for people outside."""
    user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    return _kubeconfig({"server": server, "certificate-authority-data": _base64(ca)}, user)


def _kubeconfig(cluster: Mapping[str, str], user: Mapping[str, str]) -> str:
    return as_json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "vdc", "cluster": dict(cluster)}],
            "users": [{"name": "vdc", "user": dict(user)}],
            "contexts": [{"name": "vdc", "context": {"cluster": "vdc", "user": "vdc"}}],
            "current-context": "vdc",
        }
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
