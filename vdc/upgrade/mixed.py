"""Scenarios of other suites, to be played while an upgrade stands still."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import vdc
from vdc.datacenter.api import DataCenter
from vdc.errors import InputError


def holds(nodes: int) -> tuple[int, ...]:
    """Return after how many of some nodes an upgrade is held: after one, half of them, and all but one."""
    return tuple(sorted({each for each in (1, nodes // 2, nodes - 1) if 0 < each < nodes}))


def play(dc: DataCenter, names: Sequence[str], given: Mapping[str, object]) -> None:
    """Play scenarios, each as a step; the arguments that they ask for are among those `given`, and `dc`.

    Raises what they raise; InputError: there is none of that name.
    """
    for name, scenario in _scenarios(names):
        with dc.steps.step(name):
            scenario(**{each: {"dc": dc, **given}[each] for each in inspect.signature(scenario).parameters})


def _scenarios(names: Sequence[str]) -> Iterator[tuple[str, Callable[..., None]]]:
    """Yield the name of each scenario and its function. Raises InputError: there is none of that name."""
    for name in names:
        file, _, function = name.partition("::")
        found: Callable[..., None] | None = getattr(_module(file), function, None)
        if found is None:
            raise InputError(f"no scenario {name}")
        yield function.removeprefix("test_").replace("_", " "), found


@cache
def _module(file: str) -> ModuleType:
    path = next((each / file for each in _folders() if (each / file).is_file()), None)
    if path is None:
        raise InputError(f"no file {file} of scenarios", hint="run it in a checkout of vdc")
    spec = importlib.util.spec_from_file_location(f"_played_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _folders() -> tuple[Path, ...]:
    return (Path("scenarios"), Path(vdc.__file__).parent.parent / "scenarios")
