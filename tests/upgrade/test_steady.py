"""What is another if something starts again: services by their start, programs by their processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.errors import ClusterError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.steadiness import no_churn
from vdc.observe.verdict import Kind
from vdc.shell import Completed
from vdc.testing import FakeDataCenter
from vdc.upgrade.steady import running

SMALL = Path(__file__).parents[2] / "topologies/small.yml"
TOLD = """\
=== start
Id=etcd.service
SubState=running
InvocationID=a1
NRestarts=0

Id=getty@tty1.service
SubState=running
InvocationID=b2
NRestarts=7

Id=tmpfiles.service
SubState=exited
InvocationID=c3
NRestarts=0
=== mark
12 /usr/bin/etcd
7 /usr/sbin/bird
9 /usr/sbin/bird
31 /usr/bin/dash
=== end
"""


def told(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> dict[str, str]:
    machine = FakeDataCenter(expand(load(SMALL)), folder).servers["rack0-cs0"]
    done = Completed(argv=("sh",), status=0, stdout=text, stderr="")
    monkeypatch.setattr(type(machine), "run", lambda *_, **__: done)
    return dict(running(machine))


def test_services_and_programs_are_told_and_what_comes_and_goes_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(monkeypatch, tmp_path, TOLD) == {
        "etcd.service": "start a1, 0 restarts",
        "/usr/bin/etcd": "12",
        "/usr/sbin/bird": "7 9",
    }


def test_a_process_whose_file_was_replaced_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = TOLD.replace("12 /usr/bin/etcd", "12 /usr/bin/etcd (deleted)")
    assert told(monkeypatch, tmp_path, replaced) == told(monkeypatch, tmp_path, TOLD)


def test_a_service_that_was_started_again_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = told(monkeypatch, tmp_path, TOLD)
    assert told(monkeypatch, tmp_path, TOLD.replace("a1", "a2")) != before
    assert told(monkeypatch, tmp_path, TOLD.replace("NRestarts=0", "NRestarts=1")) != before


def test_a_service_that_ends_again_and_again_is_told_between_two_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = TOLD.replace(
        "SubState=running\nInvocationID=a1\nNRestarts=0", "SubState={}\nInvocationID={}\nNRestarts={}"
    )
    first, later = (
        told(monkeypatch, tmp_path, between.format("auto-restart", *each)) for each in (("a4", 3), ("a5", 4))
    )
    assert first["etcd.service"] == "start a4, 3 restarts"
    verdict = no_churn([first, later])
    assert verdict.kind is Kind.INVALID
    assert "etcd.service: start a4, 3 restarts → start a5, 4 restarts" in verdict.message


@pytest.mark.parametrize("text", ["", TOLD.replace("=== end\n", ""), "=== start\n=== mark\n1 /usr/bin/etcd\n=== end\n"])
def test_a_server_that_tells_only_half_of_it_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with pytest.raises(ClusterError, match="rack0-cs0 does not tell what runs"):
        told(monkeypatch, tmp_path, text)
