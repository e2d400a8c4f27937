from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from vdc.cli.context import pick
from vdc.cli.main import report
from vdc.errors import (
    BuildError,
    ClusterError,
    CommandError,
    DirtyError,
    HealError,
    HostError,
    InconclusiveError,
    InputError,
    PrivilegeError,
    Problem,
    VdcError,
    WaitTimeout,
)
from vdc.shell import run

from .conftest import TOPOLOGIES, Vdc

SMALL = str(TOPOLOGIES / "small.yml")

NEED_ROOT = [
    ("up", SMALL),
    ("status",),
    ("list",),
    ("down", "n"),
    ("gc",),
    ("exec", "n", "s", "--", "true"),
    ("console", "n", "s"),
    ("ssh", "n", "s"),
    ("logs", "n"),
    ("power", "n", "s", "off"),
    ("extend", "n", "30m"),
    ("resume", "n"),
    ("bundle", "n"),
    ("test", SMALL),
    ("bench",),
    ("images", "build"),
]


@pytest.mark.parametrize("argv", NEED_ROOT, ids=" ".join)
def test_what_touches_the_host_says_that_it_needs_root_and_touches_nothing(
    vdc: Vdc, short_path: Path, argv: tuple[str, ...]
) -> None:
    said = vdc(*argv)
    assert said.status == 77
    assert "needs root" in said.err
    assert "sudo" in said.err
    assert list(short_path.iterdir()) == []


@pytest.mark.parametrize(
    "argv",
    [
        ("down", "n"),
        ("status", "n"),
        ("exec", "n", "s", "--", "true"),
        ("logs", "n"),
        ("power", "n", "s", "on"),
        ("extend", "n", "30m"),
        ("resume", "n"),
        ("bundle", "n"),
    ],
    ids=" ".join,
)
def test_a_data_centre_that_is_not_there_is_bad_input(vdc: Vdc, argv: tuple[str, ...]) -> None:
    said = vdc(*argv, uid=0)
    assert said.status == 2
    assert "no data centre 'n'" in said.err


def test_status_of_no_data_centre_is_no_failure(vdc: Vdc) -> None:
    said = vdc("status", uid=0)
    assert said.status == 0
    assert "no data centre" in said.out


@pytest.mark.parametrize(
    "argv", [("up",), ("fly",), ("plan", SMALL, "--speed", "9"), ("power", "n", "s", "explode")], ids=" ".join
)
def test_a_wrong_command_line_is_bad_input(vdc: Vdc, argv: tuple[str, ...]) -> None:
    assert vdc(*argv).status == 2


def test_an_unknown_suite_is_bad_input_that_names_the_suites(vdc: Vdc) -> None:
    with pytest.raises(InputError, match="no suite 'fun'"):
        pick("suite", "fun", ("standard", "reboot"))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VdcError("x"), 1),
        (InputError("x"), 2),
        (HostError("x"), 3),
        (PrivilegeError("x"), 77),
        (BuildError("veth:a/b", "x"), 1),
        (CommandError("host", ["x"], 9, "x"), 1),
        (WaitTimeout("x", deadline=1.0, last="x"), 1),
        (InconclusiveError("x"), 75),
        (ClusterError("x"), 1),
        (DirtyError("x"), 1),
        (HealError("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_error_has_its_exit_code_and_its_message_on_standard_error(
    error: VdcError, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(error) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {error}\n"


def test_mistakes_of_a_file_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    problem = Problem(file="a.yml", line=3, column=5, path="racks[0]", message="too many")
    assert report(InputError("bad", problems=[problem])) == 2
    assert capsys.readouterr().err == "a.yml:3:5: racks[0]: too many\n"


def test_the_gravest_of_several_errors_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(BuildError("a", "x"), HostError("y")) == 3
    assert capsys.readouterr().err == "error: a: x\nerror: y\n"


def test_help_lists_every_command(vdc: Vdc) -> None:
    said = vdc("--help")
    assert said.status == 0
    for argv in NEED_ROOT:
        assert f"  {argv[0]} " in said.out


def test_help_tells_every_exit_code(vdc: Vdc) -> None:
    readme = (TOPOLOGIES.parent / "README.md").read_text()
    codes = re.findall(r"^\| (\d+) \| ", readme.partition("| exit code |")[2].partition("\n\n")[0], re.MULTILINE)
    told = " ".join(vdc("--help").out.partition("Exit codes:")[2].partition(".")[0].split())
    assert [part.split()[0] for part in told.split(", ")] == codes


def test_help_loads_nothing_heavy() -> None:
    script = "import sys; from vdc.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    loaded = run([sys.executable, "-c", script], timeout=30).stderr.split()
    assert "vdc.cli.app" in loaded
    heavy = {
        "pydantic",
        "jinja2",
        "libvirt",
        "pyroute2",
        "kubernetes",
        "httpx",
        "networkx",
        "pytest",
        "ruamel.yaml",
    }
    assert heavy & set(loaded) == set()


def test_what_a_crash_left_is_told_and_fails(vdc: Vdc, short_path: Path) -> None:
    (short_path / "state/.half.new").mkdir(parents=True)
    said = vdc("status", uid=0)
    assert said.status == 1
    assert "`vdc down half` removes it" in said.out
