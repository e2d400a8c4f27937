"""Objects that every cluster of ours has from the start. Pure."""

from __future__ import annotations

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.pki import API_SERVER_TO_KUBELET
from vdc.cluster.kubernetes.spec import ClusterSpec

_RBAC = "rbac.authorization.k8s.io"


def cluster_manifests(cluster: ClusterSpec) -> tuple[Manifest, ...]:
    """Return them: RBAC beyond what API servers make by themselves. The agents' rules come with the agent."""
    del cluster
    return (
        # for logs, exec and metrics (https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/)
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "vdc:kubelet-api"},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "system:kubelet-api-admin"},
            "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": API_SERVER_TO_KUBELET}],
        },
    )
