"""The API of a Kubernetes cluster, by its Python client, over a port that leads to an API server.

Objects are JSON as it is: a kind and its API version say the path (kubernetes.io, "Kubernetes API Concepts"), the API
itself says how a kind is spelled there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlencode

from vdc.cluster.kubernetes.api import Manifest
from vdc.errors import ClusterError

MANAGER: Final = "vdc"
"""The field manager of what is applied (kubernetes.io, "Server-Side Apply")."""

_GROUPS: Final = {
    "apps/v1": ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
    "batch/v1": ("Job",),
    "coordination.k8s.io/v1": ("Lease",),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "rbac.authorization.k8s.io/v1": ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    "storage.k8s.io/v1": ("StorageClass",),
}
_VERSIONS: Final = {kind: version for version, kinds in _GROUPS.items() for kind in kinds}

_CHANGES: Final = frozenset({"DELETE", "PATCH", "POST", "PUT"})

NOT_FOUND: Final = 404
CONFLICT: Final = 409


class RefusedError(ClusterError):
    """The API answers with another status than success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """An API server, or one of several, at a port of loopback. Every call raises ClusterError.

    `timeout` is of one call, in seconds. For a change the server has `patience` seconds, by default as many: it is told
    so, and answers by then that it is done, or refuses it. Who gave up before it does would not know which.

    One may be used by several threads.
    """

    def __init__(
        self, port: int, *, ca: Path, cert: Path, key: Path, timeout: float, patience: float | None = None
    ) -> None:
        self._port, self._ca, self._cert, self._key = port, ca, cert, key
        self._timeout = timeout
        self._patience = timeout if patience is None else patience
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - JSON, whatever is there
        """Return what is at a path."""
        return json.loads(self.request("GET", path, query=query))

    def apply(self, manifest: Manifest) -> Manifest:
        """Make an object what a manifest says (server-side apply); return it."""
        try:
            return self._apply(manifest)
        except RefusedError as refusal:
            if refusal.status != CONFLICT:
                raise
            # somebody made it since the API looked for it: now there is something to apply to
            return self._apply(manifest)

    def _apply(self, manifest: Manifest) -> Manifest:
        path = self.path(_kind(manifest), _name(manifest), _namespace(manifest))
        query = {"fieldManager": MANAGER, "force": "true"}
        said = self.request("PATCH", path, query=query, body=manifest, content="application/apply-patch+yaml")
        return cast(Manifest, json.loads(said))

    def delete(self, kind: str, name: str, namespace: str = "", *, grace: int | None = None) -> str:
        """Ask for an object to be deleted, and what it owns after it; one that is not there is fine.

        `grace` are the seconds that it has, if not those that it says itself.

        Returns the uid of what was there, or an empty text: another one of that name may come at once.
        """
        options: dict[str, object] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            said = json.loads(self.request("DELETE", self.path(kind, name, namespace), body=options))
        except RefusedError as refusal:
            if refusal.status != NOT_FOUND:
                raise
            return ""
        # the object itself where it has a grace period or finalizers, else a Status
        return str(said["details" if said["kind"] == "Status" else "metadata"].get("uid", ""))

    def exists(self, kind: str, name: str, namespace: str = "") -> bool:
        """Return whether there is an object."""
        try:
            self.request("GET", self.path(kind, name, namespace))
        except RefusedError as refusal:
            if refusal.status == NOT_FOUND:
                return False
            raise
        return True

    def path(self, kind: str, name: str = "", namespace: str = "") -> str:
        """Return the path of an object, or without a name of all of its kind."""
        version, _, bare = kind.rpartition(" ")
        version = version or _VERSIONS.get(bare, "v1")
        plural, namespaced = self._spelled(version, bare)
        folder = f"/namespaces/{namespace or 'default'}" if namespaced and (namespace or name) else ""
        return f"{_root(version)}{folder}/{plural}" + (f"/{name}" if name else "")

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,  # noqa: ANN401 - JSON
        content: str = "application/json",
    ) -> str:
        """Make a call and return what is answered. Raises RefusedError for another status than success."""
        import urllib3

        changes = method in _CHANGES
        # without it, an API server ends changes after 34 s, as slow as its host may be
        told = {**(query or {}), **({"timeout": f"{self._patience:g}s"} if changes else {})}
        url = f"https://127.0.0.1:{self._port}{path}" + (f"?{urlencode(told)}" if told else "")
        silence = self._timeout + (self._patience if changes else 0.0)
        limits = urllib3.Timeout(connect=self._timeout, read=silence)
        client = self._client
        headers = {"Accept": "application/json", "Content-Type": content}
        data = None if body is None else json.dumps(body)
        try:
            said = client.rest_client.pool_manager.request(
                method, url, body=data, headers=headers, timeout=limits, retries=False
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ClusterError(f"{method} {path}: {error}") from error
        text = said.data.decode(errors="replace")
        if not 200 <= said.status < 300:
            raise RefusedError(said.status, f"{method} {path}: {said.status}: {_message(text)}")
        return cast(str, text)

    def execute(self, namespace: str, pod: str, argv: Sequence[str], *, timeout: float) -> tuple[int, str, str]:
        """Run a command in a pod; return its exit status and what it printed on both outputs.

        Raises ClusterError: it could not be run, or has not ended within `timeout` seconds.
        """
        import websocket
        from kubernetes import client
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import stream
        from kubernetes.stream.ws_client import ERROR_CHANNEL

        # `stream` bends the client that it is given for as long as it connects: not one that others use
        core = client.CoreV1Api(self._new_client())
        # which has no other way to be told how long it may wait for an answer
        websocket.setdefaulttimeout(self._timeout + timeout)
        try:
            session = stream(
                core.connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=list(argv),
                stdin=False,
                stdout=True,
                stderr=True,
                tty=False,
                _preload_content=False,
                _request_timeout=self._timeout,
            )
            try:
                session.run_forever(timeout=timeout)
                if session.is_open():
                    raise ClusterError(f"{namespace}/{pod}: `{' '.join(argv)}` has not ended after {timeout:g} s")
                out, errors = session.read_stdout(), session.read_stderr()
                return _exit_status(session.read_channel(ERROR_CHANNEL)), out, errors
            finally:
                session.close()
                # which leaves the socket open where the other side closed first
                session.sock.shutdown()
        except (ApiException, websocket.WebSocketException, OSError) as error:
            raise ClusterError(f"{namespace}/{pod}: `{' '.join(argv)}`: {str(error).strip()}") from error

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 - the client has no types
        return self._new_client()

    def _new_client(self) -> Any:  # noqa: ANN401
        from kubernetes import client

        configuration = client.Configuration()
        configuration.host = f"https://127.0.0.1:{self._port}"
        configuration.ssl_ca_cert = str(self._ca)
        configuration.cert_file, configuration.key_file = str(self._cert), str(self._key)
        # a proxy that the environment names knows nothing of a port on loopback
        configuration.proxy = configuration.no_proxy = None
        return client.ApiClient(configuration)

    def _spelled(self, version: str, kind: str) -> tuple[str, bool]:
        if version not in self._resources:
            found = self.get(_root(version))["resources"]
            self._resources[version] = {
                each["kind"]: (each["name"], each["namespaced"]) for each in found if "/" not in each["name"]
            }
        try:
            return self._resources[version][kind]
        except KeyError:
            raise ClusterError(f"the API has no kind {kind} in {version}") from None


def _exit_status(text: str) -> int:
    """Return a command's exit status from the Status object that ends its session. Raises ClusterError: it has none."""
    try:
        said = json.loads(text)
        if said["status"] == "Success":
            return 0
        return next(int(cause["message"]) for cause in said["details"]["causes"] if cause["reason"] == "ExitCode")
    except (ValueError, KeyError, TypeError, StopIteration):
        raise ClusterError(f"a command in a pod did not run: {_message(text) or 'the connection broke'}") from None


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _kind(manifest: Manifest) -> str:
    return f"{manifest['apiVersion']} {manifest['kind']}"


def _name(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def _namespace(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("namespace", ""))


def _message(text: str) -> str:
    """Return what a Status object says, or the text itself."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:500]
