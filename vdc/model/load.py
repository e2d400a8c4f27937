"""Reading topology files: every mistake at once, each with its file, line and column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from vdc.errors import InputError, Problem
from vdc.model.checks.clashes import clashes, has_own
from vdc.model.expand import expand
from vdc.model.reuse import SEED_KEYS, extended, filled_in, read_file, texts
from vdc.model.spec import ServerSpec, TopologySpec
from vdc.model.topology import STANDARD_MTU, Topology
from vdc.model.validation import validated
from vdc.model.yamltree import Tree, read_tree

_JSON: Final = "ignition"
"""The seed that is JSON (the configuration of Ignition, 3.x)."""


def load(path: Path, sets: Sequence[str] = ()) -> TopologySpec:
    """Read the topology file at `path`, and those that it extends; `sets` are `name=value` for its variables.

    Paths in the spec are absolute. Raises InputError with every mistake.
    """
    return _spec(read_file(path), sets)


def parse(text: str, *, file: str, sets: Sequence[str] = ()) -> TopologySpec:
    """Read a topology from `text`; `file` names it in messages, and paths in it are relative to its folder.

    Raises InputError with every mistake.
    """
    return _spec(read_tree(text, file=file), sets)


def read_topology(path: Path, sets: Sequence[str] = (), *, default_mtu: int = STANDARD_MTU) -> Topology:
    """Return the topology that the file at `path` means; `default_mtu`, in bytes, is that of a file without one.

    Raises InputError with every mistake.
    """
    spec = load(path, sets)
    return expand(spec, read_seeds(spec), default_mtu=default_mtu)


def read_seeds(spec: TopologySpec) -> Mapping[str, str]:
    """Return the text of each file that a server of `spec` is configured by, by its path. Raises InputError."""
    return {path: _text(Path(path)) for server in _servers(spec) for path in _seeds(server)}


def _spec(own: Tree, sets: Sequence[str]) -> TopologySpec:
    tree = filled_in(extended(own), sets)
    spec, problems = validated(tree)
    problems += [*tree.problems, *_unreadable(tree)]
    if spec is not None and not problems and has_own(spec):
        found = clashes(spec, expand(spec, read_seeds(spec)))
        problems += [tree.problem(each.path, each.message) for each in found]
    if spec is None or problems:
        raise InputError(f"{own.file} has mistakes: {len(problems)}", problems=problems)
    return spec


def _unreadable(tree: Tree) -> Iterator[Problem]:
    for path, _, key, text in texts(tree.data):
        if key in SEED_KEYS:
            try:
                _checked(Path(text), key)
            except InputError as error:
                yield tree.problem(path, error.message)


def _checked(path: Path, key: object) -> None:
    text = _text(path)
    if key == _JSON:
        try:
            json.loads(text)
        except ValueError as error:
            raise InputError(f'"{_shown(path)}" is not JSON: {error}') from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f'cannot read "{_shown(path)}": {(error.strerror or str(error)).lower()}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'"{_shown(path)}" is not UTF-8 text: {error.reason} at byte {error.start}') from error


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _servers(spec: TopologySpec) -> Iterator[ServerSpec]:
    yield from spec.roles.values()
    yield from spec.overrides.values()
    yield from (device.server for device in spec.devices.values() if device.server is not None)
    yield from (server for rack in spec.each_rack() for server in rack.roles.values())


def _seeds(server: ServerSpec) -> Iterator[str]:
    yield from (path for path in (server.user_data, server.network_config, server.ignition) if path is not None)
