"""Data centres that were imported come up and converge: a menu of two racks with guests, and namespaces of placemat."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.host.conftest import Command, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import differences, wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.reachability import expect_reaches
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.settings import Settings
from vdc.steps import Steps

MENU = Path(__file__).parents[1] / "golden" / "imports" / "menu" / "two-racks.yml"
ROUTED = Path(__file__).parents[1] / "golden" / "imports" / "placemat" / "routed.yml"

# the host is nobody's internet here
WITHOUT_NAT = """\
extends: imported.yml
internet: {nat: false}
"""


@pytest.fixture(scope="module")
def imported(settings: Settings, vdc: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDataCenter]:
    folder = tmp_path_factory.mktemp("imported")
    vdc("import", "menu", str(MENU), "--image", "custom=debian-12", "-o", str(folder / "imported.yml"))
    file = folder / "mine.yml"
    file.write_text(WITHOUT_NAT)
    vdc("validate", str(file))
    plan = lifecycle.prepare(expand(load(file)), "lf-menu", settings, Steps())
    dc = lifecycle.up(plan, settings, Steps())
    yield dc
    lifecycle.down(dc.name, settings, Steps())
    assert traces(dc.name, settings) == []


def test_a_menu_of_two_racks_comes_up_and_converges(imported: LiveDataCenter) -> None:
    wait_converged(imported)
    assert set(imported.servers) == {"rack0-boot0", "rack0-cs0", "rack1-boot0", "rack1-cs0"}
    assert len(imported.routers) == 7
    assert differences(imported) == ()


def test_the_tester_reaches_every_boot_server_at_its_bastion_address(imported: LiveDataCenter) -> None:
    tester = imported.externals["operation"]
    boots = [server for server in imported.topology.servers if server.role == "boot"]
    assert [str(server.announces[0].ip) for server in boots] == ["10.72.48.1", "10.72.48.2"]
    for server in boots:
        expect_reaches(tester, server.announces[0].ip)


def test_servers_reach_each_other_and_the_border_knows_exposed_prefixes_only(imported: LiveDataCenter) -> None:
    one, *others = imported.topology.servers
    assert others
    for other in others:
        imported.servers[one.name].run(["ping", "-c", "1", "-W", "5", str(other.node.ip)])
    learned = {str(prefix) for prefix in imported.routers["border0"].routes()}
    assert {"10.72.32.0/20", "10.72.48.0/24", "10.72.49.0/25", "172.19.0.0/24"} <= learned
    assert not any(prefix.startswith("10.69.") for prefix in learned)


def test_namespaces_of_placemat_that_run_bird_become_routers_that_converge(
    settings: Settings, vdc: Command, tmp_path: Path, gone: list[str]
) -> None:
    documents = ROUTED.read_text(encoding="utf-8").split("---\n")
    (tmp_path / "cluster.yml").write_text("---\n".join(each for each in documents if "kind: Node\n" not in each))
    vdc("import", "placemat", str(tmp_path / "cluster.yml"), "-o", str(tmp_path / "imported.yml"))
    file = tmp_path / "mine.yml"
    file.write_text(WITHOUT_NAT)
    gone.append("lf-routed")
    dc = lifecycle.up(lifecycle.prepare(expand(load(file)), "lf-routed", settings, Steps()), settings, Steps())
    assert {"core", "spine1", "rack0-tor1", "rack1-tor1"} <= set(dc.routers)
    assert differences(dc) == ()
    expect_reaches(dc.routers["rack0-tor1"], ip_address("10.69.1.1"))
    lifecycle.down(dc.name, settings, Steps())
    assert traces(dc.name, settings) == []
