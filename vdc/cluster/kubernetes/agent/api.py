"""An API server, over HTTPS with a client certificate (Kubernetes: "API Concepts")."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlencode

from .objects import Json
from .settings import Settings

UNREACHABLE = (OSError, HTTPException, ValueError, KeyError)
"""What asking an API server may raise besides RefusedError: no connection, one that breaks, an answer that is none."""


class RefusedError(Exception):
    """An API server answered, but not with what was asked for: `status` is that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """The API servers behind a local proxy. Each question has a connection of its own, with the certificate of then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, path: str) -> Json:
        """Return an object or a list. Raises RefusedError, or one of UNREACHABLE."""
        return self._ask("GET", path)

    def create(self, path: str, body: Json) -> Json:
        """Create an object; returns it as it was stored. Raises as `get`."""
        return self._ask("POST", path, body)

    def replace(self, path: str, body: Json) -> Json:
        """Replace an object, if it still has the resource version of `body`. Raises as `get`."""
        return self._ask("PUT", path, body)

    def patch(self, path: str, body: Json) -> Json:
        """Change what `body` has (RFC 7396). Raises as `get`."""
        return self._ask("PATCH", path, body, kind="application/merge-patch+json")

    def watch(self, path: str, version: str, seconds: int) -> Iterator[Json]:
        """Yield the events since a resource version, for some `seconds`. Raises as `get`.

        A server sends a bookmark about once a minute: longer silence is that of a dead connection.
        """
        query = {"watch": 1, "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        with self._answer("GET", f"{path}?{urlencode(query)}", timeout=seconds + self._settings.answer_seconds) as said:
            while line := said.readline():
                yield json.loads(line)

    def _ask(self, verb: str, path: str, body: Json | None = None, *, kind: str = "application/json") -> Json:
        content = None if body is None else json.dumps(body).encode()
        timeout = self._settings.answer_seconds
        with self._answer(verb, path, timeout=timeout, content=content, kind=kind) as said:
            answer: Json = json.loads(said.read())
            return answer

    @contextmanager
    def _answer(
        self, verb: str, path: str, *, timeout: float, content: bytes | None = None, kind: str = ""
    ) -> Iterator[HTTPResponse]:
        connection = HTTPSConnection(
            self._settings.host, self._settings.port, timeout=timeout, context=_context(self._settings)
        )
        try:
            headers: Mapping[str, str] = {"Accept": "application/json"}
            if content is not None:
                headers = {**headers, "Content-Type": kind}
            connection.request(verb, path, body=content, headers=headers)
            with connection.getresponse() as answer:
                if answer.status >= 300:
                    raise RefusedError(answer.status, _message(answer.read()))
                yield answer
        finally:
            connection.close()


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(settings.authority))
    context.load_cert_chain(settings.certificate, settings.key)
    return context


def _message(body: bytes) -> str:
    """Return the message of a Status, or the beginning of what there is instead."""
    try:
        said: Any = json.loads(body)
        return str(said["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace").strip()
