"""Asking the API through the proxy of every node, all the time, while something happens to API servers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.errors import ClusterError

_PAUSE = 0.1
"""Seconds between two requests."""
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request through the proxy of `node`, from when to when (monotonic), and what went wrong, if anything did."""

    node: str
    begun: float
    ended: float
    trouble: str

    def during(self, since: float, until: float) -> bool:
        """Return whether it was under way at some moment of a time."""
        return self.begun <= until and self.ended >= since


class Asked:
    """Requests, each over a connection of its own."""

    def __init__(self, kubernetes: KubernetesCluster) -> None:
        self._kubernetes = kubernetes
        self.requests: list[Request] = []

    @property
    def failures(self) -> tuple[Request, ...]:
        """Those that failed."""
        return tuple(each for each in self.requests if each.trouble)

    @property
    def longest(self) -> float:
        """How long the slowest took, in seconds."""
        return max((each.ended - each.begun for each in self.requests), default=0.0)

    def round(self) -> None:
        """Ask once through each node's proxy."""
        for node in self._kubernetes.node_names:
            self.ask(node)

    def ask(self, node: str) -> None:
        """Ask through the proxy of a node."""
        begun = time.monotonic()
        trouble = self._trouble(node)
        self.requests.append(Request(node=node, begun=begun, ended=time.monotonic(), trouble=trouble))

    def unexcused(self, since: float, until: float) -> tuple[str, ...]:
        """Return the failures, but for one of those that were under way when an API server was lost.

        That was between `since` and `until`. What it was answering goes with it; who asks next must find another one.
        """
        lost = [each for each in self.failures if each.during(since, until)]
        others = [each for each in self.failures if not each.during(since, until)]
        return tuple(f"through {each.node}: {each.trouble}" for each in (*lost[1:], *others))

    def _trouble(self, node: str) -> str:
        try:
            answer = self._kubernetes.ask_api("/readyz", via=node, proxied=True)
        except ClusterError as error:
            return error.message
        return "" if answer.status == _OK else f"{answer.status}: {answer.body.strip()[-200:]}"


@contextmanager
def asking(kubernetes: KubernetesCluster) -> Iterator[Asked]:
    """Ask through each node's proxy in turn as long as the body runs, and once through each of them before it.

    Numbers and failures are in the history. No request is under way after it.
    """
    asked, stop = Asked(kubernetes), Event()
    asked.round()

    def go_on() -> None:
        while True:
            for node in kubernetes.node_names:
                if stop.wait(_PAUSE):
                    return
                asked.ask(node)

    thread = Thread(target=go_on, name="asking", daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        stop.set()
        thread.join()
        failures = [f"through {each.node}: {each.trouble}" for each in asked.failures]
        facts = {"requests": len(asked.requests), "longest": round(asked.longest, 3), "failures": failures}
        kubernetes.dc.recorder.record("note", "harness", **facts)
