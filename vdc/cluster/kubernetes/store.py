"""Keys and values in a cluster: each is a ConfigMap, so that a read goes the way of all that Kubernetes keeps.

A read that names no resource version is one of etcd's quorum (kubernetes.io, "Resource versions").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from vdc.cluster.kubernetes.client import NOT_FOUND, Api, RefusedError

NAMESPACE: Final = "vdc-kept"
"""The namespace of what the harness itself keeps."""
_LABEL: Final = "vdc.local/kept"
_PAGE: Final = "500"


def write(api: Api, key: str, value: str) -> None:
    """Keep a value. Raises ClusterError."""
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": _name(key), "namespace": NAMESPACE, "labels": {_LABEL: "yes"}},
            "data": {"key": key, "value": value},
        }
    )


def read(api: Api, key: str) -> str | None:
    """Return the value of a key, or None. Raises ClusterError."""
    try:
        value: str = api.get(api.path("ConfigMap", _name(key), NAMESPACE))["data"]["value"]
    except RefusedError as refusal:
        if refusal.status != NOT_FOUND:
            raise
        return None
    return value


def read_prefix(api: Api, prefix: str) -> Mapping[str, str]:
    """Return all keys that start with `prefix`, as of one moment. Raises ClusterError."""
    path, found, more = api.path("ConfigMap", namespace=NAMESPACE), {}, ""
    while True:
        page = api.get(path, labelSelector=_LABEL, limit=_PAGE, **({"continue": more} if more else {}))
        for item in page["items"]:
            found[item["data"]["key"]] = item["data"]["value"]
        if not (more := page["metadata"].get("continue", "")):
            return {key: value for key, value in found.items() if key.startswith(prefix)}


def _name(key: str) -> str:
    """Return a name of any key's own: names of objects are of fewer letters."""
    return f"kept-{hashlib.sha256(key.encode()).hexdigest()[:40]}"
