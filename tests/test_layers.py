"""A lower layer never imports a higher one; the order is that of the design."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from vdc.cluster.deployed import LOOKING_ON

ROOT = Path(__file__).parents[1]

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"wait", "shell", "history", "settings"}),
    frozenset({"steps", "git"}),
    frozenset({"model"}),
    frozenset({"imports", "graph", "inventory"}),
    frozenset({"plan"}),
    frozenset({"host"}),
    frozenset({"datacenter"}),
    frozenset({"cluster"}),
    frozenset({"faults", "observe"}),
    frozenset({"rolling"}),
    frozenset({"upgrade"}),
    frozenset({"report", "testing", "evidence"}),
    frozenset({"pytest_plugin", "cli"}),
)
"""From the bottom to the top. Parts of one layer don't know each other."""

RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "vdc").rglob("*.py"))


def part_of(module: Path) -> str:
    """`vdc/model/load.py` and `vdc.model.load` are of `model`."""
    return module.with_suffix("").parts[1]


def imported_parts(source: str) -> Iterator[str]:
    """The parts of vdc that a module's imports name, wherever in the module they stand."""
    for statement in ast.walk(ast.parse(source)):
        match statement:
            case ast.Import():
                names = [alias.name for alias in statement.names]
            case ast.ImportFrom(module="vdc"):
                names = [f"vdc.{alias.name}" for alias in statement.names]
            case ast.ImportFrom(module=str(module), level=0):
                names = [module]
            case _:
                continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "vdc" and len(parts) > 1 and not parts[1].startswith("__"):
                yield parts[1]


@pytest.mark.parametrize(
    "module", [path for path in MODULES if path.name != "__init__.py" or len(path.parts) > 2], ids=str
)
def test_a_module_imports_nothing_from_above(module: Path) -> None:
    part = part_of(module)
    assert part in RANK, f"{part} has no place in LAYERS"
    for imported in imported_parts((ROOT / module).read_text(encoding="utf-8")):
        assert imported in RANK, f"{imported} has no place in LAYERS"
        assert imported == part or RANK[imported] < RANK[part], f"{part} must not know {imported}"


def test_what_a_deployed_state_does_not_depend_on_is_all_that_is_above() -> None:
    assert frozenset().union(*LAYERS[RANK["cluster"] + 1 :]) == LOOKING_ON


def test_the_reader_of_imports_sees_every_form() -> None:
    source = "import vdc.host.netlink\nfrom vdc import faults\ndef f():\n    from vdc.cli.main import app\n"
    assert sorted(imported_parts(source)) == ["cli", "faults", "host"]


@pytest.mark.parametrize("layer", ["model", "imports", "graph", "inventory", "plan"])
def test_the_pure_layers_import_nothing_that_touches_the_host(layer: str) -> None:
    impure = {"subprocess", "socket", "libvirt", "pyroute2", "psutil", "time", "random", "os", "shutil"}
    modules = [path for path in MODULES if part_of(path) == layer]
    assert modules
    for module in modules:
        tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
        named = {
            alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        named |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert named & impure == set(), module
