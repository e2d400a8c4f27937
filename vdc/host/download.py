"""Fetching files over HTTP: what breaks off goes on where it stopped, and what is not what it must be is deleted."""

from __future__ import annotations

import hashlib
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from vdc.errors import HostError

_SECONDS: Final = 60.0
_BLOCK: Final = 1 << 18
_ATTEMPTS: Final = 3


def fetch(url: str, part: Path, *, digest: str, what: str) -> None:
    """Fetch what a URL leads to into `part`, where some of it may be already; `digest` is "sha256:…" or "sha512:…".

    `what` is what messages call it. Raises HostError: it cannot be fetched; or it is not what its digest says, and is
    deleted.
    """
    resumed = part.exists()
    found = _fetched(url, part, digest, what)
    if found != digest and resumed:
        part.unlink()  # what was there may be of another file
        found = _fetched(url, part, digest, what)
    if found != digest:
        part.unlink()
        kind, _, value = found.partition(":")
        raise HostError(
            f"{what}: {url} is not what its {kind} says; it is {value}",
            hint=f"expected {digest.partition(':')[2]}; what was fetched is deleted",
        )


def _fetched(url: str, part: Path, digest: str, what: str) -> str:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _fetch(url, part, digest)
        except (OSError, HTTPException) as error:
            refused = isinstance(error, HTTPError) and error.code < HTTPStatus.INTERNAL_SERVER_ERROR
            if attempt == _ATTEMPTS or refused:
                hint = "look at the URL" if refused else "try again: a download goes on where it stopped"
                raise HostError(f"{what}: {url} cannot be fetched: {error}", hint=hint) from error
    raise AssertionError("the last attempt returns or raises")


def digest_of(path: Path, kind: str) -> str:
    """Return the digest of a file as "sha256:…" or "sha512:…", as `kind` says."""
    with path.open("rb") as file:
        return f"{kind}:{hashlib.file_digest(file, kind).hexdigest()}"


def _fetch(url: str, part: Path, digest: str) -> str:
    """Add to `part` what it lacks (RFC 9110, 14); return the digest of all of it.

    A server that does not know how sends everything again.
    """
    kind = digest.partition(":")[0]
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - validated to be http(s)
    try:
        answer = cast(HTTPResponse, urlopen(request, timeout=_SECONDS))  # noqa: S310
    except OSError as error:
        if have and getattr(error, "code", None) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return digest_of(part, kind)  # it is there wholly, or is not what it should be, which its digest tells
        raise
    goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
    hashed = hashlib.new(kind)
    with closing(answer), part.open("r+b" if goes_on else "wb") as file:
        if goes_on:
            while block := file.read(_BLOCK):
                hashed.update(block)
        while block := answer.read(_BLOCK):
            hashed.update(block)
            file.write(block)
        if answer.length:  # the connection ended early
            raise HTTPException(f"{answer.length} bytes are missing")
    return f"{kind}:{hashed.hexdigest()}"
