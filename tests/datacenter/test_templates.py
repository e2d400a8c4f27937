"""Which servers share a template, and that a template is nobody; booting one is in tests/host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vdc.datacenter import templates
from vdc.host import accelerator
from vdc.model.topology import Server
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan, make_plan
from vdc.plan.resources import ConfigDisk, Domain
from vdc.plan.servers import NETWORK
from vdc.settings import Settings
from vdc.shell import Completed


@pytest.fixture(autouse=True)
def qemu(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The version of QEMU that this host has."""
    version = ["QEMU emulator version 7.2.22"]
    monkeypatch.setattr(
        accelerator, "run", lambda argv, **_: Completed(argv=tuple(argv), status=0, stdout=version[0], stderr="")
    )
    return version


def digest(plan: Plan, server: Server | None = None) -> str:
    """Of the template of a server, by default the first."""
    return templates._digest(templates._blank(server or plan.topology.servers[0]), plan)


def test_servers_of_one_shape_share_a_template(plan: Plan) -> None:
    first, *others = plan.topology.servers
    assert {digest(plan, server) for server in others} == {digest(plan, first)}


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: make_plan(plan.topology, replace(plan.context, instance="b", state_dir=Path("/elsewhere"))),
        lambda plan: make_plan(plan.topology, replace(plan.context, identity="first")),
        lambda plan: make_plan(replace(plan.topology, name="other", boot="cold"), plan.context),
        lambda plan: make_plan(plan.topology, replace(plan.context, slowness=3.0)),
    ],
    ids=["instance", "identity", "topology", "slowness"],
)
def test_whose_a_server_is_makes_no_difference(plan: Plan, change: Callable[[Plan], Plan]) -> None:
    assert change(plan) != plan
    assert digest(change(plan)) == digest(plan)


@pytest.mark.parametrize("change", [{"memory": 8 << 20}, {"cpu": 2}, {"data": 2 << 30}, {"ports": ()}])
def test_another_shape_is_another_template(plan: Plan, change: dict[str, object]) -> None:
    shaped = replace(plan.topology.servers[0], **change)  # type: ignore[arg-type]
    assert digest(plan, shaped) != digest(plan)


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: make_plan(replace(plan.topology, release="debian-13"), plan.context),
        lambda plan: make_plan(plan.topology, replace(plan.context, accelerator="kvm")),
    ],
    ids=["release", "accelerator"],
)
def test_another_image_or_accelerator_is_another_template(plan: Plan, change: Callable[[Plan], Plan]) -> None:
    assert digest(change(plan)) != digest(plan)


def test_another_qemu_or_an_image_built_anew_is_another_template(
    plan: Plan, settings: Settings, qemu: list[str]
) -> None:
    before = digest(plan)
    qemu[0] = "QEMU emulator version 9.0"
    other = digest(plan)
    IMAGES["debian-12"].manifest(settings.cache_dir).write_text("{}")
    assert len({before, other, digest(plan)}) == 3


def test_a_template_is_one_server_without_an_identity_or_an_address(plan: Plan) -> None:
    server = plan.topology.servers[0]
    mine = replace(plan, context=replace(plan.context, state_dir=Path("/var/lib/vdc")))
    made = templates._template_plan("template-012345", templates._blank(server), mine)
    assert made.instance == "template-012345"
    (domain,) = (each for each in made.resources if isinstance(each, Domain))
    (config,) = (each for each in made.resources if isinstance(each, ConfigDisk))
    assert domain.uuid == str(made.context.uuid(templates.NAME))
    assert config.files[NETWORK] == "link add node0 type dummy\n"
    written = made.to_json()
    for own in (server.name, str(server.node.ip), *(port.mac for port in server.ports)):
        assert own in plan.to_json()
        assert own not in written
