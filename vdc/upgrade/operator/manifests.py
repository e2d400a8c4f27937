"""The objects of the operator: its definition in each phase, its pods, and what these may do. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, Final

from vdc.cluster.kubernetes.api import Manifest
from vdc.cluster.kubernetes.timers import timers
from vdc.cluster.pki import Credential
from vdc.upgrade.operator.image import PROGRAM, OperatorImage
from vdc.upgrade.operator.program import CONVERT_PORT, GROUP, HEALTH_PORT, LEASE, NAMESPACE, PLURAL, V1, V2

KIND: Final = "Flock"
DEFINITION: Final = f"{PLURAL}.{GROUP}"
CONTROLLER: Final = LEASE
CONVERTER: Final = "converter"
CONVERTER_NAMES: Final = (f"{CONVERTER}.{NAMESPACE}.svc",)
"""What an API server expects of the certificate of the webhook."""

_RBAC: Final = "rbac.authorization.k8s.io"
_CERTIFICATES: Final = "/certificates"
_PORT: Final = 443
_TEXT, _NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0}
_SPECS: Final[dict[str, tuple[dict[str, Any], list[str]]]] = {
    V1: ({"size": _NUMBER, "note": _TEXT}, ["size"]),
    V2: ({"replicas": _NUMBER, "description": _TEXT, "colour": _TEXT}, ["replicas"]),
}


def definition(versions: Sequence[str], *, stored: str, authority: str = "") -> Manifest:
    """Return the definition with these versions, all served; `authority` (PEM) is whom a webhook is believed by."""
    conversion: dict[str, Any] = {"strategy": "None"}
    if authority:
        service = {"namespace": NAMESPACE, "name": CONVERTER, "path": "/convert", "port": _PORT}
        client = {"service": service, "caBundle": _base64(authority)}
        conversion = {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": client}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": DEFINITION},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": KIND.lower()},
            "conversion": conversion,
            "versions": [_version(each, stored=each == stored) for each in versions],
        },
    }


def _version(name: str, *, stored: bool) -> dict[str, Any]:
    fields, required = _SPECS[name]
    status = {"observedGeneration": {"type": "integer"}, "version": _TEXT}
    shape = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": {"type": "object", "required": required, "properties": fields},
            "status": {"type": "object", "properties": status},
        },
    }
    return {
        "name": name,
        "served": True,
        "storage": stored,
        "schema": {"openAPIV3Schema": shape},
        "subresources": {"status": {}},
    }


def flock(name: str, version: str, number: int, text: str) -> Manifest:
    """Return a Flock of so many sheep, as a user of that version writes it."""
    spec = {"size": number, "note": text} if version == V1 else {"replicas": number, "description": text}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": f"{GROUP}/{version}", "kind": KIND, "metadata": metadata, "spec": spec}


def ground() -> tuple[Manifest, ...]:
    """Return what all versions of the operator need: a namespace, an account, and what that may do."""
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "update"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"]},
        {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [GROUP], "resources": [f"{PLURAL}/status"], "verbs": ["patch"]},
    ]
    subject = {"kind": "ServiceAccount", "name": CONTROLLER, "namespace": NAMESPACE}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _named(CONTROLLER)},
        {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": _named(CONTROLLER), "rules": rules},
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": _named(CONTROLLER),
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": CONTROLLER},
            "subjects": [subject],
        },
    )


def controller(image: OperatorImage, *, slowness: float) -> Manifest:
    """Return the Deployment of the controller: the next one is ready before the last one goes."""
    env = [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    probe = {"path": "/", "port": HEALTH_PORT}
    pod = _pod(image, ["controller"], probe, slowness, env=env)
    return _deployment(CONTROLLER, {**pod, "serviceAccountName": CONTROLLER})


def converter(image: OperatorImage, credential: Credential, *, slowness: float) -> tuple[Manifest, ...]:
    """Return the webhook: its certificate, its pod, and the service by which API servers ask it."""
    files = {"tls.crt": _base64(credential.cert_pem), "tls.key": _base64(credential.key_pem)}
    volume = {"name": "certificates", "secret": {"secretName": CONVERTER}}
    mount = {"name": "certificates", "mountPath": _CERTIFICATES, "readOnly": True}
    arguments = [CONVERTER, f"{_CERTIFICATES}/tls.crt", f"{_CERTIFICATES}/tls.key"]
    probe = {"path": "/", "port": CONVERT_PORT, "scheme": "HTTPS"}
    pod = _pod(image, arguments, probe, slowness, volumes=[volume], mounts=[mount])
    ports = [{"name": "https", "protocol": "TCP", "port": _PORT, "targetPort": CONVERT_PORT}]
    service = {"selector": {"app": CONVERTER}, "ports": ports}
    return (
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": _named(CONVERTER),
            "type": "kubernetes.io/tls",
            "data": files,
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": _named(CONVERTER), "spec": service},
        _deployment(CONVERTER, {**pod, "automountServiceAccountToken": False}),
    )


def _named(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}


def _deployment(name: str, pod: dict[str, Any]) -> Manifest:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    spec = {"replicas": 1, "strategy": strategy, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _named(name), "spec": spec}


def _pod(  # noqa: PLR0913 - what pods of one program differ in
    image: OperatorImage,
    arguments: list[str],
    probe: dict[str, Any],
    slowness: float,
    *,
    env: Sequence[dict[str, Any]] = (),
    volumes: Sequence[dict[str, Any]] = (),
    mounts: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Return the spec of a pod that runs the program with its node's Python."""
    timing = timers(slowness)
    container = {
        "name": "operator",
        "image": image.name,
        "imagePullPolicy": "Never",
        "command": ["/usr/bin/python3", PROGRAM, *arguments],
        "env": list(env),
        "readinessProbe": {
            "httpGet": probe,
            "periodSeconds": max(1, round(timing.probe_period)),
            "timeoutSeconds": max(1, round(timing.probe_timeout)),
            "failureThreshold": 2,
        },
        "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}},
        "volumeMounts": [{"name": "usr", "mountPath": "/usr", "readOnly": True}, *mounts],
    }
    return {
        "containers": [container],
        "terminationGracePeriodSeconds": 10,
        "enableServiceLinks": False,
        "volumes": [{"name": "usr", "hostPath": {"path": "/usr", "type": "Directory"}}, *volumes],
    }


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
