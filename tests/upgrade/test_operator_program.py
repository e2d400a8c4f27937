"""The program in the operator's pods: who leads, what it makes of objects, and the webhook over real TLS."""

from __future__ import annotations

import copy
import json
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tests.conftest import Golden
from vdc.cluster.pki import Authority, Credential, Subject, Usage
from vdc.upgrade.operator.image import image_of
from vdc.upgrade.operator.manifests import controller, converter, definition, flock, ground
from vdc.upgrade.operator.program import (
    GROUP,
    NAMESPACE,
    PLURAL,
    V1,
    V2,
    VERSION,
    Controller,
    Leadership,
    RefusedError,
    webhook,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "operator"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/controller"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
FLOCKS = f"/apis/{GROUP}/{V1}/namespaces/{NAMESPACE}/{PLURAL}"


class Server:
    """An API server in memory, for what the program asks of one; `asked` is each question that writes."""

    def __init__(self, *flocks: Mapping[str, Any]) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.flocks = [json.loads(json.dumps(each)) for each in flocks]
        self.asked: list[str] = []
        self._version = 0

    def ask(self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, kind: str = "") -> dict[str, Any]:
        del kind
        path, _, query = path.partition("?")
        if verb == "GET":
            if path == FLOCKS:
                return {"metadata": {"resourceVersion": "1"}, "items": copy.deepcopy(self.flocks)}
            if query:
                return {"items": [each for name, each in self.kept.items() if name.startswith(path)]}
            if path not in self.kept:
                raise RefusedError(404, "not found")
            return copy.deepcopy(self.kept[path])
        assert body is not None
        self.asked.append(f"{verb} {path}")
        if verb == "PATCH":
            name = path.removesuffix("/status").rpartition("/")[2]
            (found,) = (each for each in self.flocks if each["metadata"]["name"] == name)
            found["status"] = body["status"]
            return dict(found)
        new = json.loads(json.dumps(body))
        place = f"{path}/{new['metadata']['name']}" if verb == "POST" else path
        if verb == "POST" and place in self.kept:
            raise RefusedError(409, "it is there")
        if verb == "PUT" and self.kept[place]["metadata"]["resourceVersion"] != new["metadata"]["resourceVersion"]:
            raise RefusedError(409, "it is another one")
        self._version += 1
        new["metadata"]["resourceVersion"] = str(self._version)
        self.kept[place] = new
        return copy.deepcopy(new)

    def watch(self, path: str, version: str) -> Iterator[dict[str, Any]]:
        del path, version
        yield from ({"type": "MODIFIED", "object": each} for each in copy.deepcopy(self.flocks))


class Rounds(Event):
    """Says to stop when it has been asked so many times."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._left = number

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return False


def controlled(server: Server, rounds: int, *, me: str = "one") -> Controller:
    made = Controller(server, Leadership(server, me, V1), V1)
    made.run(Rounds(rounds))
    return made


def a_flock(name: str = "a", number: int = 2, generation: int = 1) -> dict[str, Any]:
    made = flock(name, V1, number, "of Ann")
    return {**made, "metadata": {**made["metadata"], "generation": generation}}


def test_an_object_is_made_once_and_told_of_once() -> None:
    server = Server(a_flock())
    controlled(server, 3)
    assert server.asked == [f"POST {LEASE.rpartition('/')[0]}", f"POST {MAPS}", f"PATCH {FLOCKS}/a/status"]
    assert server.kept[f"{MAPS}/flock-a"]["data"] == {"sheep": "a-0 a-1", "text": "of Ann", "writes": "1"}
    assert server.flocks[0]["status"] == {"observedGeneration": 1, "version": V1}


def test_an_object_that_was_changed_is_written_again_and_counted() -> None:
    server = Server(a_flock())
    controlled(server, 1)
    server.flocks[0]["spec"]["size"] = 3
    server.flocks[0]["metadata"]["generation"] = 2
    controlled(server, 2)
    assert server.kept[f"{MAPS}/flock-a"]["data"] == {"sheep": "a-0 a-1 a-2", "text": "of Ann", "writes": "2"}
    assert server.flocks[0]["status"]["observedGeneration"] == 2


def test_of_two_controllers_one_leads_and_the_other_follows_it_at_once_when_it_lets_go() -> None:
    server = Server(a_flock())
    first = Leadership(server, "one", V1)
    second = Leadership(server, "two", V2)
    assert first.held()
    assert not second.held()
    assert not second.held()
    first.release()
    assert second.held()
    assert server.kept[LEASE]["spec"]["holderIdentity"] == "two"
    assert server.kept[LEASE]["metadata"]["annotations"] == {VERSION: V2}
    first.release()
    assert server.kept[LEASE]["spec"]["holderIdentity"] == "two", "it gave away what was not its own"


def test_who_does_not_lead_touches_nothing() -> None:
    server = Server(a_flock())
    Leadership(server, "other", V1).held()
    server.asked.clear()
    assert not controlled(server, 3).leads
    assert server.asked == []


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A webhook on loopback; what a client that believes its authority needs."""
    authority = Authority.load_or_create(folder, name="operator")
    subject = Subject(common_name="localhost", names=("localhost",), usages=(Usage.SERVER,))
    authority.issue_to(subject).save(folder, "converter")
    server = webhook(str(folder / "converter.crt"), str(folder / "converter.key"), 0)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}", ssl.create_default_context(cafile=folder / "ca.crt")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_webhook_converts_over_tls(tmp_path: Path) -> None:
    request = {"uid": "7", "desiredAPIVersion": f"{GROUP}/{V2}", "objects": [a_flock()]}
    asked = json.dumps({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request})
    with serving(tmp_path) as (url, context):
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with direct.open(f"{url}/convert?timeout=30s", asked.encode(), timeout=20.0) as answer:
            said = json.load(answer)
        with direct.open(url, timeout=20.0) as health:
            assert health.read() == b"ok\n"
    (new,) = said["response"]["convertedObjects"]
    assert said["response"]["uid"] == "7"
    assert new["spec"] == {"replicas": 2, "description": "of Ann", "colour": "white"}


def test_what_is_applied_is_as_before(golden: Golden) -> None:
    credential = Credential(cert_pem="certificate\n", key_pem="key\n")
    told = {
        "ground": ground(),
        "definition": [
            definition([V1], stored=V1),
            definition([V1, V2], stored=V1, authority="authority\n"),
            definition([V2], stored=V2),
        ],
        "controller": [controller(image_of(V1), slowness=1.0)],
        "converter": converter(image_of(V2), credential, slowness=1.0),
    }
    for name, manifests in told.items():
        golden(GOLDEN / f"{name}.json", json.dumps(manifests, indent=2, sort_keys=True) + "\n")
