"""A data centre in miniature on loopback addresses: no guests, no namespaces, no root.

Its servers answer as etcd's JSON gateway does, over TLS, from one store in memory; its client runs real
processes on this host. For tests of what talks to a cluster: the client, the deployer, the probe.
"""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process
from typing import IO, Any

from vdc import shell
from vdc.cluster.etcd_config import CLIENT_PORT
from vdc.errors import CommandError
from vdc.history import Recorder
from vdc.model.topology import External, Server, Topology
from vdc.shell import Completed
from vdc.steps import Steps

_RANGE_ALL = b"\0"


@dataclass(slots=True, kw_only=True)
class Store:
    """What all members hold, and how they behave. `loses` and `errors` are ways to lie or to fail.

    `cluster_version` is what all of them speak, `members` who they are: the URL of their peers to ID; `changes` is what
    was done to that.
    """

    pairs: dict[bytes, bytes] = field(default_factory=dict)
    leader: str = "1"
    cluster_version: str = "3.4.0"
    loses: frozenset[bytes] = frozenset()
    errors: dict[str, str] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `/v3/kv/put`; a key in `loses` is acknowledged and forgotten."""
        key = base64.b64decode(question["key"])
        with self.lock:
            if key not in self.loses:
                self.pairs[key] = base64.b64decode(question["value"])
        return {"header": {"revision": "1"}}

    def member(self, verb: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `/v3/cluster/member/…`."""
        with self.lock:
            if verb == "add":
                (url,) = question["peerURLs"]
                self.members[url] = f"another {url}"
                self.changes.append(f"add {url}")
            if verb == "remove":
                (url,) = [url for url, known in self.members.items() if known == question["ID"]]
                del self.members[url]
                self.changes.append(f"remove {url}")
            return {"members": [{"ID": known, "peerURLs": [url]} for url, known in self.members.items()]}

    def range(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Answer `/v3/kv/range`."""
        first = base64.b64decode(question["key"])
        end = base64.b64decode(question.get("range_end", "")) or first + b"\0"
        limit = int(question.get("limit", 0))
        with self.lock:
            found = sorted(k for k in self.pairs if first <= k and (end == _RANGE_ALL or k < end))
            shown = found[:limit] if limit else found
            pairs = [{"key": _base64(key), "value": _base64(self.pairs[key])} for key in shown]
        # As the gateway does, empty fields are left out.
        answer: dict[str, Any] = {"header": {"revision": "1"}}
        if pairs:
            answer["kvs"] = [{name: text for name, text in pair.items() if text} for pair in pairs]
        return {**answer, "more": True} if len(shown) < len(found) else answer


class Member:
    """One server's gateway; `stop` drops it with all its connections."""

    def __init__(self, server: Server, store: Store, *, pki: Path) -> None:
        address = (str(server.node.ip), CLIENT_PORT)
        self._http = _Gateway(address, _Handler)
        self._http.store, self._http.member = store, server.name
        self._http.member_id = str(server.index + 1)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / f"{server.name}.crt", pki / f"{server.name}.key")
        context.load_verify_locations(pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self._http.context = context
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many it has taken."""
        return self._http.taken

    def stop(self) -> None:
        """Stop answering."""
        self._http.shutdown()
        self._http.server_close()
        self._http.drop_connections()


class LoopbackMachine:
    """A server: the first command it is given "installs" its member."""

    def __init__(self, spec: Server, store: Store, *, pki: Path) -> None:
        self.spec = spec
        self.name = spec.name
        self.scripts: list[str] = []
        self.broken: str | None = None
        self._store = store
        self._pki = pki
        self._member: Member | None = None

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        """Take the script and start the member, unless it is `broken`."""
        del timeout, check
        if self.broken is not None:
            raise CommandError(self.name, argv, 1, self.broken)
        self.scripts.append(stdin or "")
        self.start()
        return Completed(argv=tuple(argv), status=0, stdout="", stderr="")

    @property
    def connections(self) -> int:
        """How many connections its member has taken since it started."""
        return self._member.connections if self._member is not None else 0

    def power_off(self) -> None:
        """Stop the member."""
        self.stop()

    def renew(self) -> None:
        """Note that it is another server now."""
        self.scripts.append("renewed")

    def power_on(self) -> None:
        """Do nothing: a script starts the member."""

    def wait_answering(self) -> str:
        """Return a boot ID."""
        return "boot"

    def start(self) -> None:
        """Start the member, if it is not running."""
        if self._member is None:
            self._member = Member(self.spec, self._store, pki=self._pki)

    def stop(self) -> None:
        """Stop the member, if it is running."""
        if self._member is not None:
            self._member.stop()
            self._member = None


class LoopbackClient:
    """An external client that is just this host."""

    name = "external"

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        """Run a command here."""
        return shell.run(argv, timeout=timeout, check=check, stdin=stdin)

    def start(self, argv: Sequence[str], *, output: IO[bytes]) -> Popen[bytes]:
        """Start a command here."""
        return shell.start(argv, output=output)


@dataclass(kw_only=True)
class LoopbackDataCenter:
    """What a deployer, a cluster and a probe need of a data centre. `subnet` is two bytes of 127.x.y.0/24."""

    run_directory: Path
    subnet: tuple[int, int]
    name: str = "loopback"
    slowness: float = 0.01
    store: Store = field(default_factory=Store)
    steps: Steps = field(default_factory=Steps)

    @cached_property
    def topology(self) -> Topology:
        """Three servers and a client."""
        x, y = self.subnet
        addresses = [IPv4Address(f"127.{x}.{y}.{host}") for host in (1, 2, 3)]
        return Topology(
            name="loopback",
            release="debian-12",
            boot="cold",
            routers=(),
            servers=tuple(_server(index, address) for index, address in enumerate(addresses)),
            externals=(External(name="external", segment="loopback", interface="lo", addresses=(), gateways=()),),
            links=(),
            segments=(),
        )

    @cached_property
    def servers(self) -> Mapping[str, LoopbackMachine]:
        """The three machines."""
        pki = self.run_directory / "etcd"
        return {s.name: LoopbackMachine(s, self.store, pki=pki) for s in self.topology.servers}

    @cached_property
    def externals(self) -> dict[str, LoopbackClient]:
        """One client."""
        return {"external": LoopbackClient()}

    @cached_property
    def recorder(self) -> Recorder:
        """A history in the run directory."""
        return Recorder(self.run_directory / "history.jsonl")

    def stop(self) -> None:
        """Stop every member."""
        for machine in self.servers.values():
            machine.stop()


class _Gateway(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    store: Store
    member: str
    member_id: str
    context: ssl.SSLContext

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._open: list[ssl.SSLSocket] = []
        self.taken = 0

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base
        """Shake hands in the connection's own thread."""
        with self.context.wrap_socket(request, server_side=True) as secure:
            self.taken += 1
            self._open.append(secure)
            super().finish_request(secure, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""

    def drop_connections(self) -> None:
        """Close every connection under its handler."""
        for connection in self._open:
            try:
                connection.shutdown(2)
            except OSError:
                connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Gateway

    def do_GET(self) -> None:
        """Tell the version."""
        self._send(200, {"etcdserver": "3.4.23", "etcdcluster": self.server.store.cluster_version})

    def do_POST(self) -> None:
        """Answer one call."""
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        store = self.server.store
        error = store.errors.get(self.server.member)
        if error is not None:
            self._send(503, {"error": error, "code": 14})
        elif self.path == "/v3/kv/put":
            self._send(200, store.put(question))
        elif self.path == "/v3/kv/range":
            self._send(200, store.range(question))
        elif self.path.startswith("/v3/cluster/member/"):
            self._send(200, store.member(self.path.rpartition("/")[2], question))
        else:
            header = {"member_id": self.server.member_id}
            self._send(200, {"header": header, "version": "3.4.23", "leader": store.leader})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""

    def _send(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _server(index: int, address: IPv4Address) -> Server:
    return Server(
        name=f"rack{index}-cs0",
        role="cs",
        rack=index,
        index=index,
        asn=65000 + index,
        router_id=IPv4Address("10.64.0.1"),
        nodes=(IPv4Interface(f"{address}/32"),),
        ports=(),
        sessions=(),
        cpu=1,
        memory=1,
        data=1,
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
