"""Reading release files: strict as topologies are, with every mistake at once and its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from vdc.errors import InputError
from vdc.model import yamltree
from vdc.model.mistakes import path_of, problem, sole
from vdc.model.release import KUBERNETES, SUPPORTED_KUBERNETES, Component, DebianSource, Release, ReleaseFile, minor
from vdc.model.release_spec import ComponentSpec, FileSpec, LocalFileSpec, ReleaseSpec, TreeSpec
from vdc.model.reuse import read_file
from vdc.model.yamltree import Tree

SUFFIX: Final = ".yml"

_SOURCES: Final = ("debian", "debian-source", "tree", "files")

_Wrong = Iterator[tuple[yamltree.Path, str]]


def read_release(path: Path) -> Release:
    """Return the release that the file at `path` describes. Raises InputError with every mistake."""
    tree = read_file(path)
    spec = _shaped(tree)
    problems = [*tree.problems, *(tree.problem(place, message) for place, message in _wrong(tree, spec))]
    if problems:
        raise InputError(f"{path} has mistakes: {len(problems)}", problems=problems)
    components = tuple(_component(name, each, path) for name, each in spec.components.items())
    return Release(name=spec.name, os=spec.os, components=components, file=str(path))


def read_releases(folder: Path) -> Mapping[str, Release]:
    """Return the releases of a folder by name, in the order of their names. Raises InputError with every mistake."""
    found: dict[str, Release] = {}
    errors: list[InputError] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            release = read_release(path)
            found[release.name] = release
        except InputError as error:
            errors.append(error)
    if errors:
        problems = [each for error in errors for each in error.problems]
        raise InputError(f"release files of {folder} have mistakes: {len(problems)}", problems=problems)
    return found


def _shaped(tree: Tree) -> ReleaseSpec:
    try:
        return ReleaseSpec.model_validate(tree.data)
    except ValidationError as error:
        details = sole(error.errors(include_url=False))
        problems = [*tree.problems, *(problem(tree, each, ReleaseSpec) for each in details)]
        problems += [tree.problem(*each) for each in _misnamed(tree)]
        problems += [tree.problem(*each) for each in _wrong_beside(tree, {path_of(detail) for detail in details})]
        raise InputError(f"{tree.file} has mistakes: {len(problems)}", problems=problems) from error


def _wrong_beside(tree: Tree, bad: set[yamltree.Path]) -> _Wrong:
    """Yield what is wrong with those components that are of the right shape."""
    components = tree.data.get("components") if isinstance(tree.data, dict) else None
    for name, data in components.items() if isinstance(components, dict) else ():
        path = ("components", str(name))
        if not any(place[:2] == path for place in bad):
            yield from _component_wrong(str(name), ComponentSpec.model_validate(data))


def _wrong(tree: Tree, spec: ReleaseSpec) -> _Wrong:
    yield from _misnamed(tree)
    for name, component in spec.components.items():
        yield from _component_wrong(name, component)


def _misnamed(tree: Tree) -> _Wrong:
    name, file = tree.data.get("name") if isinstance(tree.data, dict) else None, Path(tree.file)
    if isinstance(name, str) and name != file.stem:
        yield ("name",), f'"{name}" is in a file called {file.name}; expected "{file.stem}"'


def _component_wrong(name: str, spec: ComponentSpec) -> _Wrong:
    path: yamltree.Path = ("components", name)
    given = [bool(each) for each in (spec.debian, spec.debian_source, spec.tree, spec.files)]
    if sum(given) != 1:
        yield path, f"expected exactly one of {', '.join(f'`{source}`' for source in _SOURCES)}"
    yield from _version_wrong(name, spec, path)
    if spec.suite is not None and spec.debian_source is None and not spec.debian:
        yield (*path, "suite"), "has a meaning only beside `debian` and `debian-source`"
    if spec.suite not in {None, "bookworm"} and spec.debian_source is not None:
        yield (*path, "suite"), f"{spec.suite} has no source of {spec.debian_source} that can be built; bookworm has"
    for file, each in spec.tree.files.items() if spec.tree is not None else ():
        if each.sha256 is None and each.sha512 is None:
            yield (*path, "tree", "files", file), "expected `sha256` or `sha512`: what is fetched must be known"
        yield from _file_wrong(each, (*path, "tree", "files", file))
    for file, local in spec.files.items():
        yield from _file_wrong(local, (*path, "files", file))


def _version_wrong(name: str, spec: ComponentSpec, path: yamltree.Path) -> _Wrong:
    if spec.version is None and not spec.debian:
        yield path, "expected `version`: only Debian packages may be of any"
    elif spec.debian and "+" in (spec.version or ""):
        yield (*path, "version"), f'"{spec.version}" names a build of your own, and Debian has none of that'
    elif name == KUBERNETES and spec.version is None:
        yield path, "expected `version`: flags and API versions follow from that of Kubernetes"
    elif name == KUBERNETES and spec.version is not None:
        yield from _supported(spec.version, (*path, "version"))


def _supported(version: str, path: yamltree.Path) -> _Wrong:
    first, last = SUPPORTED_KUBERNETES
    if version.partition("+")[0].count(".") != 2:
        yield path, f'expected a whole version of Kubernetes such as 1.20.2, not "{version}"'
    elif not first <= minor(version) <= last:
        supported = f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"
        yield path, f"Kubernetes {version} is not supported; supported are {supported}"


def _file_wrong(spec: FileSpec, path: yamltree.Path) -> _Wrong:
    if spec.sha256 is not None and spec.sha512 is not None:
        yield path, "has both `sha256` and `sha512`; a file has one of them"
    for key in ("strip", "members"):
        if getattr(spec, key) and not spec.unpack:
            yield (*path, key), "has a meaning only beside `unpack: true`"


def _component(name: str, spec: ComponentSpec, release: Path) -> Component:
    version = spec.version or ""
    local = (_local(file, each, release) for file, each in spec.files.items())
    return Component(
        name=name,
        version=version,
        packages=spec.debian,
        suite=spec.suite if spec.debian else None,
        files=(*local, *(_of_tree(spec.tree, version) if spec.tree is not None else ())),
        source=None
        if spec.debian_source is None
        else DebianSource(package=spec.debian_source, suite=spec.suite or "bookworm", version=version),
    )


def _of_tree(tree: TreeSpec, version: str) -> Iterator[ReleaseFile]:
    for pattern, spec in tree.files.items():
        name = pattern.replace("{version}", version)
        url = tree.url.replace("{version}", version).replace("{file}", name)
        yield replace(_file(name, spec, _digest(spec)), url=url)


def _local(name: str, spec: LocalFileSpec, release: Path) -> ReleaseFile:
    path = release.absolute().parent / spec.path
    return replace(_file(name, spec, _digest(spec) or _read_digest(path)), path=str(path))


def _file(name: str, spec: FileSpec, digest: str) -> ReleaseFile:
    return ReleaseFile(
        name=name, digest=digest, into=spec.into, unpack=spec.unpack, strip=spec.strip, members=spec.members
    )


def _digest(spec: FileSpec) -> str:
    if spec.sha256 is not None:
        return f"sha256:{spec.sha256}"
    return f"sha512:{spec.sha512}" if spec.sha512 is not None else ""


def _read_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:  # told where the file is needed: a release that nobody uses may lack its files
        return ""
