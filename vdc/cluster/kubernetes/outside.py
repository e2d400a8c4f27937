"""One HTTP request over a connection of its own, made where a client outside is."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from vdc.cluster.kubernetes.api import Answer
from vdc.cluster.kubernetes.trust import Trust
from vdc.errors import ClusterError
from vdc.host import namespaces


def ask(
    url: str,
    *,
    netns: str | None,
    timeout: float,
    trust: Trust | None = None,
    body: str | None = None,
    server_name: str | None = None,
) -> Answer:
    """Return what is answered at a URL to a client in the namespace `netns`, by default in this process's own.

    With a `body` (JSON) it is a POST. `timeout` is of connecting, and of each piece of the answer, in seconds.
    `server_name` is what the certificate must be for, by default the host of the URL.

    Raises:
        ClusterError: refused, reset, or not answered in time.
    """
    place, method = urlsplit(url), "GET" if body is None else "POST"
    host, target = place.hostname or "", f"{place.path or '/'}{'?' + place.query if place.query else ''}"

    headers = {"Authorization": f"Bearer {trust.token}"} if trust is not None and trust.token else {}

    def connected() -> http.client.HTTPConnection:
        """A socket stays where it was made, so only this needs the namespace."""
        connection = http.client.HTTPConnection(host, place.port, timeout=timeout)
        connection.connect()
        if trust is not None:
            connection.sock = trust.context().wrap_socket(connection.sock, server_hostname=server_name or host)
        return connection

    try:
        connection = connected() if netns is None else namespaces.inside(netns, connected)
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(status=response.status, body=response.read().decode(errors="replace"))
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise ClusterError(f"{method} {url}: {str(error) or type(error).__name__}") from error
