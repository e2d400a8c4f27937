"""The objects of a Kubernetes in memory: what was applied, and what the API adds to it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from vdc.cluster.kubernetes.api import Manifest
from vdc.errors import ClusterError

Object = dict[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace and name."""

_GLOBAL = frozenset({"Namespace", "Node", "PersistentVolume", "StorageClass", "ClusterRole", "ClusterRoleBinding"})


def bare(kind: str) -> str:
    """Return a kind without its API version: "apps/v1 Deployment" is a Deployment."""
    return kind.rpartition(" ")[2]


def key_of(manifest: Manifest) -> Key:
    """Return what an object is known by."""
    kind, metadata = str(manifest["kind"]), manifest["metadata"]
    return kind, "" if kind in _GLOBAL else str(metadata.get("namespace", "default")), str(metadata["name"])


class Objects:
    """Objects by key, each with a version that grows with every write."""

    def __init__(self) -> None:
        self._kept: dict[Key, Object] = {}
        self._version = 0
        self.apply({"kind": "Namespace", "metadata": {"name": "default"}})

    def apply(self, manifest: Manifest) -> Object:
        """Write an object: what the manifest has replaces what is there."""
        key = key_of(manifest)
        old = self._kept.get(key, {})
        new = _merged(old, manifest)
        if new != old:
            self._kept[key] = new
            self.touch(new)
        return self._kept[key]

    def touch(self, written: Object) -> None:
        """Give an object another version."""
        self._version += 1
        written["metadata"]["resourceVersion"] = str(self._version)

    def delete(self, manifest: Manifest) -> None:
        """Remove an object, if it is there."""
        self._kept.pop(key_of(manifest), None)

    def get(self, kind: str, name: str, namespace: str) -> Object:
        """Return an object. Raises ClusterError: there is none."""
        key = (kind, "" if kind in _GLOBAL else namespace or "default", name)
        if key not in self._kept:
            raise ClusterError(f"{kind} {namespace}/{name}: 404: not found")
        return self._kept[key]

    def of(self, *kinds: str) -> tuple[Object, ...]:
        """Return the objects of some kinds, in the order in which they were made."""
        return tuple(each for (kind, _, _), each in self._kept.items() if kind in kinds)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    both = copy.deepcopy(dict(old))
    for name, value in new.items():
        nested = isinstance(value, Mapping) and isinstance(both.get(name), Mapping)
        both[name] = _merged(both[name], value) if nested else copy.deepcopy(value)
    return both
