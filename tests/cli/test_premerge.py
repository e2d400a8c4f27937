"""What is run before a merge: a core, and what the change can affect; where nobody can tell, all."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.cli.premerge import Chosen, before_merge, changed_files, choose, read_premerge, scenarios_in
from vdc.errors import InputError
from vdc.shell import run

SCENARIOS = Path(__file__).parents[2] / "scenarios"

RULES = """\
core: [standard, "reboot/test_reboot.py::test_nicely"]
affects:
  - {files: ["*.md", "tests/*"], run: []}
  - {files: ["vdc/faults/*"], run: [fault, reboot/test_reboot.py]}
"""
SUITES = ("fault", "reboot", "standard")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A git checkout with three suites, of two scenarios each."""
    for suite in SUITES:
        file = tmp_path / "scenarios" / suite / f"test_{suite}.py"
        file.parent.mkdir(parents=True)
        file.write_text("def test_nicely():\n    pass\n\n\ndef test_roughly(dc):\n    pass\n")
    (tmp_path / "scenarios" / "premerge.yml").write_text(RULES)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path)
    return tmp_path / "scenarios"


def git(place: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false")
    return run(["git", "-C", str(place), *who, *arguments], timeout=30).stdout.strip()


def commit(place: Path) -> None:
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--message=Change it")


def chosen(folder: Path, *changed: str) -> Chosen:
    return choose(read_premerge(folder), changed, scenarios="scenarios", there=scenarios_in(folder))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ((), {"standard": "always", "reboot/test_reboot.py::test_nicely": "always"}),
        (("README.md", "tests/cli/test_it.py"), {"standard": "always", "reboot/test_reboot.py::test_nicely": "always"}),
        (
            ("vdc/faults/links.py",),
            {
                "standard": "always",
                "fault": "vdc/faults/links.py was changed",
                "reboot/test_reboot.py": "vdc/faults/links.py was changed",
            },
        ),
        (
            ("scenarios/fault/test_fault.py", "scenarios/standard/test_standard.py"),
            {
                "standard": "always",
                "reboot/test_reboot.py::test_nicely": "always",
                "fault/test_fault.py": "scenarios/fault/test_fault.py was changed",
            },
        ),
    ],
    ids=["nothing", "documents", "faults", "scenarios"],
)
def test_a_core_is_run_and_what_the_change_can_affect(
    folder: Path, changed: tuple[str, ...], expected: dict[str, str]
) -> None:
    assert chosen(folder, *changed) == Chosen(
        scenarios=tuple(expected), why=tuple(f"{name}: {why}" for name, why in expected.items())
    )


@pytest.mark.parametrize("file", ["vdc/host/engine.py", "scenarios/fault/test_removed.py", "scenarios/premerge.yml"])
def test_a_file_that_no_row_names_can_affect_everything(folder: Path, file: str) -> None:
    assert chosen(folder, "README.md", file) == Chosen(
        scenarios=SUITES, why=(f"all: no row of premerge.yml says what {file} can affect",)
    )


def test_on_main_it_is_what_the_last_commit_changed_and_what_is_not_committed(folder: Path) -> None:
    place = folder.parent
    (place / "README.md").write_text("one")
    commit(place)
    (place / "LICENSE").write_text("two")
    assert changed_files(folder, None) == ("LICENSE", "README.md")


def test_on_a_branch_it_is_all_since_it_left_main(folder: Path) -> None:
    place = folder.parent
    git(place, "checkout", "--quiet", "-b", "change")
    for name in ("README.md", "CHANGELOG.md"):
        (place / name).write_text(name)
        commit(place)
    assert changed_files(folder, None) == ("CHANGELOG.md", "README.md")
    assert changed_files(folder, "HEAD^") == ("CHANGELOG.md",)
    assert before_merge(folder, None).scenarios == ("standard", "reboot/test_reboot.py::test_nicely")


def test_a_commit_that_there_is_not_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="no commit 'nowhere' here") as caught:
        changed_files(folder, "nowhere")
    assert caught.value.hint is not None
    assert "--since REF" in caught.value.hint


def test_without_a_checkout_nobody_knows_what_was_changed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nobody knows where .* left main"):
        changed_files(tmp_path, None)


def test_without_main_nobody_knows_what_was_changed(folder: Path) -> None:
    git(folder, "branch", "--quiet", "-m", "main", "change")
    (folder.parent / "README.md").write_text("one")
    commit(folder.parent)
    with pytest.raises(InputError, match=r"nobody knows where .* left main"):
        changed_files(folder, None)
    assert changed_files(folder, "HEAD^") == ("README.md",)


def test_what_is_wrong_is_named_with_its_place(folder: Path) -> None:
    (folder / "premerge.yml").write_text("core: [standart]\naffects:\n  - {files: ['*'], run: [fault/test_it.py]}\n")
    with pytest.raises(InputError) as caught:
        read_premerge(folder)
    assert [str(each).split(":", 1)[1] for each in caught.value.problems] == [
        "1:8: core[0]: no scenario 'standart'; did you mean \"standard\"?",
        "3:26: affects[0].run[0]: no scenario 'fault/test_it.py'; did you mean \"fault/test_fault.py\"?",
    ]


def test_a_key_that_there_is_not_is_named_with_its_place(folder: Path) -> None:
    (folder / "premerge.yml").write_text("core: [standard]\naffect: []\n")
    with pytest.raises(InputError, match=r'premerge.yml:2:1: affect: .*did you mean "affects"'):
        read_premerge(folder)


def test_our_own_names_only_what_there_is() -> None:
    assert "standard" in read_premerge(SCENARIOS).core
