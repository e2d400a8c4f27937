"""The old release as it was deployed then: by the code of then, from a git ref or a folder with a checkout of it.

That code runs in a process of its own, and builds and deploys with its own recipes, units and configuration; today's
attaches to what it finds and upgrades that.
"""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import vdc
from vdc.errors import CommandError, InputError
from vdc.git import git
from vdc.host.locks import exclusive
from vdc.settings import Settings
from vdc.shell import run_logged
from vdc.steps import Steps

_FOLDER: Final = "old"
_SECONDS: Final = 3600.0


def expect(old: str) -> None:
    """Return if there is an old definition of that name. Raises InputError: there is none."""
    if not _is_checkout(old):
        _commit(old)


def checkout(old: str, settings: Settings) -> Path:
    """Return the folder of an old definition: `old` itself if it is one, else what git has under that name.

    Raises InputError: it is neither.
    """
    if _is_checkout(old):
        return Path(old).absolute()
    commit = _commit(old)
    folder = settings.cache_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive(folder / ".lock"):
        place = folder / commit
        if not place.exists():
            _extract(commit, place)
    return place


def deploy(  # noqa: PLR0913 - all that the command line of then needs
    tree: Path, file: Path, name: str, *, sets: tuple[str, ...] = (), deploys: bool = True, steps: Steps, log: Path
) -> None:
    """Bring a data centre up and deploy its cluster by the code in `tree`, of the topology of then, if it had one.

    Raises CommandError with the end of what that code said.
    """
    root, here = _root(), file.absolute()
    then = tree / here.relative_to(root) if here.is_relative_to(root) else here
    # -P: nothing of the folder that this runs in, which is likely today's
    argv = [sys.executable, "-P", "-m", "vdc.cli", "up", str(then if then.is_file() else here)]
    argv += ["--name", name, *(["--deploy"] if deploys else []), *(f"--set={each}" for each in sets)]
    with steps.step(f"deploy {name} by the definition in {tree}"):
        run_logged(argv, log=log, timeout=_SECONDS, env={"PYTHONPATH": str(tree)})


def _is_checkout(old: str) -> bool:
    return Path(old, "vdc", "__init__.py").is_file()


def _root() -> Path:
    return Path(vdc.__file__).parents[1]


def _commit(ref: str) -> str:
    try:
        return git(_root(), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except CommandError as error:
        raise InputError(
            f'"{ref}" is no old definition: neither a folder with vdc in it, nor a git ref', hint="git tag --list"
        ) from error


def _extract(commit: str, place: Path) -> None:
    with TemporaryDirectory(dir=place.parent) as work:
        archive = Path(work, "archive.tar")
        git(_root(), "archive", "--format=tar", f"--output={archive}", commit)
        with tarfile.open(archive) as opened:
            opened.extractall(Path(work, "tree"), filter="data")
        Path(work, "tree").rename(place)
