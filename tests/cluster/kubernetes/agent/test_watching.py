"""A copy of the API's objects, through everything that API servers do to those who watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.kubernetes.agent.fake_api import SERVICES, FakeApi, service, serving
from vdc.cluster.kubernetes.agent.api import Api
from vdc.cluster.kubernetes.agent.objects import Service, read_service
from vdc.cluster.kubernetes.agent.settings import Settings
from vdc.cluster.kubernetes.agent.watching import Watcher
from vdc.wait import NotYet, wait_for

Watching = Callable[[], Watcher[Service]]


@pytest.fixture
def watching(settings: Settings) -> Iterator[Watching]:
    """Starts a watcher, in a thread that ends with the test."""
    started: list[tuple[Watcher[Service], threading.Thread]] = []

    def start() -> Watcher[Service]:
        watcher = Watcher(Api(settings), SERVICES, read_service, [threading.Event()])
        thread = threading.Thread(target=watcher.run, daemon=True)
        thread.start()
        started.append((watcher, thread))
        return watcher

    yield start
    for watcher, _ in started:
        watcher.stop()


def expect(watcher: Watcher[Service], *names: str) -> None:
    def known() -> None:
        found = sorted(each.name for each in watcher.objects())
        if not watcher.complete or found != sorted(names):
            raise NotYet(f"{found}")

    wait_for(known, what=f"{names}", timeout=10, interval=0.01)


def asked(api: FakeApi, what: str) -> int:
    return sum(what in each for each in api.asked)


def test_it_has_what_there_is_and_follows_what_changes(api: FakeApi, watching: Watching) -> None:
    api.put(SERVICES, service("a"))
    watcher = watching()
    expect(watcher, "a")
    api.put(SERVICES, service("b"))
    expect(watcher, "a", "b")
    api.delete(SERVICES, "vdc/a")
    expect(watcher, "b")
    assert asked(api, f"GET {SERVICES}?watch=1") == 1


def test_a_watch_that_ends_goes_on_where_it_was(api: FakeApi, watching: Watching) -> None:
    watcher = watching()
    expect(watcher)
    api.put(SERVICES, service("a"))
    expect(watcher, "a")
    api.end_watches()
    api.put(SERVICES, service("b"))
    expect(watcher, "a", "b")
    assert api.asked.count(f"GET {SERVICES}") == 1, "it was listed again"


def test_what_is_too_old_is_listed_again(api: FakeApi, watching: Watching) -> None:
    watcher = watching()
    api.put(SERVICES, service("a"))
    expect(watcher, "a")
    api.forget()
    api.put(SERVICES, service("b"))
    expect(watcher, "a", "b")
    assert api.asked.count(f"GET {SERVICES}") == 2


def test_a_refusal_is_not_the_end(api: FakeApi, watching: Watching) -> None:
    api.refusals += [503, 401]
    api.put(SERVICES, service("a"))
    expect(watching(), "a")


def test_through_an_outage_it_keeps_what_it_had(settings: Settings, watching: Watching) -> None:
    api = FakeApi()
    api.put(SERVICES, service("a"))
    with serving(api, settings):
        watcher = watching()
        expect(watcher, "a")
    expect(watcher, "a")
    api.put(SERVICES, service("b"))
    with serving(api, settings):
        expect(watcher, "a", "b")


def test_nobody_is_told_of_what_does_not_concern_him(settings: Settings) -> None:
    signal = threading.Event()
    watcher = Watcher(Api(settings), SERVICES, read_service, [signal])
    watcher._take(_event("ADDED", service("a")))
    assert signal.is_set()
    signal.clear()
    watcher._take(_event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}))
    assert not signal.is_set()


def _event(kind: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": {**said, "metadata": {"resourceVersion": "8", **said["metadata"]}}}
