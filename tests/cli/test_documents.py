"""README and CONTRIBUTING must stay true: their examples import what exists, their paths are there."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md")

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
    paths = set(re.findall(r"\b(?:vdc|tests|scenarios|topologies)/[\w./-]*\w(?![\w<>*])", text)) - INVENTED
    assert len(paths) >= 3
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_the_planner_in_the_documents_is_the_real_one() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    real = (ROOT / "vdc/plan/externals.py").read_text(encoding="utf-8")
    function = real[real.index("def plan_external") :].rstrip()
    assert function in text


@pytest.mark.parametrize("name", ["help", "setup", "dctest", "test", "check", "unit", "bench", "clean"])
def test_the_makefile_tells_what_each_target_does(name: str) -> None:
    assert re.search(rf"^{name}:.* ## .+", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
