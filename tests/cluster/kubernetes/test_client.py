"""The ways to an API: by the Python client over a forward, and by single requests, against a server on loopback."""

from __future__ import annotations

import gc
import json
import ssl
import threading
import warnings
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vdc.cluster.kubernetes import reading, store
from vdc.cluster.kubernetes.api import Answer, Pod
from vdc.cluster.kubernetes.client import Api, RefusedError
from vdc.cluster.kubernetes.outside import ask
from vdc.cluster.kubernetes.pods import fetch_in
from vdc.cluster.kubernetes.serving import expect_gone
from vdc.cluster.kubernetes.trust import Trust
from vdc.cluster.pki import Authority
from vdc.errors import ClusterError
from vdc.wait import NotYet

RESOURCES = {
    "/api/v1": [("ConfigMap", "configmaps", True), ("Node", "nodes", False), ("Pod", "pods", True)],
    "/apis/apps/v1": [("Deployment", "deployments", True)],
}


class Server(ThreadingHTTPServer):
    """Objects by their path; who asks must have a certificate, or is nobody."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        authority = Authority.load_or_create(folder)
        authority.load_or_issue(folder, "server", addresses=["127.0.0.1"])
        authority.load_or_issue(folder, "admin")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.crt", folder / "server.key")
        context.load_verify_locations(folder / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.objects: dict[str, Any] = {}
        self.asked: list[str] = []
        self.made_meanwhile: set[str] = set()
        self.idle = threading.Event()
        self.idle.set()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes is none."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def _do(self) -> None:
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.idle.wait(10)
        assert isinstance(self.connection, ssl.SSLSocket)
        if self.connection.getpeercert() is None:
            return self._say(401, {"message": "who are you?"})
        if path.endswith("/exec"):
            return self._execute()
        return self._say(*self._found(path, body))

    def _found(self, path: str, body: bytes) -> tuple[int, Any]:
        if path in RESOURCES:
            found = [{"kind": k, "name": n, "namespaced": s} for k, n, s in RESOURCES[path]]
            return 200, {"resources": [*found, {"kind": "Scale", "name": "x/scale", "namespaced": True}]}
        if self.command == "PATCH" and path in self.server.made_meanwhile:
            self.server.made_meanwhile.remove(path)
            return 409, {"message": f"{path} already exists"}
        if self.command == "PATCH":
            self.server.objects[path] = json.loads(body)
        if self.command == "DELETE" and path in self.server.objects:
            return 200, self.server.objects.pop(path)
        if path in self.server.objects:
            return 200, self.server.objects[path]
        if below := [each for key, each in self.server.objects.items() if key.startswith(f"{path}/")]:
            return 200, {"items": below, "metadata": {}}
        return 404, {"message": f"there is no {path}"}

    def _execute(self) -> None:
        """A command that prints to both outputs and exits 3: frames of a channel's number and text (RFC 6455)."""
        accepted = sha1(self.headers["Sec-WebSocket-Key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", b64encode(accepted).decode())
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.end_headers()
        cause = {"reason": "ExitCode", "message": "3"}
        status = json.dumps({"status": "Failure", "details": {"causes": [cause]}}).encode()
        for piece in (b"\x01out", b"\x02bad", b"\x03" + status):
            self.wfile.write(bytes([0x82, len(piece)]) + piece)
        self.wfile.write(b"\x88\x00")
        self.close_connection = True

    do_GET = do_PATCH = do_DELETE = do_POST = _do  # noqa: N815 - the names that the base class asks for

    def _say(self, status: int, what: Any) -> None:
        text = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Api:
    ca, cert, key = (tmp_path / name for name in ("ca.crt", "admin.crt", "admin.key"))
    return Api(server.port, ca=ca, cert=cert, key=key, timeout=5)


def test_what_is_applied_is_at_the_path_that_the_api_spells(server: Server, api: Api) -> None:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "vdc"}}
    api.apply(manifest)
    assert server.objects == {"/apis/apps/v1/namespaces/vdc/deployments/web": manifest}
    assert server.asked[-1].endswith("?fieldManager=vdc&force=true&timeout=5s")
    assert api.path("Deployment") == "/apis/apps/v1/deployments"
    assert api.path("Node", "one") == "/api/v1/nodes/one"
    assert api.path("Pod", "one") == "/api/v1/namespaces/default/pods/one"
    assert server.asked.count("GET /apis/apps/v1") == 1


def test_a_change_has_the_time_that_the_server_is_told_and_a_question_has_less(server: Server, tmp_path: Path) -> None:
    ca, cert, key = (tmp_path / name for name in ("ca.crt", "admin.crt", "admin.key"))
    api = Api(server.port, ca=ca, cert=cert, key=key, timeout=0.5, patience=9.0)
    api.exists("Node", "one")
    server.idle.clear()
    with pytest.raises(ClusterError, match="timed out"):
        api.request("GET", "/api/v1/nodes")
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(api.apply, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}})
        with pytest.raises(TimeoutError):
            begun.result(timeout=1.0)
        server.idle.set()
        assert begun.result(timeout=5.0)["metadata"]["name"] == "one"
    assert server.asked[-1].endswith("&timeout=9s")


def test_what_somebody_made_meanwhile_is_applied_to_all_the_same(server: Server, api: Api) -> None:
    server.made_meanwhile.add("/api/v1/nodes/one")
    manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}
    assert api.apply(manifest) == manifest
    assert server.objects == {"/api/v1/nodes/one": manifest}


def test_a_kind_that_the_api_does_not_have_is_named(api: Api) -> None:
    with pytest.raises(ClusterError, match="the API has no kind Scale in v1"):
        api.path("Scale", "x")


def test_deleting_what_is_not_there_is_fine(server: Server, api: Api) -> None:
    server.objects["/api/v1/nodes/one"] = {"kind": "Status", "details": {"uid": "1"}}
    assert api.exists("Node", "one")
    assert api.delete("Node", "one") == "1"
    assert api.delete("Node", "one") == ""
    assert not api.exists("Node", "one")


def test_what_was_deleted_is_gone_when_another_of_its_name_is_there(server: Server, api: Api) -> None:
    path = "/api/v1/namespaces/vdc/pods/keeper-0"
    server.objects[path] = {"kind": "Pod", "metadata": {"uid": "1"}}
    with pytest.raises(NotYet, match="it is still there, for its grace period"):
        expect_gone(api, path, "1")
    assert api.delete("Pod", "keeper-0", "vdc") == "1"
    expect_gone(api, path, "1")
    server.objects[path] = {"kind": "Pod", "metadata": {"uid": "2"}}
    expect_gone(api, path, "1")


def test_what_the_api_says_of_a_refusal_is_told_with_its_status(api: Api) -> None:
    with pytest.raises(RefusedError, match="GET /nowhere: 404: there is no /nowhere") as refused:
        api.get("/nowhere")
    assert refused.value.status == 404


def test_an_api_that_is_gone_is_an_error_of_the_cluster(tmp_path: Path, server: Server) -> None:
    del server
    ca, cert, key = (tmp_path / name for name in ("ca.crt", "admin.crt", "admin.key"))
    with pytest.raises(ClusterError, match="GET /version"):
        Api(1, ca=ca, cert=cert, key=key, timeout=1).get("/version")


def test_a_command_in_a_pod_tells_its_status_and_leaves_no_socket_open(api: Api) -> None:
    assert api.execute("vdc", "web", ["false"], timeout=5) == (3, "out", "bad")
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(each.message) for each in left if each.category is ResourceWarning] == []


def test_values_are_kept_under_any_key_and_found_by_prefix(api: Api) -> None:
    assert store.read(api, "a/ä") is None
    store.write(api, "a/ä", "1")
    store.write(api, "a/b", "")
    store.write(api, "b", "2")
    assert store.read(api, "a/ä") == "1"
    assert store.read_prefix(api, "a/") == {"a/ä": "1", "a/b": ""}


def test_a_single_request_may_come_from_nobody(server: Server, tmp_path: Path) -> None:
    url = f"https://127.0.0.1:{server.port}/api/v1"
    nobody = Trust(ca=tmp_path / "ca.crt")
    admin = Trust(ca=tmp_path / "ca.crt", cert=tmp_path / "admin.crt", key=tmp_path / "admin.key")
    assert ask(url, netns=None, timeout=5, trust=nobody).status == 401
    assert ask(url, netns=None, timeout=5, trust=admin).status == 200
    assert ask(url, netns=None, timeout=5, trust=admin, body="{}").status == 200
    assert server.asked[-1] == "POST /api/v1"


def test_a_single_request_that_is_refused_names_what_was_asked() -> None:
    with pytest.raises(ClusterError, match=r"GET http://127.0.0.1:1/x: .*[Rr]efused"):
        ask("http://127.0.0.1:1/x", netns=None, timeout=1)


def fetched(status: int, out: str, errors: str) -> Answer:
    return fetch_in(lambda _: (status, out, errors), "http://web/", where="vdc/probe", timeout=5)


def test_what_wget_says_in_a_pod_is_an_answer_or_an_error() -> None:
    assert fetched(0, "web-1\n", "  HTTP/1.0 200 OK\n") == Answer(status=200, body="web-1\n")
    assert fetched(1, "", "wget: server returned error: HTTP/1.1 404 Not Found") == Answer(status=404, body="")
    with pytest.raises(ClusterError, match="from vdc/probe: wget: can't connect"):
        fetched(1, "", "wget: can't connect to remote host (10.96.0.1): Connection refused")
    with pytest.raises(ClusterError, match="from vdc/probe: not answered within 5 s"):
        fetched(143, "we", "HTTP/1.0 200 OK")
    with pytest.raises(ClusterError, match="wget exited 139"):
        fetched(139, "", "")


def test_a_pod_that_is_being_deleted_is_not_ready() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.80.0.2"}
    metadata = {"namespace": "n", "name": "p", "uid": "u"}
    found = {"metadata": metadata, "spec": {"nodeName": "x"}, "status": ready}
    expected = Pod(namespace="n", name="p", uid="u", node="x", address="10.80.0.2", ready=True, restarts=0)
    assert reading.pod(found) == expected
    assert not reading.pod({**found, "metadata": {**metadata, "deletionTimestamp": "now"}}).ready


def test_a_node_of_which_nothing_is_known_is_not_ready() -> None:
    state = reading.node_state({"metadata": {"name": "one"}})
    assert not state.ready
    assert state.pod_blocks == ()
