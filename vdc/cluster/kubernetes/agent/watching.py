"""A copy of all objects of a kind, kept up by list and watch (Kubernetes: "Efficient detection of changes")."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from .api import UNREACHABLE, Api, RefusedError
from .objects import Json

Known = TypeVar("Known")

_GONE = 410
_WATCH_SECONDS = (300, 600)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0

log = logging.getLogger(__name__)


class ExpiredError(Exception):
    """The server no longer knows what happened since: all must be listed again."""


class Watcher(Generic[Known]):
    """Keeps the objects at `path` as `read` makes them, and sets every one of `signals` when they change.

    While no API server answers, it has what it had.
    """

    def __init__(self, api: Api, path: str, read: Callable[[Json], Known], signals: Sequence[threading.Event]) -> None:
        self._api = api
        self._path = path
        self._read = read
        self._signals = signals
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}
        self._complete = False
        self._version = ""
        self._stop = threading.Event()

    @property
    def complete(self) -> bool:
        """Whether all objects were seen once."""
        return self._complete

    def objects(self) -> tuple[Known, ...]:
        """Return the objects as they are known now."""
        with self._lock:
            return tuple(self._known.values())

    def stop(self) -> None:
        """Make `run` return after the event that it waits for."""
        self._stop.set()

    def run(self) -> None:
        """Keep up, for ever. A server that does not answer is asked again after a pause that grows."""
        pause = 0.0
        while not self._stop.wait(pause * random.uniform(0.8, 1.2)):
            before = self._version
            try:
                self.follow()
                pause = 0.0
            except ExpiredError:
                self._version, pause = "", _FIRST_PAUSE
            except (RefusedError, *UNREACHABLE) as error:
                # a connection that broke after it had told something is made again at once
                pause = 0.0 if self._version != before else min(_LONGEST_PAUSE, 2 * pause or _FIRST_PAUSE)
                if pause > _FIRST_PAUSE:
                    log.warning("%s: %s: again in %.0f s", self._path, str(error) or type(error).__name__, pause)

    def follow(self) -> None:
        """List, unless everything is known up to some version, and then watch until the server ends it.

        Raises ExpiredError, RefusedError, or one of UNREACHABLE.
        """
        try:
            if not self._version:
                self._list()
            for event in self._api.watch(self._path, self._version, random.randint(*_WATCH_SECONDS)):
                self._take(event)
        except RefusedError as error:
            if error.status == _GONE:
                raise ExpiredError from error
            raise

    def _list(self) -> None:
        said = self._api.get(self._path)
        found = {_key(each): self._read(each) for each in said.get("items") or ()}
        self._version = said["metadata"]["resourceVersion"]
        self._replace(found)

    def _take(self, event: Json) -> None:
        kind, said = event["type"], event["object"]
        if kind == "ERROR":
            raise (
                ExpiredError
                if said.get("code") == _GONE
                else RefusedError(said.get("code", 0), said.get("message", ""))
            )
        if kind != "BOOKMARK":
            found = dict(self._known)
            found.pop(_key(said), None)
            if kind != "DELETED":
                found[_key(said)] = self._read(said)
            self._replace(found)
        self._version = said["metadata"]["resourceVersion"]

    def _replace(self, found: Mapping[str, Known]) -> None:
        with self._lock:
            unchanged = self._complete and found == self._known
            self._known, self._complete = dict(found), True
        if not unchanged:
            for signal in self._signals:
                signal.set()


def _key(said: Json) -> str:
    return f"{said['metadata']['namespace']}/{said['metadata']['name']}"
