"""What all tests share."""

from __future__ import annotations

import difflib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import hypothesis
import pytest

from tests.web import Server
from vdc.cluster.etcd import EtcdCluster, EtcdDeployer
from vdc.datacenter.api import DataCenter
from vdc.testing.loopback import LoopbackDataCenter

# a starved host takes its time: what must be fast is measured by `make bench`
hypothesis.settings.register_profile("vdc", deadline=None)
hypothesis.settings.load_profile("vdc")

Golden = Callable[[Path, str], None]
"""Compares a text with the file that holds what it should be."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Fails with a diff if a text is not what its golden file holds; with --update-golden writes the file."""
    update = bool(request.config.getoption("--update-golden"))

    def compare(path: Path, text: str) -> None:
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.exists():
            pytest.fail(f"{path} is missing; write it with --update-golden, and read it before you keep it")
        expected = path.read_text(encoding="utf-8")
        if text != expected:
            lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), str(path), "now", lineterm="")
            pytest.fail("\n".join(lines))

    return compare


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder like `tmp_path`, whose path leaves room for that of a socket."""
    with tempfile.TemporaryDirectory(prefix="vdc-") as folder:
        yield Path(folder)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Starts web servers of one file each."""
    servers: list[Server] = []

    def start(content: bytes, **how: object) -> Server:
        server = Server(content, **how)  # type: ignore[arg-type]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LoopbackDataCenter]:
    """A data centre in miniature, on loopback addresses of this test process alone."""
    process = os.getpid()
    dc = LoopbackDataCenter(run_directory=tmp_path, subnet=(1 + process // 250 % 250, process % 250))
    yield dc
    dc.stop()


@pytest.fixture
def cluster(lab: LoopbackDataCenter) -> EtcdCluster:
    """An etcd cluster on it."""
    return EtcdDeployer().deploy(cast(DataCenter, lab))
