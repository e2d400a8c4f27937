"""Which devices hear which others: asked by numbered echo requests, and answered by what comes to each."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from vdc.datacenter.api import DataCenter, device_of
from vdc.datacenter.reachability import send_requests
from vdc.host.ears import Ear, hear
from vdc.model.ip import Address
from vdc.model.topology import Topology

_AT_ONCE = 16
_TOKEN = 8  # bytes


def heard(dc: DataCenter, pairs: Sequence[tuple[str, str]], ears: Mapping[str, Ear]) -> frozenset[tuple[str, str]]:
    """Return those pairs of devices of which echo requests of the first come to the second, where its ear is.

    Raises CommandError: a device could not be asked to send any.
    """
    tokens = {secrets.token_bytes(_TOKEN): pair for pair in pairs}

    def send(token: bytes) -> None:
        source, target = (known_by(dc.topology, name) for name in tokens[token])
        send_requests(device_of(dc, tokens[token][0]), target, source=source, token=token)

    def send_all() -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for sent in [pool.submit(send, token) for token in tokens]:
                sent.result()

    came = hear({token: ears[target] for token, (_, target) in tokens.items()}, send_all)
    return frozenset(tokens[token] for token in came)


def known_by(topology: Topology, name: str) -> Address:
    """Return the address that a router or a server is known by, whichever of its cables are plugged."""
    return topology.server(name).node.ip if topology.has_server(name) else topology.router(name).loopback.ip
