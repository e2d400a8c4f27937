"""The cache of artifacts: `sha256-HEX` and `sha512-HEX` are files, `build-HEX` folders of programs built from a source,
`packages-HEX` folders of packages that were unpacked.

Each is made beside its place and renamed into it, so it is there whole or not at all. One process makes it while others
that want it wait.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from vdc.errors import HostError, InputError
from vdc.host.artifacts import debian_source, packages
from vdc.host.download import digest_of, fetch
from vdc.host.locks import exclusive
from vdc.model.release import Component, Release, ReleaseFile, Unpacked
from vdc.model.releases import release as find_release
from vdc.settings import Settings
from vdc.shell import run
from vdc.steps import Steps

FOLDER: Final = "artifacts"
"""Where artifacts are, below the cache."""

KUBECTL: Final = "kubectl"

_NOT_THERE: Final = "not in the cache"
_NOT_HERE: Final = "not on this host"
_UNPACK_SECONDS: Final = 600.0
_PART, _BUILD = ".part", ".build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file of a component, and where it is on this host. `versions` are those of the packages that it has."""

    component: str
    file: ReleaseFile
    path: Path
    versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How an artifact is kept: `wrong` tells in words what is wrong with it, and is empty if nothing is.

    One that is `damaged` is not what it should be, or is a file of this host that is not there: nothing else can be
    fetched in its place, as it can where the cache lacks one.
    """

    component: str
    name: str
    digest: str
    wrong: str
    damaged: bool = False


def ensure(release: Release, settings: Settings, steps: Steps) -> tuple[Artifact, ...]:
    """Return the artifacts of a release; the cache has them then.

    Raises:
        InputError: a file of this host is not there, or not what its digest says.
        HostError: one cannot be fetched or built, or is not what its digest says.
    """
    folder = settings.cache_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(each for component in release.components for each in _of(component, release, settings, steps))


def found(release: Release, settings: Settings) -> tuple[Artifact, ...]:
    """Return those artifacts of a release that the cache has."""
    return tuple(_found(release, settings))


def missing(release: Release, settings: Settings) -> tuple[str, ...]:
    """Return the components of a release that must be fetched, built or put on this host before its image can be."""
    lacking = (state.component for state in _states(release, settings) if state.wrong in {_NOT_THERE, _NOT_HERE})
    return tuple(dict.fromkeys(lacking))


def kubectl(name: str, settings: Settings) -> Path | None:
    """Return the kubectl of a release; None where the cache has none.

    One that is in an archive is unpacked beside it, once. Raises InputError: there is no such release.
    """
    for each in _found(find_release(name), settings):
        if each.file.name == KUBECTL and not each.file.unpack:
            return each.path
        if members := tuple(member for member in each.file.members if PurePosixPath(member).name == KUBECTL):
            return _beside(each, members)
    return None


def _beside(artifact: Artifact, members: tuple[str, ...]) -> Path:
    """Return kubectl out of an archive."""
    path = artifact.path.with_name(f"{artifact.path.name}.{KUBECTL}")
    work = artifact.path.with_name(f".{path.name}{_BUILD}")
    with exclusive(work.with_suffix(".lock")):
        if not path.exists():
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            _unpack(artifact, work, members)
            (work / KUBECTL).rename(path)
            work.rmdir()
    return path


def verify(release: Release, settings: Settings) -> tuple[State, ...]:
    """Return for each artifact of a release whether the cache has it, and has it whole: everything is read."""
    return tuple(_states(release, settings, whole=True))


def install(artifact: Artifact, root: Path) -> None:
    """Put an artifact into the folder that becomes a root disk. Raises CommandError: it cannot be unpacked."""
    folder = root / artifact.file.into.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    if artifact.file.unpack:
        _unpack(artifact, folder, artifact.file.members)
    else:
        target = folder / artifact.file.name
        shutil.copy(artifact.path, target)
        target.chmod(0o755)


def _unpack(artifact: Artifact, folder: Path, members: tuple[str, ...]) -> None:
    strip = f"--strip-components={artifact.file.strip}"
    argv = ["tar", "-x", "-f", str(artifact.path), "-C", str(folder), "--no-same-owner", strip, "--", *members]
    run(argv, timeout=_UNPACK_SECONDS)


def clean(settings: Settings) -> None:
    """Remove what killed builds left; one that is going on is let alone. What there is of a download is kept."""
    for work in (settings.cache_dir / FOLDER).glob(f".*{_BUILD}"):
        with suppress(BlockingIOError), exclusive(work.with_suffix(".lock"), wait=False):
            shutil.rmtree(work)


def _of(component: Component, release: Release, settings: Settings, steps: Steps) -> Iterator[Artifact]:
    for file in component.files:
        path = _checked(file, release) if file.path else _fetched(component, file, settings, steps)
        yield Artifact(component=component.name, file=file, path=path)
    if component.source is not None:
        directory = _built(component, settings, steps)
        yield from _programs(component, directory)
    if (wanted := release.unpacked(component)) is not None:
        yield _alone(component, unpacked(wanted, settings, steps))


def _programs(component: Component, directory: Path) -> Iterator[Artifact]:
    for name, digest in debian_source.manifest(directory).items():
        yield Artifact(component=component.name, file=ReleaseFile(name=name, digest=digest), path=directory / name)


def _checked(file: ReleaseFile, release: Release) -> Path:
    """Return a file of this host that is what it should be."""
    path = Path(str(file.path))
    kind = file.digest.partition(":")[0] or "sha256"
    try:
        there = digest_of(path, kind)
    except OSError as error:
        raise InputError(f"release {release.name}: {path} cannot be read: {error.strerror}") from error
    if there != file.digest:
        raise InputError(f"release {release.name}: {path} is not what its {kind} says; it is {there.partition(':')[2]}")
    return path


def _fetched(component: Component, file: ReleaseFile, settings: Settings, steps: Steps) -> Path:
    path = file_place(file, settings)
    part = path.with_name(f".{path.name}{_PART}")
    with exclusive(path.with_name(f".{path.name}.lock")):
        if path.exists() and digest_of(path, file.digest.partition(":")[0]) != file.digest:
            with steps.step(f"discard {path}: it is damaged"):
                path.unlink()
        if not path.exists():
            with steps.step(f"fetch {component.name} {component.version}: {file.name}"):
                what = f"{component.name} {component.version}, {file.name}"
                fetch(mirrored(str(file.url), settings.release_mirror), part, digest=file.digest, what=what)
                part.rename(path)
    return path


def unpacked(wanted: Unpacked, settings: Settings, steps: Steps) -> Path:
    """Return the folder of packages that are unpacked; the cache has it then. Raises HostError: they cannot be had."""
    directory = unpack_place(wanted, settings)
    directory.parent.mkdir(parents=True, exist_ok=True)
    work = directory.with_name(f".{directory.name}{_BUILD}")
    log = directory.with_name(f"{directory.name}.log")
    with exclusive(work.with_suffix(".lock")):
        if directory.exists():
            return directory
        shutil.rmtree(work, ignore_errors=True)  # left by one that was killed: the lock is ours
        log.unlink(missing_ok=True)
        names = ", ".join(wanted.packages)
        with steps.step(f"fetch {names} of Debian {wanted.suite}"):
            try:
                packages.unpack(wanted, work, mirror=settings.debian_mirror, log=log)
            except Exception as error:
                shutil.rmtree(work, ignore_errors=True)
                raise HostError(
                    f"{names} of Debian {wanted.suite} cannot be had: {error}", hint=f"the log is {log}"
                ) from error
            work.rename(directory)
    return directory


def _alone(component: Component, directory: Path) -> Artifact:
    """Return the archive with the files of packages. Raises OSError, ValueError, KeyError: it is damaged."""
    file = ReleaseFile(name=packages.ALONE, digest=f"{packages.digest(directory)}", into="/", unpack=True)
    there = packages.versions(directory)
    return Artifact(component=component.name, file=file, path=directory / packages.ALONE, versions=there)


def _built(component: Component, settings: Settings, steps: Steps) -> Path:
    assert component.source is not None
    directory = build_place(component, settings)
    work = directory.with_name(f".{directory.name}{_BUILD}")
    log = directory.with_name(f"{directory.name}.log")
    with exclusive(work.with_suffix(".lock")):
        wrong = [each.wrong for each in _built_states(component, directory, whole=True) if each.damaged]
        if directory.exists() and not wrong:
            return directory
        if directory.exists():
            with steps.step(f"discard {directory}: {wrong[0]}"):
                shutil.rmtree(directory)
        shutil.rmtree(work, ignore_errors=True)  # left by one that was killed: the lock is ours
        log.unlink(missing_ok=True)
        with steps.step(f"build {component.name} {component.version} from source; this takes minutes"):
            try:
                debian_source.build(component.source, work, mirror=settings.debian_mirror, log=log)
            except Exception as error:
                shutil.rmtree(work, ignore_errors=True)  # gigabytes, perhaps of a disk that is full
                raise HostError(
                    f"{component.name} {component.version} cannot be built from source: {error}",
                    hint=f"the log is {log}",
                ) from error
            (work / debian_source.OUT).rename(directory)
        shutil.rmtree(work)
    return directory


def _found(release: Release, settings: Settings) -> Iterator[Artifact]:
    for component in release.components:
        for file in component.files:
            path = Path(file.path) if file.path else file_place(file, settings)
            if path.exists():
                yield Artifact(component=component.name, file=file, path=path)
        if component.source is not None:
            with suppress(OSError, ValueError):  # not built, or damaged
                yield from _programs(component, build_place(component, settings))
        if (wanted := release.unpacked(component)) is not None:
            with suppress(OSError, ValueError, KeyError):
                yield _alone(component, unpack_place(wanted, settings))


def _states(release: Release, settings: Settings, *, whole: bool = False) -> Iterator[State]:
    for component in release.components:
        for file in component.files:
            path = Path(file.path) if file.path else file_place(file, settings)
            there = Artifact(component=component.name, file=file, path=path)
            yield _state(there, whole=whole, absent=_NOT_HERE if file.path else _NOT_THERE)
        if component.source is not None:
            place = build_place(component, settings)
            source = component.source
            yield from _made_states(component, source.package, source.digest, place, _programs, whole=whole)
        if (wanted := release.unpacked(component)) is not None:
            place, name = unpack_place(wanted, settings), ", ".join(wanted.packages)
            yield from _made_states(component, name, wanted.digest, place, _only_alone, whole=whole)


_Reader = Callable[[Component, Path], Iterator[Artifact]]


def _only_alone(component: Component, directory: Path) -> Iterator[Artifact]:
    yield _alone(component, directory)


def _made_states(
    component: Component, name: str, digest: str, directory: Path, reader: _Reader, *, whole: bool
) -> Iterator[State]:
    """Yield how what is made by a recipe is kept."""
    if directory.exists():
        yield from _built_states(component, directory, whole=whole, reader=reader)
    else:
        yield State(component=component.name, name=name, digest=f"recipe:{digest}", wrong=_NOT_THERE)


def _built_states(
    component: Component, directory: Path, *, whole: bool, reader: _Reader = _programs
) -> Iterator[State]:
    try:
        programs = tuple(reader(component, directory))
    except (OSError, ValueError, KeyError) as error:
        wrong = f"damaged: {directory} has no manifest: {error}"
        yield State(component=component.name, name=component.name, digest="", wrong=wrong, damaged=True)
        return
    for each in programs:
        yield _state(each, whole=whole, absent=f"damaged: {each.path} is missing")


def _state(artifact: Artifact, *, whole: bool, absent: str) -> State:
    file, wrong = artifact.file, ""
    if not artifact.path.exists():
        wrong = absent
    elif whole and (now := digest_of(artifact.path, file.digest.partition(":")[0] or "sha256")) != file.digest:
        wrong = f"damaged: {artifact.path} is {now}"
    damaged = wrong not in {"", _NOT_THERE}
    return State(component=artifact.component, name=file.name, digest=file.digest, wrong=wrong, damaged=damaged)


def file_place(file: ReleaseFile, settings: Settings) -> Path:
    """Return where a fetched file is kept."""
    return settings.cache_dir / FOLDER / file.digest.replace(":", "-")


def built(digest: str, settings: Settings) -> bool:
    """Return whether the cache has what is built from a source, by the digest of its recipe."""
    return _build_place(digest, settings).exists()


def build_place(component: Component, settings: Settings) -> Path:
    """Return where the programs of a component that is built are kept."""
    assert component.source is not None
    return _build_place(component.source.digest, settings)


def unpack_place(wanted: Unpacked, settings: Settings) -> Path:
    """Return where packages that are unpacked are kept."""
    return settings.cache_dir / FOLDER / f"packages-{wanted.digest[:16]}"


def _build_place(digest: str, settings: Settings) -> Path:
    return settings.cache_dir / FOLDER / f"build-{digest[:16]}"


def mirrored(url: str, mirror: str | None) -> str:
    """Return the URL where a mirror, if there is one, has what `url` leads to: its own stands before the path."""
    if mirror is None:
        return url
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}{parts.path}{f'?{parts.query}' if parts.query else ''}"
