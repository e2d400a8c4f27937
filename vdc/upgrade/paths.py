"""Reading the file of paths: strict as topologies are, with every mistake at once and its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, field_validator

import vdc
from vdc.errors import InputError
from vdc.model import yamltree
from vdc.model.mistakes import problem, sole
from vdc.model.release import Release
from vdc.model.releases import catalogue
from vdc.model.reuse import read_file
from vdc.model.section import Section
from vdc.model.values import Duration, Name
from vdc.model.words import suggest
from vdc.model.yamltree import Tree
from vdc.settings import Settings
from vdc.upgrade.path import (
    Allowed,
    Change,
    ClusterKind,
    Hook,
    Method,
    StateKind,
    Traffic,
    UpgradePath,
    Variant,
)
from vdc.upgrade.rules import changed, forbidden, versions_of

FILE: Final = Path("scenarios", "upgrade", "paths.yml")
"""The rows of a checkout."""

PathName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,46}[a-z0-9])?$")]
CommandLine = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False, min_length=1)]
Text = Annotated[str, Field(min_length=1)]

_Wrong = Iterator[tuple[yamltree.Path, str]]


class _Part(Section):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ChangeSpec(_Part):
    """What no release says: of what version something is before, and after."""

    origin: Annotated[Text, Field(alias="from")]
    """The version before."""
    target: Annotated[Text, Field(alias="to")]
    """The version afterwards."""


class AllowedSpec(_Part):
    """A difference that is no mistake."""

    kind: StateKind
    """The kind of state."""
    pattern: Text
    """The names of what may be different: `*`, `?` and `[…]` stand for what they do in names of files."""
    reason: Text
    """Why it may be."""
    before: bool = True
    """It may be another way than before."""
    fresh: Annotated[bool, Field(validate_default=True)] = False
    """It may be another way than after a fresh install of the new release."""

    @field_validator("fresh")
    @classmethod
    def _allows_something(cls, fresh: bool, info: ValidationInfo) -> bool:
        if not fresh and info.data.get("before") is False:
            raise ValueError("must be true where `before` is false, or nothing is allowed")
        return fresh


class HookSpec(_Part):
    """Commands of your own that upgrade a component. They run on this host, with the inventory in their environment.

    A word that begins with ./ or ../ is a path relative to this file.
    """

    run: CommandLine
    """Gives `$VDC_SERVER` the new version. A second run of it does no harm."""
    check: CommandLine
    """Exits 0 where `$VDC_SERVER` runs the version named by `$VDC_VERSION`, the new one or the old one."""
    back: CommandLine | None = None
    """Gives it the old version again; without it there is no rollback."""
    once: bool = False
    """They are run once, for the cluster as a whole, and not for each server."""
    timeout: Duration = 600.0
    """How long one may take on a host of slowness 1."""


class PathSpec(_Part):
    """A row: from which release to which, how, and what users may notice."""

    about: Text
    """What is upgraded, in a few words."""
    origin: Annotated[str, Field(alias="from")]
    """The release that runs before: a name that `vdc release list` prints."""
    target: Annotated[str, Field(alias="to")]
    """The release that runs afterwards."""
    method: Annotated[Method, Field(strict=False)]
    """How a node comes by the new release."""
    cluster: ClusterKind = "etcd"
    """What runs on the servers; `none` where only the fabric matters."""
    topology: Annotated[str, Field(pattern=r"^topologies/[^/]+\.yml$")] = "topologies/small.yml"
    """The data centre on which it is tried."""
    at_once: Annotated[int, Field(alias="at-once", ge=1, le=1000)] = 1
    """How many nodes may be away together; never two of the control plane, never nodes of two racks."""
    budgets: Annotated[Mapping[Traffic, Duration], Field(default_factory=dict)]
    """The longest outage that users may see on each kind of way, on a fast host."""
    evicts: bool = False
    """Pods may be moved or restarted."""
    besides: Annotated[Mapping[Name, ChangeSpec], Field(default_factory=dict)]
    """What changes that no release says, such as firmware."""
    allowed: Annotated[tuple[AllowedSpec, ...], Field(strict=False)] = ()
    """What may be different on servers afterwards, besides versions."""
    variants: Annotated[tuple[Annotated[Variant, Field(strict=False)], ...], Field(strict=False, min_length=1)] = (
        Variant.PLAIN,
    )
    """What is tried on it."""
    upgrade: Annotated[Mapping[Name, HookSpec], Field(default_factory=dict)]
    """Commands of your own, by the component that they upgrade: the path is gone by them alone."""
    scenario: Annotated[str, Field(pattern=r"^scenarios/([^/.][^/]*/)*test_[^/]+\.py$")] | None = None
    """The file that tries it; without one it is planned, and nothing is claimed."""


class PathsSpec(_Part):
    """A whole file of paths."""

    paths: Annotated[Mapping[PathName, PathSpec], Field(min_length=1)]
    """The rows, by their names."""


@cache
def paths() -> Mapping[str, UpgradePath]:
    """Return every path by name: the rows of the checkout, and those of VDC_UPGRADE_PATHS, which replace them.

    They do not change while a process runs. Raises InputError: with every mistake; or there are none at all.
    """
    own = Settings.from_environment().upgrade_paths
    checkout = next((each for each in (Path(vdc.__file__).parent.parent / FILE, FILE) if each.is_file()), None)
    files = [each for each in (checkout, own) if each is not None]
    if not files:
        hint = "run it in a checkout of vdc, or set VDC_UPGRADE_PATHS to a file of them"
        raise InputError("no paths of upgrades here", hint=hint)
    return MappingProxyType({name: each for file in files for name, each in read_paths(file, catalogue()).items()})


def path(name: str) -> UpgradePath:
    """Return a path. Raises InputError: there is no such one."""
    if name not in paths():
        raise InputError(f'unknown path "{name}"{suggest(name, tuple(paths()))}')
    return paths()[name]


def read_paths(file: Path, releases: Mapping[str, Release]) -> Mapping[str, UpgradePath]:
    """Return the rows of a file by name, in its order. Raises InputError with every mistake."""
    tree = read_file(file)
    spec = _shaped(tree)
    found = {name: _path(name, row, file, releases) for name, row in spec.paths.items() if _known(row, releases)}
    wrong = [each for name, row in spec.paths.items() for each in _row_wrong(name, row, releases)]
    wrong += [each for name, row in spec.paths.items() if name in found for each in _changes_wrong(found[name], row)]
    wrong += [each for path in found.values() for each in _forbidden(path, releases)]
    problems = [*tree.problems, *(tree.problem(place, message) for place, message in wrong)]
    if problems:
        raise InputError(f"{file} has mistakes: {len(problems)}", problems=problems)
    return MappingProxyType(found)


def schema() -> Mapping[str, Any]:
    """Return the JSON Schema (draft 2020-12) of files of paths, for editors."""
    made = PathsSpec.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "vdc paths of upgrades"}


def _shaped(tree: Tree) -> PathsSpec:
    try:
        return PathsSpec.model_validate(tree.data)
    except ValidationError as error:
        problems = [problem(tree, each, PathsSpec) for each in sole(error.errors(include_url=False))]
        problems += tree.problems
        raise InputError(f"{tree.file} has mistakes: {len(problems)}", problems=problems) from error


def _known(row: PathSpec, releases: Mapping[str, Release]) -> bool:
    return row.origin in releases and row.target in releases


def _row_wrong(name: str, row: PathSpec, releases: Mapping[str, Release]) -> _Wrong:
    place: yamltree.Path = ("paths", name)
    for key, release in (("from", row.origin), ("to", row.target)):
        if release not in releases:
            yield (*place, key), f'unknown release "{release}"{suggest(release, tuple(releases))}'
    yield from _method_wrong(row, place)
    for number, variant in enumerate(row.variants):
        if variant in row.variants[:number]:
            yield (*place, "variants", number), f'"{variant}" is there already'
    for component, hook in row.upgrade.items():
        if Variant.ROLLBACK_ALL in row.variants and hook.back is None:
            yield (*place, "upgrade", component), 'expected `back`: "rollback-all" is tried'


def _method_wrong(row: PathSpec, place: yamltree.Path) -> _Wrong:
    if row.method is Method.DRAIN and not row.evicts:
        yield (*place, "method"), "pods are moved away by a drain: expected `evicts: true`"
    if row.method in {Method.IN_PLACE, Method.RESTART} and row.evicts:
        yield (*place, "evicts"), f"`{row.method}` leaves pods where they are, and running"
    if row.method is Method.RESTART and row.at_once != 1:
        yield (*place, "at-once"), "routers are restarted one by one"


def _changes_wrong(found: UpgradePath, row: PathSpec) -> _Wrong:
    place: yamltree.Path = ("paths", found.name)
    if not found.changes:
        yield place, f"nothing changes from {found.origin} to {found.target}; name in `besides` what does"
    changing = [each.component for each in found.changes]
    for component in row.upgrade:
        if component not in changing:
            yield (*place, "upgrade", component), f"does not change; there are {', '.join(changing)}"
    for component, change in row.besides.items():
        if change.origin == change.target:
            yield (*place, "besides", component), "does not change"


def _forbidden(path: UpgradePath, releases: Mapping[str, Release]) -> _Wrong:
    """Yield the rules that nobody who goes a path may break."""
    old, new = (versions_of(releases[name]) for name in (path.origin, path.target))
    for breach in forbidden(old, new):
        yield ("paths", path.name, "to"), str(breach)


def _path(name: str, row: PathSpec, file: Path, releases: Mapping[str, Release]) -> UpgradePath:
    folder = file.absolute().parent
    besides = tuple(
        Change(component=component, old=each.origin, new=each.target) for component, each in row.besides.items()
    )
    return UpgradePath(
        name=name,
        about=row.about,
        origin=row.origin,
        target=row.target,
        method=row.method,
        cluster=row.cluster,
        topology=row.topology,
        changes=(*changed(versions_of(releases[row.origin]), versions_of(releases[row.target])), *besides),
        at_once=row.at_once,
        budgets=MappingProxyType(dict(row.budgets)),
        evicts=row.evicts,
        allowed=tuple(
            Allowed(kind=each.kind, pattern=each.pattern, reason=each.reason, before=each.before, fresh=each.fresh)
            for each in row.allowed
        ),
        variants=row.variants,
        hooks=tuple(_hook(component, each, folder) for component, each in row.upgrade.items()),
        scenario=row.scenario,
    )


def _hook(component: str, spec: HookSpec, folder: Path) -> Hook:
    run, back, check = (_absolute(each or (), folder) for each in (spec.run, spec.back, spec.check))
    return Hook(component=component, run=run, back=back, check=check, once=spec.once, seconds=spec.timeout)


def _absolute(command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    return tuple(str(folder / word) if word.startswith(("./", "../")) else word for word in command)
