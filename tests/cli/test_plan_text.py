from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.cli.planned import plan_text
from vdc.model.load import read_topology
from vdc.plan.plan import PlanContext, make_plan

from .conftest import TOPOLOGIES, Vdc

PICTURES = TOPOLOGIES.parent / "tests" / "golden" / "pictures"


@pytest.mark.parametrize("name", ["two", "dual", "flat", "crowd"])
def test_a_plan_for_people_is_as_it_was(golden: Golden, name: str) -> None:
    context = PlanContext(
        instance="mine", state_dir=Path("/state"), cache_dir=Path("/cache"), accelerator="kvm", slowness=1.0
    )
    made = make_plan(read_topology(PICTURES / f"{name}.yml"), context)
    # a digest is of every template too
    golden(PICTURES / f"{name}.plan", plan_text(made).replace(made.digest[:12], "DIGEST") + "\n")


def test_a_plan_of_many_racks_fits_a_screen_and_says_where_the_rest_is(vdc: Vdc) -> None:
    said = vdc("plan", str(PICTURES / "crowd.yml"))
    assert said.status == 0
    assert len(said.out.splitlines()) < 25
    assert "rack0 … rack39 (40)" in said.out
    assert "--json" in said.out


def test_a_difference_to_a_data_centre_needs_root_and_one_that_is_there(vdc: Vdc) -> None:
    assert vdc("plan", str(PICTURES / "two.yml"), "--diff", "mine").status == 77
    said = vdc("plan", str(PICTURES / "two.yml"), "--diff", "mine", uid=0)
    assert said.status == 2
    assert "mine" in said.err


def test_the_difference_to_a_data_centre_is_told_by_device_and_by_resource(vdc: Vdc, short_path: Path) -> None:
    file = short_path / "one.yml"
    file.write_text("name: mine\nracks: [{count: 2}]\n")
    directory = short_path / "state" / "mine"
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text(vdc("plan", str(file), "--json").out)
    assert vdc("plan", str(file), "--diff", "mine", uid=0).out == "nothing to change\n"
    file.write_text("name: mine\nfabric: {tors: 1}\nracks: [{count: 3}]\n")
    said = vdc("plan", str(file), "--diff", "mine", uid=0)
    assert said.status == 0
    lines = said.out.splitlines()
    assert "+ tor rack2-tor0" in lines
    assert "- tor rack0-tor1" in lines
    assert lines[-1].startswith("resources: +1 namespace, ")
