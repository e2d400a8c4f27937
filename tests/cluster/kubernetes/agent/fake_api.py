"""An API server in miniature: services, endpoint slices, leases and events, over TLS, with list and watch."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vdc.cluster.kubernetes.agent.settings import Settings
from vdc.cluster.pki import Authority

Object = dict[str, Any]

SERVICES = "/api/v1/services"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


class FakeApi:
    """Objects by collection and name, each change with a version; `refusals` are answers to the next questions."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = 100
        self.oldest = 0
        self.objects: dict[str, dict[str, Object]] = {SERVICES: {}, SLICES: {}, LEASES: {}}
        self.history: list[tuple[int, str, str, Object]] = []
        self.events: list[Object] = []
        self.asked: list[str] = []
        self.refusals: list[int] = []
        self.before: dict[str, Any] = {}
        self.running = True

    def put(self, collection: str, said: Object, *, name: str | None = None) -> Object:
        """Create or change an object."""
        with self.changed:
            name = name or _name(collection, said)
            kind = "MODIFIED" if name in self.objects[collection] else "ADDED"
            return self._store(collection, name, kind, said)

    def delete(self, collection: str, name: str) -> None:
        """Delete an object."""
        with self.changed:
            self._store(collection, name, "DELETED", self.objects[collection][name])
            del self.objects[collection][name]

    def forget(self) -> None:
        """Know nothing any more of what happened so far, as after a compaction: watches end with an error."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.history.append((self.version, "*", "ERROR", {"kind": "Status", "code": 410, "message": "too old"}))
            self.changed.notify_all()

    def end_watches(self) -> None:
        """End all watches, as servers do after a while."""
        with self.changed:
            self.history.append((self.version, "*", "END", {}))
            self.changed.notify_all()

    def _store(self, collection: str, name: str, kind: str, said: Object) -> Object:
        self.version += 1
        new: Object = json.loads(json.dumps(said))
        new["metadata"]["resourceVersion"] = str(self.version)
        self.objects[collection][name] = new
        self.history.append((self.version, collection, kind, new))
        self.changed.notify_all()
        return new


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: FakeApi

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        url, query = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        if self._refused():
            return
        if "watch" in query:
            self._watch(url.path, int(query["resourceVersion"][0]))
        elif url.path in self.api.objects:
            with self.api.changed:
                items = list(self.api.objects[url.path].values())
                body = {"items": items, "metadata": {"resourceVersion": str(self.api.version)}}
            self._answer(200, body)
        else:
            collection, _, name = url.path.rpartition("/")
            found = self.api.objects[collection].get(name)
            self._answer(200, found) if found else self._answer(404, {"message": f"{name} not found"})

    def do_POST(self) -> None:
        said = self._body()
        if self._refused():
            return
        if self.path.endswith("/events"):
            self.api.events.append(said)
            self._answer(201, said)
        elif _name(self.path, said) in self.api.objects[self.path]:
            self._answer(409, {"message": "already exists"})
        else:
            self._answer(201, self.api.put(self.path, said))

    def do_PUT(self) -> None:
        said = self._body()
        if not self._refused():
            collection, _, name = self.path.rpartition("/")
            self._change(collection, name, said, said)

    def do_PATCH(self) -> None:
        said = self._body()
        if self._refused():
            return
        _, _, _, _, namespace, _, name, _ = self.path.split("/")
        key = f"{namespace}/{name}"
        before = self.api.objects[SERVICES].get(key)
        if before is None:
            self._answer(404, {"message": "not found"})
            return
        balancer = {name: value for name, value in said["status"]["loadBalancer"].items() if value is not None}
        self._change(SERVICES, key, said, {**before, "status": {"loadBalancer": balancer}})

    def _change(self, collection: str, name: str, said: Object, new: Object) -> None:
        with self.api.changed:
            before = self.api.objects[collection][name]
            if before["metadata"]["resourceVersion"] != said["metadata"]["resourceVersion"]:
                self._answer(409, {"message": "the object has been modified"})
            else:
                self._answer(200, self.api.put(collection, new, name=name))

    def _watch(self, collection: str, version: int) -> None:
        with self.api.changed:
            gone = version < self.api.oldest
            seen = len(self.api.history)
            past = [each for each in self.api.history if each[0] > version and each[1] == collection]
        if gone:
            self._answer(410, {"message": "too old"})
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _, _, kind, said in past:
            self._event(kind, said)
        while self.api.running:
            with self.api.changed:
                if len(self.api.history) == seen:
                    self.api.changed.wait(5)
                news, seen = self.api.history[seen:], len(self.api.history)
            for _, where, kind, said in news:
                if kind == "END":
                    self.wfile.write(b"0\r\n\r\n")
                    return
                if where in (collection, "*"):
                    self._event(kind, said)
        self.close_connection = True

    def _event(self, kind: str, said: Object) -> None:
        line = json.dumps({"type": kind, "object": said}).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()

    def _refused(self) -> bool:
        self.api.asked.append(f"{self.command} {self.path}")
        hook = self.api.before.pop(self.command, None)
        if hook is not None:
            hook()
        if not self.api.refusals:
            return False
        self._answer(self.api.refusals.pop(0), {"message": "not now"})
        return True

    def _body(self) -> Object:
        body: Object = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _answer(self, status: int, said: Object) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Clients come and go."""


@contextmanager
def serving(api: FakeApi, settings: Settings) -> Iterator[FakeApi]:
    """Serve on the port of the settings, with a certificate of their authority, to clients that have one, too."""
    api.running = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.certificate.with_name("server.crt"), settings.certificate.with_name("server.key"))
    context.load_verify_locations(settings.authority)
    context.verify_mode = ssl.CERT_REQUIRED
    handler = type("Bound", (Handler,), {"api": api})
    server = Server((settings.host, settings.port), handler, bind_and_activate=False)
    server.allow_reuse_address = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with suppress(OSError):
        server.server_bind()
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        with api.changed:
            api.running = False
            api.changed.notify_all()
        server.shutdown()
        thread.join()
        server.server_close()


def credentials(directory: Path) -> None:
    """Write the certificates of an authority, of an agent and of an API server."""
    authority = Authority.load_or_create(directory)
    authority.issue("agent").save(directory, "agent")
    authority.issue("server", addresses=["127.0.0.1"]).save(directory, "server")


def service(name: str, **spec: Any) -> Object:
    """Return a service; of type LoadBalancer with `ingress` where it has one."""
    ingress = spec.pop("ingress", None)
    uid, created = spec.pop("uid", f"uid-{name}"), spec.pop("created", "2026-01-01T00:00:00Z")
    metadata = {"name": name, "namespace": "vdc", "uid": uid, "creationTimestamp": created}
    balancer = {"ingress": [{"ip": ingress}]} if ingress else {}
    return {"metadata": metadata, "spec": spec, "status": {"loadBalancer": balancer}}


def endpoint_slice(name: str, *endpoints: Object, app: str | None = None) -> Object:
    """Return a slice of the endpoints of a service."""
    labels = {"kubernetes.io/service-name": app or name}
    return {"metadata": {"name": f"{name}-x", "namespace": "vdc", "labels": labels}, "endpoints": list(endpoints)}


def endpoint(address: str, *, node: str = "n0", ready: bool | None = True, **more: Any) -> Object:
    return {"addresses": [address], "conditions": {"ready": ready}, "nodeName": node, **more}


def _name(collection: str, said: Object) -> str:
    metadata = said["metadata"]
    return str(metadata["name"]) if collection == LEASES else f"{metadata['namespace']}/{metadata['name']}"
