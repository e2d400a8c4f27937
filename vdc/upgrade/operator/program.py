"""The operator: a program of its own, which is shipped in a container image as it is.

`controller` makes of each Flock a ConfigMap that names its sheep, and says in the Flock's status that it did, and which
version it is. Of several that run, the one that holds the Lease does so. `converter` is the webhook by which API
servers turn Flocks of v1 into those of v2, and back (kubernetes.io, "Versions in CustomResourceDefinitions").

It needs Python 3.11 and nothing else, and knows nothing of the rest of vdc.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.client import HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

GROUP, PLURAL, NAMESPACE = "demo.vdc.local", "flocks", "vdc-operator"
V1, V2 = "v1", "v2"
COLOUR = f"{GROUP}/colour"
"""The annotation by which a Flock of v1 remembers what v1 has no field for."""
NO_COLOUR = "white"
VERSION = f"{GROUP}/version"
"""The annotation of the Lease: which version its holder is."""
LEASE = "controller"
HEALTH_PORT, CONVERT_PORT = 8080, 8443
RELEASE_FILE = "/app/release"

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LEASE_SECONDS, _RENEW_SECONDS, _RETRY_SECONDS, _WATCH_SECONDS = 30.0, 8.0, 1.0, 6
_ANSWER_SECONDS = 30.0
_NOT_FOUND, _CONFLICT, _GONE = 404, 409, 410
_UNREACHABLE = (OSError, HTTPException, ValueError, KeyError)

Json = dict[str, Any]


def converted(flock: Mapping[str, Any], version: str) -> Json:
    """Return a Flock as it is in another version; nothing that either of them has is lost on the way there and back."""
    new: Json = json.loads(json.dumps(flock))
    old = str(new["apiVersion"]).rpartition("/")[2]
    if old == version:
        return new
    metadata, spec = new["metadata"], new.get("spec", {})
    if version == V2:
        notes = metadata.get("annotations") or {}
        colour = notes.pop(COLOUR, NO_COLOUR)
        if not notes:
            metadata.pop("annotations", None)
        new["spec"] = {"replicas": spec["size"], "description": spec.get("note", ""), "colour": colour}
    else:
        if (colour := spec.get("colour", NO_COLOUR)) != NO_COLOUR:
            metadata["annotations"] = {**(metadata.get("annotations") or {}), COLOUR: colour}
        new["spec"] = {"size": spec["replicas"], "note": spec.get("description", "")}
    new["apiVersion"] = f"{GROUP}/{version}"
    return new


def review(asked: Mapping[str, Any]) -> Json:
    """Return the answer to a ConversionReview."""
    request = asked["request"]
    version = str(request["desiredAPIVersion"]).rpartition("/")[2]
    try:
        objects = [converted(each, version) for each in request["objects"]]
        said: Json = {"result": {"status": "Success"}, "convertedObjects": objects}
    except (KeyError, TypeError) as error:
        said = {"result": {"status": "Failure", "message": f"{type(error).__name__}: {error}"}}
    return {"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": {"uid": request["uid"], **said}}


def made_of(flock: Mapping[str, Any], release: str) -> Json:
    """Return the data of a Flock's ConfigMap, as a controller of that version makes them of its own fields."""
    spec = flock["spec"]
    number, text = (spec["size"], spec.get("note")) if release == V1 else (spec["replicas"], spec.get("description"))
    name = flock["metadata"]["name"]
    return {"sheep": " ".join(f"{name}-{each}" for each in range(number)), "text": text or ""}


class RefusedError(Exception):
    """An API server answered, but not with what was asked for: `status` is that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Asks(Protocol):
    """What is asked of an API server. Raises RefusedError, or one of _UNREACHABLE."""

    def ask(
        self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, kind: str = "application/json"
    ) -> Json:
        """Return what is answered."""

    def watch(self, path: str, version: str) -> Iterator[Json]:
        """Yield the events since a resource version, for some seconds."""


class Api:
    """The API server that pods find, with the token of the pod's account; a connection is used again."""

    def __init__(self) -> None:
        self._connection: HTTPSConnection | None = None

    def ask(
        self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, kind: str = "application/json"
    ) -> Json:
        """Return what is answered. Raises RefusedError, or one of _UNREACHABLE."""
        if self._connection is None:
            self._connection = _connected(_ANSWER_SECONDS)
        try:
            self._connection.request(verb, path, None if body is None else json.dumps(body), _headers(kind))
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            self._connection.close()
            self._connection = None
            raise
        if answer.status >= 300:
            raise RefusedError(answer.status, content[:300].decode(errors="replace"))
        said: Json = json.loads(content)
        return said

    def watch(self, path: str, version: str) -> Iterator[Json]:
        """Yield the events since a resource version, for some seconds. Raises as `ask`."""
        connection = _connected(_WATCH_SECONDS + _ANSWER_SECONDS)
        try:
            query = f"watch=1&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
            connection.request("GET", f"{path}?{query}", None, _headers("application/json"))
            answer = connection.getresponse()
            if answer.status >= 300:
                raise RefusedError(answer.status, answer.read()[:300].decode(errors="replace"))
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()


def _connected(timeout: float) -> HTTPSConnection:
    context = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    return HTTPSConnection(host, port, timeout=timeout, context=context)


def _headers(kind: str) -> dict[str, str]:
    # a token is renewed under the pod
    token = (_ACCOUNT / "token").read_text(encoding="ascii")
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", "Content-Type": kind}


class Leadership:
    """A Lease that one controller holds at a time. The others go by their own clock since they saw it change."""

    def __init__(self, api: Asks, me: str, release: str) -> None:
        self._api, self._me, self._release = api, me, release
        self._folder = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
        self._seen = ("", 0.0)
        self._renewed = -_LEASE_SECONDS

    def held(self) -> bool:
        """Take the lease if nobody has it, renew it in time, and return whether it is this one's."""
        if time.monotonic() - self._renewed < _RENEW_SECONDS:
            return True
        try:
            lease = self._api.ask("GET", f"{self._folder}/{LEASE}")
        except RefusedError as refusal:
            if refusal.status != _NOT_FOUND:
                raise
            return self._written("POST", self._folder, {})
        version, holder = lease["metadata"]["resourceVersion"], lease.get("spec", {}).get("holderIdentity")
        if holder and holder != self._me:
            if version != self._seen[0]:
                self._seen = (version, time.monotonic())
            if time.monotonic() - self._seen[1] < _LEASE_SECONDS:
                return False
        return self._written("PUT", f"{self._folder}/{LEASE}", {"resourceVersion": version})

    def release(self) -> None:
        """Let another one have it at once."""
        lease = self._api.ask("GET", f"{self._folder}/{LEASE}")
        if lease.get("spec", {}).get("holderIdentity") == self._me:
            lease["spec"]["holderIdentity"] = ""
            self._api.ask("PUT", f"{self._folder}/{LEASE}", lease)

    def _written(self, verb: str, path: str, known: Mapping[str, str]) -> bool:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": LEASE, "namespace": NAMESPACE, "annotations": {VERSION: self._release}, **known},
            "spec": {"holderIdentity": self._me, "leaseDurationSeconds": int(_LEASE_SECONDS), "renewTime": now},
        }
        try:
            self._api.ask(verb, path, body)
        except RefusedError as refusal:
            if refusal.status == _CONFLICT:
                return False
            raise
        self._renewed = time.monotonic()
        return True


class Controller:
    """Makes what Flocks ask for, while it leads; writes nothing that is there already."""

    def __init__(self, api: Asks, leadership: Leadership, release: str) -> None:
        self._api, self._leadership, self._release = api, leadership, release
        self._flocks = f"/apis/{GROUP}/{release}/namespaces/{NAMESPACE}/{PLURAL}"
        self._maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        self._made: dict[str, Json] = {}
        self.leads = False

    def run(self, stop: Event) -> None:
        """Work until this process is told to end."""
        while not stop.is_set():
            try:
                self.leads = self._leadership.held()
                if self.leads:
                    self._round()
                    continue
            except RefusedError as refusal:
                _tell(f"refused: {refusal}")
            except _UNREACHABLE as error:
                _tell(f"not reached: {type(error).__name__}: {error}")
            stop.wait(_RETRY_SECONDS)

    def _round(self) -> None:
        """Look at all Flocks, then follow what becomes of them for some seconds."""
        held = self._api.ask("GET", f"{self._maps}?labelSelector={GROUP}/flock")
        self._made = {each["metadata"]["name"]: each for each in held["items"]}
        listed = self._api.ask("GET", self._flocks)
        for flock in listed["items"]:
            self._reconcile(flock)
        for event in self._api.watch(self._flocks, listed["metadata"]["resourceVersion"]):
            if event["type"] == "ERROR":
                raise RefusedError(int(event["object"].get("code", _GONE)), str(event["object"].get("message")))
            if event["type"] in {"ADDED", "MODIFIED"}:
                self._reconcile(event["object"])
            if not self._leadership.held():
                return

    def _reconcile(self, flock: Json) -> None:
        if "deletionTimestamp" in flock["metadata"]:
            return
        self._keep(flock)
        generation = flock["metadata"]["generation"]
        wanted = {"observedGeneration": generation, "version": self._release}
        if flock.get("status") == wanted:
            return
        path = f"{self._flocks}/{flock['metadata']['name']}/status"
        self._api.ask("PATCH", path, {"status": wanted}, kind="application/merge-patch+json")

    def _keep(self, flock: Json) -> None:
        """Write the ConfigMap of a Flock, counting how often that was done, unless it is right already."""
        name, wanted = f"flock-{flock['metadata']['name']}", made_of(flock, self._release)
        before = self._made.get(name)
        data = before["data"] if before is not None else {}
        if before is not None and {key: data.get(key) for key in wanted} == wanted:
            return
        metadata: Json = {"name": name, "namespace": NAMESPACE, "labels": {f"{GROUP}/flock": "yes"}}
        new = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {**wanted, "writes": str(int(data.get("writes", "0")) + 1)},
        }
        if before is None:
            self._made[name] = self._api.ask("POST", self._maps, new)
            return
        metadata["resourceVersion"] = before["metadata"]["resourceVersion"]
        self._made[name] = self._api.ask("PUT", f"{self._maps}/{name}", new)


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
        """Say nothing of each request."""

    def answer(self, body: bytes, kind: str) -> None:
        """Answer with success."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        """Say that this process is there."""
        self.answer(b"ok\n", "text/plain")


class _Converting(_Quiet):
    def do_POST(self) -> None:
        """Answer a ConversionReview."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(json.dumps(review(asked)).encode(), "application/json")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # an API server has no patience for a place in a queue
    request_queue_size = 64


def webhook(certificate: str, key: str, port: int) -> ThreadingHTTPServer:
    """Return the server of the webhook. A handshake is made by the thread of its connection: none waits for another."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = _Server(("", port), _Converting)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def control_for_ever(release: str) -> None:
    """Control until SIGTERM; then the lease is given back."""
    health = _Server(("", HEALTH_PORT), _Quiet)
    Thread(target=health.serve_forever, daemon=True).start()
    leadership = Leadership(Api(), os.environ["POD_NAME"], release)
    controller = Controller(Api(), leadership, release)
    try:
        controller.run(Event())
    finally:
        if controller.leads:
            # the signal may have come in the middle of a question: this needs a connection of its own
            Leadership(Api(), os.environ["POD_NAME"], release).release()


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main(arguments: list[str]) -> None:
    """`controller`, or `converter CERTIFICATE KEY`."""
    # the first process of a container hears only those signals that it asks for
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    match arguments:
        case ["controller"]:
            control_for_ever(Path(RELEASE_FILE).read_text(encoding="ascii").strip())
        case ["converter", certificate, key]:
            webhook(certificate, key, CONVERT_PORT).serve_forever()
        case _:
            raise SystemExit("controller | converter CERTIFICATE KEY")


if __name__ == "__main__":
    main(sys.argv[1:])
