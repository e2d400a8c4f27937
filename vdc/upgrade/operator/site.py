"""What is asked of a cluster for the operator, and done to it: a small protocol, which `vdc.testing` implements."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

from vdc.cluster.api import Cluster
from vdc.cluster.etcd_config import CLIENT_PORT
from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.client import NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.cluster import LiveKubernetes
from vdc.cluster.kubernetes.outside import ask
from vdc.cluster.kubernetes.paths import url_host
from vdc.cluster.pki import Authority, Credential, Subject, Usage
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError, InputError
from vdc.upgrade.operator.image import OperatorImage
from vdc.upgrade.operator.manifests import CONVERTER, CONVERTER_NAMES, DEFINITION
from vdc.upgrade.operator.program import GROUP, LEASE, NAMESPACE, PLURAL, VERSION

_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_KEYS: Final = f"/registry/{GROUP}/{PLURAL}/"
"""Where API servers keep Flocks in etcd."""
_OK: Final = 200

_IMPORT: Final = """\
set -eu
base64 -d | ctr -n k8s.io images import - >&2
"""
"""What a shell on a node does to have an image that it reads, in base64, after this line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A pod of the operator. `digest` is that of the image its container runs, as the runtime tells it."""

    pod: str
    uid: str
    app: str
    digest: str
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """Which pod leads, an empty text if none does, and which version it says that it is."""

    pod: str
    version: str


class Site(Protocol):
    """A cluster with the operator. All raise ClusterError."""

    def give(self, image: OperatorImage) -> None:
        """Put an image on every node."""

    def apply(self, *manifests: Manifest) -> None:
        """Make objects what manifests say."""

    def delete(self, *manifests: Manifest) -> None:
        """Delete objects, and wait until they are gone."""

    def credentials(self) -> tuple[str, Credential]:
        """Return the certificate of the webhook's authority, and what the webhook shows."""

    def definition(self) -> Manifest | None:
        """Return the definition of the custom resource, with its status, or None."""

    def define(self, wanted: Manifest) -> None:
        """Make the definition's spec that of `wanted`, wholly."""

    def note_stored(self, versions: Sequence[str]) -> None:
        """Say in the definition's status which versions are stored, since no others are."""

    def flocks(self, version: str) -> Mapping[str, Manifest]:
        """Return all Flocks as the API serves them in a version, by name. Raises RefusedError: it does not."""

    def flock(self, version: str, name: str) -> Manifest:
        """Return one of them. Raises RefusedError: there is none, or not in that version."""

    def write(self, flock: Manifest) -> Manifest:
        """Replace a Flock if it is still what it was, or make it if it has no resource version."""

    def stored(self) -> Mapping[str, Manifest]:
        """Return what etcd has of each Flock, byte for byte, by name."""

    def made(self) -> Mapping[str, Manifest]:
        """Return the ConfigMaps that controllers made, by the name of the Flock."""

    def pods(self) -> tuple[Running, ...]:
        """Return the pods of controller and webhook, those that are going away left out."""

    def leader(self) -> Leader:
        """Return who leads."""


class LiveSite:
    """Implements `Site` on a cluster of ours."""

    def __init__(self, dc: DataCenter, cluster: LiveKubernetes) -> None:
        self._dc = dc
        self._cluster = cluster

    @classmethod
    def of(cls, dc: DataCenter, cluster: Cluster) -> LiveSite:
        """Return that of a cluster. Raises InputError: it is no Kubernetes."""
        if not isinstance(cluster, LiveKubernetes):
            raise InputError("an operator runs on Kubernetes", hint="vdc up topologies/k8s-small.yml")
        return cls(dc, cluster)

    @property
    def _api(self) -> Api:
        return self._cluster.access.api(self._cluster.spec.control_planes)

    def give(self, image: OperatorImage) -> None:
        """Import it; importing what is there changes nothing."""
        archive = b64encode(image.archive).decode()

        def brought(name: str) -> None:
            argv = ["sh", "-c", _IMPORT]
            self._dc.servers[name].run(argv, stdin=f"{archive}\n", timeout=120.0 * max(1.0, self._dc.slowness))

        names = self._cluster.node_names
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(brought, names))

    def apply(self, *manifests: Manifest) -> None:
        """Make objects what manifests say."""
        self._cluster.apply(*manifests)

    def delete(self, *manifests: Manifest) -> None:
        """Delete objects, and wait until they are gone."""
        self._cluster.delete(*manifests)

    def credentials(self) -> tuple[str, Credential]:
        """Return them; they are made once, and kept with the cluster's own."""
        return self._issued

    @cached_property
    def _issued(self) -> tuple[str, Credential]:
        folder = self._cluster.access.folder / "operator"
        authority = Authority.load_or_create(folder, name="operator")
        subject = Subject(common_name=CONVERTER_NAMES[0], names=CONVERTER_NAMES, usages=(Usage.SERVER,))
        try:
            kept = Credential.load(folder, CONVERTER)
            if authority.has_issued(kept, subject):
                return authority.cert_pem, kept
        except FileNotFoundError:
            pass
        issued = authority.issue_to(subject)
        issued.save(folder, CONVERTER)
        return authority.cert_pem, issued

    def definition(self) -> Manifest | None:
        """Return the definition, or None."""
        try:
            found: Manifest = self._api.get(f"{_DEFINITIONS}/{DEFINITION}")
        except RefusedError as refusal:
            if refusal.status != NOT_FOUND:
                raise
            return None
        return found

    def define(self, wanted: Manifest) -> None:
        """Replace it: what applying leaves of a webhook that is gone would not be valid."""
        if (found := self.definition()) is None:
            self._api.request("POST", _DEFINITIONS, body=wanted)
            return
        self._api.request("PUT", f"{_DEFINITIONS}/{DEFINITION}", body={**found, "spec": wanted["spec"]})

    def note_stored(self, versions: Sequence[str]) -> None:
        """Say it in the status, as kubernetes.io has it ("Upgrade existing objects to a new stored version")."""
        self._api.request(
            "PATCH",
            f"{_DEFINITIONS}/{DEFINITION}/status",
            body={"status": {"storedVersions": list(versions)}},
            content="application/merge-patch+json",
        )

    def flocks(self, version: str) -> Mapping[str, Manifest]:
        """Return all Flocks in a version."""
        found: Any = self._api.get(_flocks(version))
        return {
            each["metadata"]["name"]: {"apiVersion": found["apiVersion"], "kind": found["kind"][:-4], **each}
            for each in found["items"]
        }

    def flock(self, version: str, name: str) -> Manifest:
        """Return one."""
        found: Manifest = self._api.get(f"{_flocks(version)}/{name}")
        return found

    def write(self, flock: Manifest) -> Manifest:
        """Write one."""
        folder, metadata = _flocks(str(flock["apiVersion"]).rpartition("/")[2]), flock["metadata"]
        path, verb = (f"{folder}/{metadata['name']}", "PUT") if "resourceVersion" in metadata else (folder, "POST")
        written: Manifest = json.loads(self._api.request(verb, path, body=flock))
        return written

    def stored(self) -> Mapping[str, Manifest]:
        """Ask the member of a control plane for all keys below theirs."""
        node, members = self._cluster.spec.control_planes[0], self._cluster.access.members
        end = _KEYS[:-1] + chr(ord(_KEYS[-1]) + 1)
        question = {"key": b64encode(_KEYS.encode()).decode(), "range_end": b64encode(end.encode()).decode()}
        url = f"https://{url_host(node.address)}:{CLIENT_PORT}/v3/kv/range"
        answer = ask(url, netns=members.netns, timeout=members.timeout, trust=members.trust, body=json.dumps(question))
        if answer.status != _OK:
            raise ClusterError(f"etcd on {node.name}: {answer.status}: {answer.body.strip()[:300]}")
        found = (
            (b64decode(each["key"]).decode().rpartition("/")[2], json.loads(b64decode(each["value"])))
            for each in json.loads(answer.body).get("kvs", ())
        )
        return dict(found)

    def made(self) -> Mapping[str, Manifest]:
        """Return the ConfigMaps with the controllers' label."""
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        found = self._api.get(path, labelSelector=f"{GROUP}/flock")["items"]
        return {each["metadata"]["name"].removeprefix("flock-"): each for each in found}

    def pods(self) -> tuple[Running, ...]:
        """Return them as the API has them."""
        found = self._api.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
        return tuple(_running(each) for each in found if "deletionTimestamp" not in each["metadata"])

    def leader(self) -> Leader:
        """Return who holds the lease."""
        lease = self._api.get(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{LEASE}")
        version = lease["metadata"].get("annotations", {}).get(VERSION, "")
        return Leader(pod=lease.get("spec", {}).get("holderIdentity", ""), version=version)


def _flocks(version: str) -> str:
    return f"/apis/{GROUP}/{version}/namespaces/{NAMESPACE}/{PLURAL}"


def _running(pod: Manifest) -> Running:
    metadata, states = pod["metadata"], pod.get("status", {}).get("containerStatuses", ())
    return Running(
        pod=metadata["name"],
        uid=metadata["uid"],
        app=metadata.get("labels", {}).get("app", ""),
        digest=states[0].get("imageID", "").rpartition("@")[2] if states else "",
        ready=bool(states) and all(each["ready"] for each in states),
    )
