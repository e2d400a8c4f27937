"""Clusters that several tests look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from vdc.cluster.kubernetes.pki import NodeCredentials, leaves
from vdc.cluster.kubernetes.spec import ClusterSpec, Node, cluster_spec
from vdc.cluster.pki import Credential
from vdc.model.expand import expand
from vdc.model.load import parse

ROOT = Path(__file__).parents[3]

OLD: Mapping[str, str] = {"kubernetes": "1.20.2", "etcd": "3.4.23", "containerd": "1.6.20~ds1"}
"""What Debian 12 has."""
NEW: Mapping[str, str] = {"kubernetes": "1.35.0", "etcd": "3.6.6", "containerd": "2.1.5"}


def cluster(
    file: str = "k8s-small.yml",
    *,
    versions: Mapping[str, str] = OLD,
    slowness: float = 1.0,
    **sections: Any,
) -> ClusterSpec:
    """Return the cluster of a file in `topologies/`, with other sections in place of its own."""
    text = json.dumps(YAML(typ="safe").load(ROOT / "topologies" / file) | sections)
    topology = expand(parse(text, file=file))
    return cluster_spec(topology, name="test", versions=versions, slowness=slowness)


def minor(number: int) -> ClusterSpec:
    """Return a small cluster of Kubernetes 1.NUMBER, with an etcd and a containerd of its time."""
    beside = {"etcd": "3.4.23", "containerd": "1.6.20"} if number < 31 else {"etcd": "3.5.21", "containerd": "2.0.5"}
    return cluster(versions={**beside, "kubernetes": f"1.{number}.0"})


def credentials(cluster: ClusterSpec, node: Node) -> NodeCredentials:
    """Return texts in place of what is drawn at random."""
    own = {
        leaf.name: Credential(cert_pem=f"certificate of {leaf.name}\n", key_pem=f"key of {leaf.name}\n")
        for leaf in leaves(cluster, node)
    }
    trusted = {each: f"authority of {each}\n" for each in ("kubernetes", "etcd", "front-proxy")}
    if not node.control_plane:
        return NodeCredentials(trusted=trusted, leaves=own)
    return NodeCredentials(
        trusted=trusted,
        leaves=own,
        service_account_key="key of service accounts\n",
        service_account_public="public key of service accounts\n",
        encryption_keys=(("key1", b"a key of exactly thirty-two byte"),),
    )
