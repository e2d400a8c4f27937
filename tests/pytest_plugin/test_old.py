"""The old release is deployed by the code of then."""

from __future__ import annotations

from pathlib import Path

import pytest

import vdc
from vdc.errors import CommandError, InputError
from vdc.pytest_plugin.old import checkout, deploy, expect
from vdc.settings import Settings
from vdc.shell import run
from vdc.steps import Steps


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment(
        {"VDC_CACHE_DIR": str(tmp_path / "cache"), "VDC_STATE_DIR": str(tmp_path / "state")}
    )


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose first commit has a vdc that only says who called it."""
    root = tmp_path / "repository"
    (root / "vdc" / "cli").mkdir(parents=True)
    (root / "topologies").mkdir()
    (root / "vdc" / "__init__.py").touch()
    (root / "vdc" / "cli" / "__init__.py").touch()
    (root / "vdc" / "cli" / "__main__.py").write_text("import sys; print('then:', *sys.argv[1:])\n")
    (root / "topologies" / "small.yml").touch()
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "then"), ("tag", "v1")):
        run(["git", "-C", str(root), *words], timeout=60)
    (root / "vdc" / "cli" / "__main__.py").write_text("raise SystemExit('today')\n")
    monkeypatch.setattr(vdc, "__file__", str(root / "vdc" / "__init__.py"))
    return root


def test_a_git_ref_is_extracted_once_as_it_was_then(repository: Path, settings: Settings) -> None:
    tree = checkout("v1", settings)
    assert "then" in (tree / "vdc" / "cli" / "__main__.py").read_text()
    (tree / "mark").touch()
    assert (checkout("HEAD", settings) / "mark").exists()
    assert [path.name for path in tree.parent.iterdir() if path.name != ".lock"] == [tree.name]
    assert repository.exists()


def test_a_folder_with_a_checkout_is_taken_as_it_is(repository: Path, settings: Settings) -> None:
    assert checkout(str(repository), settings) == repository


def test_what_is_neither_is_refused(repository: Path, settings: Settings) -> None:
    for ask in (lambda: checkout("v9", settings), lambda: expect("v9")):
        with pytest.raises(InputError, match='"v9" is no old definition: neither a folder with vdc in it, nor a git'):
            ask()
    assert repository.exists()


def test_what_there_is_is_expected_without_a_trace(repository: Path, settings: Settings) -> None:
    expect("v1")
    expect(str(repository))
    assert not settings.cache_dir.exists()


def test_the_code_and_the_topology_of_then_are_used(repository: Path, settings: Settings, tmp_path: Path) -> None:
    tree, log = checkout("v1", settings), tmp_path / "log"
    deploy(tree, repository / "topologies" / "small.yml", "mine", sets=("racks=2",), steps=Steps(), log=log)
    assert log.read_text() == f"then: up {tree}/topologies/small.yml --name mine --deploy --set=racks=2\n"
    log.unlink()
    deploy(tree, tmp_path / "small.yml", "mine", deploys=False, steps=Steps(), log=log)
    assert log.read_text() == f"then: up {tmp_path}/small.yml --name mine\n"


def test_what_the_code_of_then_says_is_in_the_error(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="today"):
        deploy(repository, Path("small.yml"), "mine", steps=Steps(), log=tmp_path / "log")
