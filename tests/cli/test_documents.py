"""README and CONTRIBUTING must stay true: their examples import what exists, their paths are there."""

from __future__ import annotations

import ast
import importlib
import os
import re
from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import parse
from vdc.shell import Completed, run

from .conftest import Vdc

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "topologies/KUBERNETES.md")

EXAMPLES = [
    pytest.param(block, id=f"{name}-{number}")
    for name in DOCUMENTS
    for number, block in enumerate(
        re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    )
]

INVENTED = {"vdc/plan/firewalls.py", "topologies/wide.yml"}


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_imports_what_exists(example: str) -> None:
    imports = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.ImportFrom)]
    for node in imports:
        module = importlib.import_module(str(node.module))
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == [], node.module


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_path_that_a_document_names_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = set(re.findall(r"(?<![\w/])(?:vdc|tests|scenarios|topologies)/[\w./-]*\w(?![\w<>*])", text)) - INVENTED
    assert len(paths) >= 3
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_the_planner_in_the_documents_is_the_real_one() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    real = (ROOT / "vdc/plan/externals.py").read_text(encoding="utf-8")
    function = real[real.index("def plan_external") :].rstrip()
    assert function in text


def test_the_topology_in_the_document_on_kubernetes_has_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "topologies/KUBERNETES.md").read_text("utf-8"), flags=re.DOTALL)
    made = expand(parse(text, file="mine.yml")).kubernetes
    assert made is not None
    assert (made.proxy, made.control_planes) == ("ipvs", ("rack0-cp0", "rack1-cp0", "rack2-cp0"))


COMMANDS = [
    pytest.param(command, id=" ".join(command))
    for name in DOCUMENTS
    for command in {
        tuple(found.split())
        for found in re.findall(
            r"\bvdc (checkpoint \w+|release \w+|images \w+|import \w+|[a-z]+)(?=[ `])",
            "\n".join(re.findall(r"\.venv/bin/vdc [^#\n]*|`vdc [^`\n]*`", (ROOT / name).read_text(encoding="utf-8"))),
        )
    }
]


@pytest.mark.parametrize("command", sorted(COMMANDS, key=str))
def test_every_command_that_a_document_names_exists(vdc: Vdc, command: tuple[str, ...]) -> None:
    said = vdc(*command, "--help")
    assert said.status == 0, said.err


@pytest.mark.parametrize("name", ["help", "setup", "dctest", "test", "check", "unit", "bench", "clean"])
def test_the_makefile_tells_what_each_target_does(name: str) -> None:
    assert re.search(rf"^{name}:.* ## .+", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


def make_dctest(*chosen: str) -> Completed:
    """What make would do with nothing in its environment: these tests themselves may be run by it."""
    clean = ["env", "-i", f"PATH={os.environ['PATH']}"]
    argv = [*clean, "make", "-C", str(ROOT), "--dry-run", "--no-print-directory", "dctest", *chosen]
    return run(argv, timeout=20.0, check=False)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ((), "test topologies/small.yml --name dctest"),
        (
            ("CLUSTER=kubernetes",),
            "test topologies/k8s-small.yml --name dctest-kubernetes --suite standard --deployer kubernetes",
        ),
        (
            ("CLUSTER=kubernetes", "TOPOLOGY=topologies/k8s.yml", "NAME=ha", "SUITE=standard fault"),
            "test topologies/k8s.yml --name ha --suite standard --suite fault --deployer kubernetes",
        ),
        (("CLUSTER=script",), "test topologies/script.yml --name dctest-script --deployer script"),
        (("TOPOLOGY=topologies/k8s.yml",), "test topologies/k8s.yml --name dctest"),
        (("DEPLOYER=consul", "WORKERS=2"), "test topologies/small.yml --name dctest --deployer consul -n 2"),
    ],
    ids=["default", "kubernetes", "all", "script", "topology", "deployer"],
)
def test_make_dctest_says_what_it_runs(chosen: tuple[str, ...], expected: str) -> None:
    said = make_dctest(*chosen).stdout
    words = said.replace("\\\n", " ").split()
    assert words[words.index("test") :] == expected.split()


def test_make_dctest_refuses_a_cluster_that_it_does_not_know() -> None:
    done = make_dctest("CLUSTER=nomad")
    assert done.status == 2
    assert "CLUSTER=nomad has no topology of its own: give TOPOLOGY=FILE, too" in done.stderr
