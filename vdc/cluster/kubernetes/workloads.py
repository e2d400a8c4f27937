"""What scenarios and tests run on a cluster: manifests as pure functions, the same for Kubernetes 1.20 and later.

Every function returns all that its workload needs, its namespace first, so that `cluster.apply(*web("a", replicas=2))`
suffices. Pods have the label `app: NAME`. They run on every node, also on control planes, and need no registry. Of
taints they tolerate those of control planes alone, so that they leave a node that is drained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.paths import VOLUMES
from vdc.cluster.kubernetes.timers import timers
from vdc.cluster.kubernetes.versions import minor, taint_keys
from vdc.model.release import SUPPORTED_KUBERNETES

NAMESPACE: Final = "vdc"
"""All workloads live in it."""
IMAGE: Final = "vdc.local/web:1"
PORT: Final = 8080
"""Where each pod serves a line with its name and its node's."""
SERVICE_PORT: Final = 80
VOLUME: Final = "/data"
"""Where a keeper has its volume."""
READY_FILE: Final = "/tmp/ready"  # noqa: S108 - in a container that nobody shares
"""A gated pod is ready while it has this file, as it has when it starts."""

READY_PATH: Final = "/ready"
"""What its probe asks for: found while that file is there."""

_TAINTS: Final = taint_keys(minor(SUPPORTED_KUBERNETES[0]))
_PAGES: Final = "/tmp/www"  # noqa: S108 - in a container that nobody shares
_ZONE: Final = "topology.kubernetes.io/zone"
_HOSTNAME: Final = "kubernetes.io/hostname"

Kind = Literal["ClusterIP", "Headless", "LoadBalancer"]

# As process 1, sh ends at SIGTERM only if it says so, and httpd never does.
_SERVE: Final = f"""\
trap 'exit 0' TERM
mkdir -p {_PAGES}
echo "$POD_NAME $NODE_NAME" > {_PAGES}/index.html
touch {READY_FILE}
ln -sf {READY_FILE} {_PAGES}{READY_PATH}
echo "$POD_NAME on $NODE_NAME"
httpd -f -p {PORT} -h {_PAGES} &
wait
"""


def namespace() -> Manifest:
    """Return the namespace of all workloads."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def web_everywhere(name: str, *, slowness: float = 1.0) -> tuple[Manifest, ...]:
    """Return a DaemonSet of web servers."""
    spec = {"selector": _selector(name), "template": _template(name, slowness)}
    return namespace(), _object("apps/v1", "DaemonSet", name, spec)


def web(name: str, *, replicas: int, node: str | None = None, slowness: float = 1.0) -> tuple[Manifest, ...]:
    """Return a Deployment of web servers, spread over the racks as evenly as can be, or all on one node."""
    placed = _on(node) if node else {"topologySpreadConstraints": [_spread(name)]}
    spec = {
        "replicas": replicas,
        "selector": _selector(name),
        "template": _template(name, slowness, placed),
    }
    return namespace(), _object("apps/v1", "Deployment", name, spec)


def gated(name: str, *, node: str, slowness: float = 1.0) -> tuple[Manifest, ...]:
    """Return one web server on a node that is ready only while it has `READY_FILE`."""
    probe = {**_probe(READY_PATH, slowness), "failureThreshold": 1}
    spec = {
        "replicas": 1,
        "selector": _selector(name),
        "template": _template(name, slowness, _on(node), container={"readinessProbe": probe}),
    }
    return namespace(), _object("apps/v1", "Deployment", name, spec)


def keeper(name: str, *, node: str, slowness: float = 1.0) -> tuple[Manifest, ...]:
    """Return a StatefulSet of one web server with a volume on the data disk of a node, which outlives the pod."""
    volume = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]}
    # the folder is made by the kubelet, below that of all local volumes
    mounted = {"volumeMounts": [{"name": "data", "mountPath": VOLUME, "subPath": name}]}
    spec = {
        "replicas": 1,
        "serviceName": name,
        "selector": _selector(name),
        "template": _template(name, slowness, volume, container=mounted),
    }
    return (
        *service(name, app=name, kind="Headless"),
        *_local_volume(name, node),
        _object("apps/v1", "StatefulSet", name, spec),
    )


def _local_volume(name: str, node: str) -> tuple[Manifest, ...]:
    """Return a local volume (https://kubernetes.io/docs/concepts/storage/volumes/#local), its class and its claim."""
    here = {"matchExpressions": [{"key": _HOSTNAME, "operator": "In", "values": [node]}]}
    modes, size = ["ReadWriteOnce"], {"storage": "16Mi"}
    volume = {
        "storageClassName": name,
        "capacity": size,
        "accessModes": modes,
        "persistentVolumeReclaimPolicy": "Retain",
        "local": {"path": VOLUMES},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}},
    }
    claim = {"storageClassName": name, "accessModes": modes, "resources": {"requests": size}}
    return (
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume},
        _object("v1", "PersistentVolumeClaim", name, claim),
    )


def service(name: str, *, app: str, kind: Kind = "ClusterIP", local: bool = False) -> tuple[Manifest, ...]:
    """Return a service for the pods of `app`.

    With `local`, a node sends what comes from outside to its own pods only, which see where it comes from.
    """
    spec: dict[str, Any] = {
        "selector": {"app": app},
        "ports": [{"name": "http", "protocol": "TCP", "port": SERVICE_PORT, "targetPort": PORT}],
    }
    if kind == "Headless":
        spec["clusterIP"] = "None"
    else:
        spec["type"] = kind
    if local:
        spec["externalTrafficPolicy"] = "Local"
    return namespace(), _object("v1", "Service", name, spec)


def secret(name: str, *, text: str) -> tuple[Manifest, ...]:
    """Return a secret with a `text`."""
    return namespace(), {**_named("v1", "Secret", name), "type": "Opaque", "stringData": {"text": text}}


def _named(version: str, kind: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def _object(version: str, kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    return {**_named(version, kind, name), "spec": spec}


def _selector(name: str) -> Manifest:
    return {"matchLabels": {"app": name}}


def _on(node: str) -> Manifest:
    return {"nodeSelector": {_HOSTNAME: node}}


def _spread(name: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": _ZONE,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": _selector(name),
    }


def _template(
    name: str,
    slowness: float,
    placed: Mapping[str, Any] | None = None,
    *,
    container: Mapping[str, Any] | None = None,
) -> Manifest:
    """Return the template of a pod; `placed` and `container` are further fields of its spec and of its container's."""
    main = {
        "name": "web",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", _SERVE],
        "env": [_from_pod("POD_NAME", "metadata.name"), _from_pod("NODE_NAME", "spec.nodeName")],
        "ports": [{"name": "http", "protocol": "TCP", "containerPort": PORT}],
        "readinessProbe": _probe("/", slowness),
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
        **(container or {}),
    }
    spec = {
        "containers": [main],
        "tolerations": [{"key": name, "operator": "Exists"} for name in _TAINTS],
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **(placed or {}),
    }
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def _probe(path: str, slowness: float) -> Manifest:
    timing = timers(slowness)
    return {
        "httpGet": {"path": path, "port": PORT},
        "periodSeconds": max(1, round(timing.probe_period)),
        "timeoutSeconds": max(1, round(timing.probe_timeout)),
        "failureThreshold": 2,
    }


def _from_pod(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
