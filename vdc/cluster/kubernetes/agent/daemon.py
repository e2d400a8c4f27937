"""The agent's parts at work, each in a thread: two that watch, one that writes, and one that allocates."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import NoReturn

from .allocator import Allocator
from .announcing import announced_in, announcement, backed, bird_text
from .api import UNREACHABLE, Api, RefusedError
from .node import Node
from .objects import Service, Slice, read_service, read_slice
from .records import hosts_text
from .settings import Settings
from .watching import Watcher

_AGAIN_SECONDS = 1.0
"""After which what failed, or what is waited for on the node itself, is looked at again."""
_REFUSED_SECONDS = 5.0

log = logging.getLogger(__name__)


class Writer:
    """Makes the node's files what the services and their endpoints imply."""

    def __init__(self, settings: Settings, node: Node) -> None:
        self._settings = settings
        self._node = node
        self._names_read = False
        self._routes_read = False
        self._said = ""

    def write(self, services: tuple[Service, ...], slices: tuple[Slice, ...]) -> bool:
        """Write names and routes, and let dnsmasq and BIRD read them; return whether to look again soon."""
        later = self._tried(lambda: self._write_names(services, slices))
        return self._tried(lambda: self._write_routes(services, slices)) or later

    def _tried(self, act: Callable[[], bool]) -> bool:
        try:
            return act()
        except OSError as error:
            if str(error) != self._said:
                log.warning("%s", error)
            self._said = str(error)
            return True

    def _write_names(self, services: tuple[Service, ...], slices: tuple[Slice, ...]) -> bool:
        text = hosts_text(services, slices, self._settings.domain)
        if self._node.write(self._settings.hosts, text):
            self._names_read = False
        if not self._names_read:
            self._node.reload_names()
            self._names_read = True
        return False

    def _write_routes(self, services: tuple[Service, ...], slices: tuple[Slice, ...]) -> bool:
        path = self._settings.services
        so_far = announced_in(path.read_text(encoding="utf-8")) if path.exists() else frozenset()
        wanted = backed(services, slices, self._settings.node)
        found = announcement(wanted, so_far, self._node.is_local, self._node.is_programmed)
        if self._node.write(path, bird_text(found.now)):
            self._routes_read = False
            _log_routes(so_far, found.now)
        if not self._routes_read:
            self._node.reload_routes()
            self._routes_read = True
        return bool(found.later)


class Daemon:
    """The whole agent."""

    def __init__(self, settings: Settings, node: Node) -> None:
        api = Api(settings)
        changed, to_allocate = threading.Event(), threading.Event()
        self._settings = settings
        self._changed = changed
        self._to_allocate = to_allocate
        self._never = threading.Event()
        self._writer = Writer(settings, node)
        self._allocator = Allocator(settings, api) if settings.allocates and settings.pools else None
        self._services = Watcher(api, "/api/v1/services", read_service, (changed, to_allocate))
        self._slices = Watcher(api, f"/apis/{settings.slices}/endpointslices", read_slice, (changed,))

    def run(self) -> NoReturn:
        """Work for ever."""
        works = [self._services.run, self._slices.run]
        if self._allocator is not None:
            works.append(self._allocate)
        for work in works:
            threading.Thread(target=work, daemon=True).start()
        self._write()

    def _write(self) -> NoReturn:
        wait: float | None = None
        while True:
            self._changed.wait(wait)
            # what changes together comes in several events
            self._never.wait(self._settings.settle_seconds)
            self._changed.clear()
            again = False
            if self._services.complete and self._slices.complete:
                again = self._writer.write(self._services.objects(), self._slices.objects())
            wait = _AGAIN_SECONDS if again else None

    def _allocate(self) -> None:
        assert self._allocator is not None
        wait: float | None = None
        while True:
            self._to_allocate.wait(wait)
            self._to_allocate.clear()
            if not self._services.complete:
                continue
            try:
                wait = self._allocator.step(self._services.objects())
            except (RefusedError, *UNREACHABLE) as error:
                log.info("addresses: %s", error)
                wait = _AGAIN_SECONDS if isinstance(error, RefusedError) else _REFUSED_SECONDS


def _log_routes(before: frozenset[IPv4Address], now: frozenset[IPv4Address]) -> None:
    for address in sorted(now - before):
        log.info("announces %s", address)
    for address in sorted(before - now):
        log.info("announces %s no more", address)
