"""A small client of etcd's JSON gateway (etcd API v3, https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/).

The harness lives in the host's own network namespace and never talks to a data centre from there. So this
module is also a command: `python -m vdc.cluster.etcd_client CONFIG.json`, run inside the namespace of an
external client, reads one JSON request on standard input and prints one JSON answer. It imports nothing but
the standard library, because every question to the cluster pays for its start.

Request: `{"calls": [{"member", "op", "key"?, "value"?}, …]}` with op one of put, get, prefix, status, version,
remove and add (the key is a member's peer URL), and member a name or null for any. Answer: `{"answers": [{"result": …}
| {"error": text}, …]}` in the order of the calls. The calls of one member run one after the other until one fails,
members side by side.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_CONNECT = 1 / 3  # of a call's timeout: a member that is off should not hold up the others' answers for long
_PAGE = 1000  # keys; keeps an answer far below gRPC's default message limit of 4 MiB

Json = dict[str, Any]


class EtcdError(Exception):
    """The member did not do what it was asked: unreachable, too late, or it said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """Where the members are (name to https URL) and how to be let in; `timeout` in seconds, for each call."""

    endpoints: Mapping[str, str]
    ca: str
    cert: str
    key: str
    timeout: float

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps({**asdict(self), "endpoints": dict(self.endpoints)}, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def tls_context(config: ClientConfig) -> ssl.SSLContext:
    """Return a context that trusts only the data centre's authority and shows the client's certificate."""
    context = ssl.create_default_context(cafile=config.ca)
    context.load_cert_chain(config.cert, config.key)
    return context


def encode(text: str) -> str:
    """Return `text` as the gateway wants keys and values: base64 of its UTF-8."""
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    """Return what `encode` was given."""
    return base64.b64decode(text).decode()


def range_end(prefix: str) -> bytes:
    """Return the first key after all that start with `prefix` (etcd's rule: the last byte plus one)."""
    raw = prefix.encode().rstrip(b"\xff")
    return raw[:-1] + bytes([raw[-1] + 1]) if raw else b"\0"


class EtcdMember:
    """One member over one kept-alive connection, opened at the first call and again after a failure."""

    def __init__(self, url: str, *, context: ssl.SSLContext, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.hostname is None:
            raise ValueError(f"no host in {url!r}")
        self._timeout = timeout
        self._connection = http.client.HTTPSConnection(
            parts.hostname, parts.port or 2379, context=context, timeout=timeout * _CONNECT
        )

    def put(self, key: str, value: str) -> None:
        """Write; returns when a quorum has it."""
        self._call("/v3/kv/put", {"key": encode(key), "value": encode(value)})

    def get(self, key: str) -> str | None:
        """Read linearizably; None if absent."""
        pairs = self._call("/v3/kv/range", {"key": encode(key)}).get("kvs", [])
        # The gateway leaves out empty fields, so an empty value is no field at all.
        return decode(pairs[0].get("value", "")) if pairs else None

    def prefix(self, prefix: str) -> dict[str, str]:
        """Read every key that starts with `prefix`, linearizably, as of one revision."""
        found: dict[str, str] = {}
        question: Json = {
            "key": encode(prefix) if prefix else base64.b64encode(b"\0").decode(),
            "range_end": base64.b64encode(range_end(prefix)).decode(),
            "limit": _PAGE,
        }
        while True:
            answer = self._call("/v3/kv/range", question)
            pairs = answer.get("kvs", [])
            found.update((decode(pair["key"]), decode(pair.get("value", ""))) for pair in pairs)
            if not answer.get("more"):
                return found
            following = base64.b64decode(pairs[-1]["key"]) + b"\0"
            question["key"] = base64.b64encode(following).decode()
            question.setdefault("revision", answer["header"]["revision"])

    def status(self) -> Json:
        """Return the member's own view: `version`, the IDs `member` and `leader` ("0": none), `errors`."""
        answer = self._call("/v3/maintenance/status", {})
        return {
            "version": answer.get("version", "?"),
            "member": answer["header"]["member_id"],
            "leader": answer.get("leader", "0"),
            "errors": answer.get("errors", []),
        }

    def cluster_version(self) -> str:
        """Return the version that all members speak. Raises EtcdError: they have not agreed on one yet."""
        version = str(self._call("/version", None).get("etcdcluster", ""))
        if version in {"", "not_decided"}:
            raise EtcdError("the members have not agreed on a version yet")
        return version

    def members(self) -> dict[str, str]:
        """Return the members that there are, in what they know last: the URL of their peers to ID."""
        found = self._call("/v3/cluster/member/list", {}).get("members", [])
        return {url: member["ID"] for member in found for url in member["peerURLs"]}

    def remove(self, url: str) -> None:
        """Remove the member whose peers reach it there; without one that is fine."""
        if (known := self.members().get(url)) is not None:
            self._call("/v3/cluster/member/remove", {"ID": known})

    def add(self, url: str) -> None:
        """Add a member that its peers will reach there; one that is there already is fine."""
        if url not in self.members():
            self._call("/v3/cluster/member/add", {"peerURLs": [url]})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _connect(self) -> None:
        self._connection.connect()
        self._connection.sock.settimeout(self._timeout)

    def _call(self, path: str, question: Json | None) -> Json:
        try:
            if self._connection.sock is None:
                self._connect()
            if question is None:
                self._connection.request("GET", path)
            else:
                self._connection.request("POST", path, json.dumps(question), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            body = response.read()
            answer: Json = json.loads(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise EtcdError(f"{type(error).__name__}: {error}") from error
        if response.status != http.client.OK:
            raise EtcdError(str(answer.get("error") or answer.get("message") or f"status {response.status}"))
        return answer


def perform(config: ClientConfig, calls: Sequence[Json]) -> list[Json]:
    """Do the calls of a request and return their answers, in order."""
    context = tls_context(config)
    lanes: dict[str | None, list[int]] = {}
    for number, call in enumerate(calls):
        lanes.setdefault(call["member"], []).append(number)

    def work(member: str | None) -> list[tuple[int, Json]]:
        choices = [config.endpoints[member]] if member is not None else list(config.endpoints.values())
        members = [EtcdMember(url, context=context, timeout=config.timeout) for url in choices]
        answers: list[tuple[int, Json]] = []
        for number in lanes[member]:
            failed = bool(answers) and "error" in answers[-1][1]
            answers.append((number, answers[-1][1] if failed else _answer(members, calls[number])))
        return answers

    if not lanes:
        return []
    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        answers = dict(pair for lane in pool.map(work, lanes) for pair in lane)
    return [answers[number] for number in range(len(calls))]


def _answer(members: Sequence[EtcdMember], call: Json) -> Json:
    """Ask one member after the other until one answers: every call may be repeated without harm."""
    errors: list[str] = []
    for member in members:
        try:
            return {"result": _do(member, call)}
        except EtcdError as error:
            errors.append(str(error))
    return {"error": "; ".join(errors)}


def _do(member: EtcdMember, call: Json) -> Any:  # noqa: ANN401, PLR0911 - JSON, whatever the call returns
    match call["op"]:
        case "put":
            return member.put(call["key"], call["value"])
        case "get":
            return member.get(call["key"])
        case "prefix":
            return member.prefix(call["key"])
        case "status":
            return member.status()
        case "version":
            return member.cluster_version()
        case "remove":
            return member.remove(call["key"])
        case "add":
            return member.add(call["key"])
        case other:
            raise ValueError(f"no such operation: {other!r}")


def main(arguments: Sequence[str]) -> None:
    """Answer the request on standard input."""
    config = ClientConfig.load(Path(arguments[0]))
    answers = perform(config, json.load(sys.stdin)["calls"])
    json.dump({"answers": answers}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
