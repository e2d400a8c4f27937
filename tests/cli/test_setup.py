""".ci/setup with stand-ins for the tools that it calls: what it asks them to do, and when it asks nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from vdc.shell import Completed, run

ROOT = Path(__file__).parents[2]

TOOLS = {
    "id": "echo ${FAKE_UID:-0}",
    "dpkg-query": """for name in "$@"; do case "$name" in
        -*|bird2) ;;
        *) [ -n "$FAKE_MISSING" ] && [ "$name" = "$FAKE_MISSING" ] || echo "$name installed" ;; esac; done
        [ -e "$FAKE_LOG" ] && grep -q 'install .*bird2' "$FAKE_LOG" && echo 'bird2:amd64 installed'; true""",
    "apt-get": """echo "apt-get $*" >>"$FAKE_LOG"
        case "$*" in *install*) "$VDC_POLICY_RC_D" bird start; echo "bird start: $?" >>"$FAKE_LOG"
            "$VDC_POLICY_RC_D" cron start; echo "cron start: $?" >>"$FAKE_LOG";; esac""",
    "python3": """echo "python3 $*" >>"$FAKE_LOG"
        case "$1" in -m) mkdir -p .venv/bin; cp "$0" .venv/bin/python; [ "$2" = venv ] || touch .venv/bin/vdc
            chmod +x .venv/bin/*;; esac""",
}


class Checkout:
    """A copy of what .ci/setup reads, with stand-ins on its path."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "calls"
        self.policy = directory / "policy-rc.d"
        (directory / ".ci").mkdir()
        for script in ("setup", "hand-back"):
            shutil.copy(ROOT / ".ci" / script, directory / ".ci" / script)
        shutil.copy(ROOT / "pyproject.toml", directory)
        tools = directory / "tools"
        tools.mkdir()
        for name, script in TOOLS.items():
            (tools / name).write_text(f"#!/bin/sh\n{script}\n")
            (tools / name).chmod(0o755)

    def setup(self, **environment: str) -> Completed:
        return run(
            [str(self.directory / ".ci/setup")],
            timeout=20,
            check=False,
            env={
                "PATH": f"{self.directory / 'tools'}:/usr/bin:/bin",
                "FAKE_LOG": str(self.log),
                "FAKE_MISSING": "",
                "VDC_POLICY_RC_D": str(self.policy),
                **environment,
            },
        )

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_without_root_setup_says_so_and_touches_nothing(checkout: Checkout) -> None:
    before = sorted(checkout.directory.rglob("*"))
    done = checkout.setup(FAKE_UID="1000")
    assert done.status == 77
    assert "needs root" in done.stderr
    assert sorted(checkout.directory.rglob("*")) == before


def test_only_what_is_missing_is_installed_and_its_daemons_are_not_started(checkout: Checkout) -> None:
    done = checkout.setup()
    assert done.status == 0, done.stderr
    apt = [call for call in checkout.calls() if call.startswith("apt-get")]
    assert [call.split()[-1] for call in apt] == ["update", "bird2"]
    assert "--no-install-recommends" in apt[1]
    assert {"bird start: 101", "cron start: 0"} <= set(checkout.calls())
    assert not checkout.policy.exists()
    assert (checkout.directory / ".venv/bin/vdc").exists()


def test_a_policy_of_the_administrator_is_left_alone(checkout: Checkout) -> None:
    checkout.policy.write_text("#!/bin/sh\nexit 7\n")
    checkout.policy.chmod(0o755)
    assert checkout.setup().status == 0
    assert "bird start: 7" in checkout.calls()
    assert checkout.policy.read_text() == "#!/bin/sh\nexit 7\n"


def test_a_second_call_does_nothing(checkout: Checkout) -> None:
    checkout.setup()
    before = checkout.calls()
    done = checkout.setup()
    assert (done.status, done.stdout, done.stderr) == (0, "", "")
    assert checkout.calls()[len(before) :] == []


def test_a_changed_dependency_is_installed(checkout: Checkout) -> None:
    checkout.setup()
    before = checkout.calls()
    with (checkout.directory / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert checkout.setup().status == 0
    assert any("-m pip install" in call for call in checkout.calls()[len(before) :])


def test_a_package_removed_later_is_installed_again(checkout: Checkout) -> None:
    checkout.setup()
    checkout.setup(FAKE_MISSING="gpg")
    assert any(call.endswith("--no-install-recommends gpg") for call in checkout.calls())


def test_a_broken_installation_stops_with_a_sentence(checkout: Checkout) -> None:
    (checkout.directory / "tools/apt-get").write_text("#!/bin/sh\nexit 100\n")
    done = checkout.setup()
    assert done.status == 1
    assert "apt-get update failed" in done.stderr


def test_what_a_killed_installation_left_is_removed(checkout: Checkout) -> None:
    checkout.policy.write_text("#!/bin/sh\n# vdc setup: do not start daemons that vdc runs by itself\nexit 101\n")
    assert checkout.setup().status == 0
    assert not checkout.policy.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_wrote_goes_to_the_owner_of_the_checkout_and_what_is_not_ours_stays(checkout: Checkout) -> None:
    directory = checkout.directory
    written = [directory / ".hypothesis/a", directory / "runs/test/unit.xml", directory / "vdc/__pycache__/a.pyc"]
    kept = directory / "vdc/a.py"
    for path in (*written, kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    os.chown(directory, 1234, 1235)
    run([str(directory / ".ci/hand-back")], timeout=20)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(1234, 1235)}
    assert written[1].parent.stat().st_uid == 1234
    assert kept.stat().st_uid == 0
