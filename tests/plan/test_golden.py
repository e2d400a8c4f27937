"""What topologies become, to the letter. After a wanted change: pytest --update-golden, and read the diff."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.plan.hosts import HOSTS, hosts
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk
from vdc.plan.resources.processes import Bird, Domain

GOLDEN = Path(__file__).parents[1] / "golden"
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
CASES: Mapping[str, tuple[Path, str, float]] = {
    "small": (TOPOLOGIES / "small.yml", "tcg", 1.0),
    "fabric": (TOPOLOGIES / "fabric.yml", "tcg", 1.0),
    "pod": (GOLDEN / "pod" / "topology.yml", "kvm", 0.1),
    "dual": (GOLDEN / "dual" / "topology.yml", "tcg", 1.0),
    "unnumbered": (GOLDEN / "unnumbered" / "topology.yml", "tcg", 1.0),
}
TEXTS = ("config", "xml", "files")
"""Fields that have golden files of their own."""


def plan_of(case: str) -> Plan:
    path, accelerator, slowness = CASES[case]
    context = PlanContext(
        instance=case,
        state_dir=Path("/var/lib/vdc"),
        cache_dir=Path("/var/cache/vdc"),
        accelerator="kvm" if accelerator == "kvm" else "tcg",
        slowness=slowness,
    )
    return make_plan(expand(load(path)), context)


def texts_of(resource: Resource) -> Iterator[tuple[str, str]]:
    match resource:
        case Bird():
            yield f"bird/{resource.router}.conf", resource.config
        case Domain():
            yield f"domain/{resource.server}.xml", resource.xml
        case ConfigDisk():
            for path, text in resource.files.items():
                yield f"guest/{resource.server}{path}", text
        case _:
            pass


def summary(plan: Plan) -> str:
    """Everything in the plan but the long texts, one resource a line."""
    head = {"instance": plan.instance, "memory": plan.memory, "vcpus": plan.vcpus, "disk": plan.disk}
    lines = [json.dumps(head)]
    for resource in plan.resources:
        fields = {name: value for name, value in asdict(resource).items() if name not in TEXTS}
        lines.append(f"{resource.id} {json.dumps(fields)} after {json.dumps(resource.requires)}")
    return "\n".join(lines) + "\n"


def outputs(case: str) -> dict[str, str]:
    """Relative path to text; the digest of an image's recipe is not the compiler's business."""
    plan = plan_of(case)
    texts = {"plan.txt": summary(plan)}
    texts |= {path: text for resource in plan.resources for path, text in texts_of(resource)}
    known = hosts(plan.topology)
    disks = [resource.server for resource in plan.resources if isinstance(resource, ConfigDisk)]
    texts |= {f"guest/{server}{HOSTS}": known[server] for server in disks}
    return {path: re.sub(r"(debian-\d+)-[0-9a-f]{12}\b", r"\1-DIGEST", text) for path, text in texts.items()}


OUTPUTS = {f"{case}/{path}": text for case in CASES for path, text in outputs(case).items()}


@pytest.mark.parametrize("path", OUTPUTS)
def test_the_compiler_writes_what_it_wrote_before(path: str, golden: Golden) -> None:
    golden(GOLDEN / path, OUTPUTS[path])


@pytest.mark.parametrize("case", CASES)
def test_no_golden_file_is_left_over(case: str) -> None:
    files = {str(path.relative_to(GOLDEN)) for path in (GOLDEN / case).rglob("*") if path.is_file()}
    assert files - set(OUTPUTS) <= {f"{case}/topology.yml"}
