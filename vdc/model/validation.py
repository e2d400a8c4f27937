"""From plain data to a spec: what pydantic found wrong, in words; and a spec of what is right.

Rules that reach over fields (`vdc.model.checks`) run even when some fields are wrong: what is wrong is taken
out and something harmless stands in. A finding that rests on a value taken out is not reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from vdc.errors import Problem
from vdc.model import yamltree
from vdc.model.checks import Finding, findings
from vdc.model.mistakes import path_of, problem, sole
from vdc.model.reuse import EXTENDS, VARS
from vdc.model.spec import TopologySpec
from vdc.model.yamltree import Tree

ALSO: Final = (EXTENDS, VARS)
"""What a topology file may have at its top besides what the topology has."""

_ROUNDS: Final = 12
"""How often what is wrong is taken out: each time shows what of its surroundings cannot be without it."""

_STAND_INS: Final[Mapping[yamltree.Path, object]] = {
    ("name",): "unnamed",
    ("racks",): [{}],
    ("fabric",): {"borders": 1, "spines": 1, "tors": 1},
    ("fabric", "spines"): 1,
    ("fabric", "tors"): 1,
    ("external",): {"clients": 0},
    ("external", "clients"): 0,
}
"""What stands in for a wrong value while the rest of a file is checked, where leaving it out would not do.

Counts stand in as small as can be: a pool too small for them is too small for whatever was meant.
"""

_ENTRIES: Final[Mapping[str, object]] = {
    "links": {"between": ["*", "*"], "mtu": 1500},
    "volumes": {"name": "x", "kind": "empty", "size": "1GiB"},
    "deploy": {"run": ["true"]},
}
"""What stands in for a wrong entry of a list, where an entry without keys would not do."""


def validated(tree: Tree) -> tuple[TopologySpec | None, list[Problem]]:
    """Return a spec made of what is right in a tree, and every problem of it."""
    spec, problems, wrong = shaped(tree)
    found = findings(spec) if spec is not None else ()
    problems += [
        tree.problem(each.path, each.message, at_key=each.at_key) for each in found if not _follows(each, wrong)
    ]
    return spec, list(dict.fromkeys(problems))


def shaped(tree: Tree) -> tuple[TopologySpec | None, list[Problem], set[yamltree.Path]]:
    """Return a spec made of what is of the right shape, the problems of the rest, and where those are."""
    problems: list[Problem] = []
    wrong: set[yamltree.Path] = set()
    data = deepcopy(tree.data)
    for turn in range(_ROUNDS):
        try:
            return TopologySpec.model_validate(data), problems, wrong
        except ValidationError as error:
            details = sole(error.errors(include_url=False))
        if turn == 0:
            problems = [
                problem(tree, detail, TopologySpec, ALSO) for detail in details if path_of(detail) not in tree.unknown
            ]
        for detail in sorted(details, key=lambda each: len(path_of(each)), reverse=True):
            wrong.add(_take_out(data, detail))
    return None, problems, wrong


def _follows(finding: Finding, wrong: Collection[yamltree.Path]) -> bool:
    """Return whether a finding rests on a value that was taken out."""
    return any(path[: len(bad)] == bad for path in (finding.path, *finding.because) for bad in wrong)


def _take_out(data: Any, detail: ErrorDetails) -> yamltree.Path:  # noqa: ANN401 - what YAML holds
    """Replace what an error is about by something harmless; return its path.

    In a list something stands in, so that the others keep their places; where nothing can, the list goes.
    """
    path = path_of(detail)
    if detail["type"] == "missing" and path not in _STAND_INS:
        path = path[:-1]
    while path:
        *around, last = path
        holder = _at(data, around)
        if isinstance(holder, list) and isinstance(last, int) and last < len(holder):
            harmless = _ENTRIES.get(str(around[-1]), {})
            if holder[last] != harmless:
                holder[last] = deepcopy(harmless)
                return path
        elif isinstance(holder, dict) and (path in _STAND_INS or last in holder):
            _leave_out(holder, path)
            return path
        path = path[:-1]
    return path


def _at(data: Any, path: Sequence[str | int]) -> Any:  # noqa: ANN401 - as above
    """Return what is at a path; None where something else stands in for what was around it."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _leave_out(holder: dict[str, object], path: yamltree.Path) -> None:
    if path in _STAND_INS:
        holder[str(path[-1])] = deepcopy(_STAND_INS[path])
    else:
        del holder[str(path[-1])]
