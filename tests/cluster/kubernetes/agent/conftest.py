"""What tests of the agent share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from tests.cluster.kubernetes.agent.fake_api import FakeApi, credentials, serving
from vdc.cluster.kubernetes.agent.settings import Settings


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("keys")
    credentials(directory)
    return directory


@pytest.fixture
def settings(keys: Path, tmp_path: Path) -> Settings:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Settings(
        node="n0",
        addresses=(IPv4Address("10.64.0.1"),),
        domain="cluster.local",
        host="127.0.0.1",
        port=port,
        authority=keys / "ca.crt",
        certificate=keys / "agent.crt",
        key=keys / "agent.key",
        slices="discovery.k8s.io/v1",
        hosts=tmp_path / "lib" / "hosts",
        dns_processes=tmp_path / "cgroup.procs",
        services=tmp_path / "run" / "services.conf",
        bird=tmp_path / "bird.ctl",
        proxy="iptables",
        pools=(IPv4Network("10.140.0.0/30"),),
        allocates=True,
        answer_seconds=5.0,
        lease_seconds=15.0,
        settle_seconds=0.0,
    )


@pytest.fixture
def api(settings: Settings) -> Iterator[FakeApi]:
    with serving(FakeApi(), settings) as fake:
        yield fake
