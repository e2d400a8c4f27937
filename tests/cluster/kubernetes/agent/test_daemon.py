"""The agent whole: a process of its own, as in a guest, against an API server on loopback."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.kubernetes.agent.fake_api import (
    LEASES,
    SERVICES,
    SLICES,
    FakeApi,
    endpoint,
    endpoint_slice,
    service,
    serving,
)
from vdc.cluster.kubernetes import agent
from vdc.cluster.kubernetes.agent.announcing import announced_in
from vdc.cluster.kubernetes.agent.daemon import Writer
from vdc.cluster.kubernetes.agent.node import Node
from vdc.cluster.kubernetes.agent.objects import read_service, read_slice
from vdc.cluster.kubernetes.agent.settings import Settings, load
from vdc.shell import start
from vdc.wait import NotYet, wait_for

BALANCED = service("web", type="LoadBalancer", clusterIP="10.96.0.7", ingress="10.140.0.1")
HERE = endpoint_slice("web", endpoint("10.64.0.1"))
NAME = "10.96.0.7 web.vdc.svc.cluster.local\n"


class FakeNode(Node):
    """A node of which a test says how it is; `heard` is what it was told."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.heard: list[str] = []
        self.programmed = True
        self.bird_runs = True

    def reload_names(self) -> None:
        self.heard.append("names")

    def reload_routes(self) -> None:
        if not self.bird_runs:
            raise FileNotFoundError("no control socket")
        self.heard.append("routes")

    def is_programmed(self, address: IPv4Address, backends: Collection[IPv4Address]) -> bool:
        del address, backends
        return self.programmed


@pytest.fixture
def node(settings: Settings) -> FakeNode:
    return FakeNode(settings)


def written(settings: Settings) -> tuple[str, set[str]]:
    return settings.hosts.read_text(), {str(each) for each in announced_in(settings.services.read_text())}


def write(writer: Writer, *slices: dict[str, Any], services: tuple[dict[str, Any], ...] = (BALANCED,)) -> bool:
    return writer.write(tuple(map(read_service, services)), tuple(map(read_slice, slices)))


def test_names_and_routes_are_written_and_read_once(settings: Settings, node: FakeNode) -> None:
    writer = Writer(settings, node)
    assert not write(writer, HERE)
    assert written(settings) == (NAME, {"10.140.0.1"})
    assert not write(writer, HERE)
    assert node.heard == ["names", "routes"]


def test_when_the_last_backend_here_goes_so_does_the_address(settings: Settings, node: FakeNode) -> None:
    writer = Writer(settings, node)
    write(writer, HERE)
    assert not write(writer, endpoint_slice("web", endpoint("10.64.0.1", ready=False)))
    assert written(settings) == (NAME, set())
    assert node.heard == ["names", "routes", "routes"]


def test_an_address_that_kube_proxy_does_not_have_is_looked_at_again(settings: Settings, node: FakeNode) -> None:
    writer = Writer(settings, node)
    node.programmed = False
    assert write(writer, HERE)
    assert written(settings) == (NAME, set())
    node.programmed = True
    assert not write(writer, HERE)
    assert written(settings) == (NAME, {"10.140.0.1"})


def test_a_bird_that_does_not_run_is_told_later_and_names_go_on(settings: Settings, node: FakeNode) -> None:
    writer = Writer(settings, node)
    node.bird_runs = False
    assert write(writer, HERE)
    assert node.heard == ["names"]
    node.bird_runs = True
    assert not write(writer, HERE)
    assert node.heard == ["names", "routes"]


def test_one_that_starts_again_keeps_what_it_announced(settings: Settings, node: FakeNode) -> None:
    write(Writer(settings, node), HERE)
    node.programmed = False
    assert not write(Writer(settings, node), HERE)
    assert written(settings) == (NAME, {"10.140.0.1"})


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> Path:
    path = tmp_path / "config.json"
    said = {
        name: sorted(map(str, value)) if isinstance(value, (tuple, frozenset)) else value
        for name, value in asdict(settings).items()
    }
    path.write_text(json.dumps(said, default=str))
    return path


def test_settings_are_read_as_they_were_meant(settings: Settings, config: Path) -> None:
    assert load(config) == settings


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The program as a guest has it: beside nothing else of vdc."""
    library = tmp_path / "library"
    shutil.copytree(Path(agent.__file__).parent, library / "vdc_agent", ignore=shutil.ignore_patterns("__pycache__"))
    return library


@contextmanager
def running(shipped: Path, config: Path) -> Iterator[Path]:
    log = config.with_name("log")
    with log.open("ab") as output:
        process = start([sys.executable, "-I", "-c", _MAIN, str(shipped), str(config)], output=output)
        try:
            yield log
        finally:
            process.kill()
            process.wait()


_MAIN = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('vdc_agent', run_name='__main__')"


def expect(settings: Settings, names: str) -> None:
    def there() -> None:
        found = settings.hosts.read_text() if settings.hosts.exists() else None
        if found != names:
            raise NotYet(f"{found}")

    wait_for(there, what=f"{names!r}", timeout=20, interval=0.02)


def test_the_shipped_program_serves_names_through_an_outage_and_gives_addresses(
    settings: Settings, config: Path, shipped: Path
) -> None:
    api = FakeApi()
    api.put(SERVICES, service("web", type="LoadBalancer", clusterIP="10.96.0.7"))
    api.put(SLICES, HERE)
    with running(shipped, config) as log:
        with serving(api, settings):
            expect(settings, NAME)
            wait_for(lambda: _served(api), what="an address", timeout=20, interval=0.02)
        expect(settings, NAME)
        api.put(SERVICES, service("db", clusterIP="10.96.0.8"))
        with serving(api, settings):
            expect(settings, f"{NAME}10.96.0.8 db.vdc.svc.cluster.local\n")
        wait_for(lambda: _told(log, "service vdc/web has 10.140.0.1"), what="its log", timeout=20, interval=0.02)
    assert api.objects[LEASES]["vdc-load-balancer"]["spec"]["holderIdentity"] == "n0"
    assert "Traceback" not in log.read_text()


def _told(log: Path, line: str) -> None:
    if line not in log.read_text():
        raise NotYet(log.read_text())


def _served(api: FakeApi) -> None:
    status = api.objects[SERVICES]["vdc/web"]["status"]["loadBalancer"]
    if status.get("ingress") != [{"ip": "10.140.0.1"}]:
        raise NotYet(str(status))
