"""Looks at the certificate that a server shows to whoever connects, be it good or not.

Run where users are, as a program; it prints when the certificate ends, in seconds since the epoch:

    python -m vdc.cluster.certificates HOST PORT SECONDS
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Sequence

from cryptography import x509

from vdc.datacenter.api import Runner
from vdc.errors import ClusterError, CommandError


def shown_until(client: Runner, host: str, port: int, *, timeout: float) -> float:
    """Return when the certificate ends that a server shows to a client outside, in seconds since the epoch.

    Raises ClusterError: it shows none.
    """
    argv = [sys.executable, "-m", "vdc.cluster.certificates", host, str(port), str(timeout)]
    try:
        return float(client.run(argv, timeout=timeout + 30.0).stdout)
    except CommandError as error:
        raise ClusterError(f"{host}:{port} shows no certificate: {error.output.strip()[-200:]}") from error


def main(argv: Sequence[str]) -> None:
    """Print it."""
    host, port, timeout = argv
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=float(timeout)) as connection,
        context.wrap_socket(connection) as session,
    ):
        shown = session.getpeercert(binary_form=True)
    assert shown is not None, "a server without a certificate"
    sys.stdout.write(f"{x509.load_der_x509_certificate(shown).not_valid_after_utc.timestamp()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
