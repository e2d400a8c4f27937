"""A port on loopback that leads into a data centre, and goes with it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from os import devnull
from pathlib import Path

import pytest

from tests.host.conftest import TOPOLOGIES, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.live import LiveDataCenter
from vdc.errors import BuildError
from vdc.host import processes
from vdc.host.forward_daemon import Running, ensure, preferred_port, running
from vdc.model.load import read_topology
from vdc.settings import Settings
from vdc.shell import in_namespace, start
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

_SAYS = """
import socket, sys
listener = socket.create_server((sys.argv[1], 8443))
while True:
    connection, peer = listener.accept()
    connection.sendall(f"{sys.argv[2]} to {peer[0]}".encode())
    connection.close()
"""


@pytest.fixture(scope="module")
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    plan = lifecycle.prepare(read_topology(TOPOLOGIES / "fabric.yml"), "t-forward", settings, Steps())
    dc = lifecycle.up(plan, settings, Steps())
    yield dc
    if dc.name in lifecycle.instances(settings):
        lifecycle.down(dc.name, settings, Steps())


@contextmanager
def speaking(dc: LiveDataCenter, router: str) -> Iterator[tuple[str, int]]:
    """A server on a router that says its name; yields where it is."""
    address = str(dc.topology.router(router).loopback.ip)
    argv = in_namespace(dc.plan.context.device_netns(router), [sys.executable, "-c", _SAYS, address, router])
    with Path(devnull).open("ab") as nowhere:
        process = start(argv, output=nowhere)
    try:
        yield address, 8443
    finally:
        process.kill()
        process.wait()


def said(port: int) -> str:
    """What is said on a port of loopback, where somebody says something."""
    with socket.create_connection(("127.0.0.1", port), timeout=20.0) as connection:
        return connection.recv(1000).decode()


def heard(port: int, router: str) -> str:
    def listen() -> str:
        text = said(port)
        if not text.startswith(router):
            raise NotYet(f"{text!r} was said")
        return text

    return wait_for(listen, what=f"{router} to speak", timeout=20.0)


def test_a_forward_leads_from_the_host_to_what_a_client_outside_reaches_and_ends_with_the_data_centre(
    fabric: LiveDataCenter, settings: Settings
) -> None:
    netns = fabric.plan.context.device_netns("external")
    file = fabric.run_directory / "forward.json"
    with speaking(fabric, "spine0") as first, speaking(fabric, "spine1") as second:
        port = ensure(netns, file, [first, second])
        assert port == preferred_port(netns)
        assert heard(port, "spine0") == f"spine0 to {fabric.topology.externals[0].address.ip}"
        found = running(netns, file)
        assert found == Running(pid=found.pid if found else 0, port=port, targets=(first, second))
        assert ensure(netns, file, [first, second]) == port
        assert running(netns, file) == found, "a second call starts nothing"

        assert ensure(netns, file, [second]) == port, "one that leads elsewhere takes its place"
        assert heard(port, "spine1")

        other = running(netns, file)
        assert other is not None
        processes.end([other.pid])
        assert running(netns, file) is None
        assert ensure(netns, file, [("10.255.255.1", 1), first]) == port, "as does one after a crash"
        assert heard(port, "spine0"), "the next target is asked where the first does not answer"

    assert running(netns, file) is not None
    lifecycle.down(fabric.name, settings, Steps())
    assert traces(fabric.name, settings) == []
    with pytest.raises(OSError, match="refused"):
        said(port)


def test_a_forward_into_no_namespace_tells_why(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="namespace:vdc-nowhere: is not there"):
        ensure("vdc-nowhere", tmp_path / "forward.json", [("10.0.0.1", 1)])
