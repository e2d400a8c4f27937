"""A share of CPU time is taken from a real process, and given back, by another process as well."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process

import pytest

from vdc.host import cpu
from vdc.shell import start
from vdc.wait import ticks

NAME = cpu.group_name("t-cpu", "0123456")


@pytest.fixture
def controller() -> cpu.Controller:
    found = cpu.controller()
    if found is None:
        pytest.skip("this host has no cpu controller of cgroups that can be written to")
    return found


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Popen[bytes]]:
    with (tmp_path / "log").open("wb") as output:
        process = start(["sh", "-c", "while :; do :; done"], output=output)
        yield process
        process.kill()
        process.wait()


def used(pid: int) -> float:
    before, began = cpu.seconds(pid), time.monotonic()
    for _ in ticks(1.0, duration=1.0):
        pass
    return (cpu.seconds(pid) - before) / (time.monotonic() - began)


def groups(controller: cpu.Controller) -> list[str]:
    return list(controller.names("vdc-t-cpu"))


def test_a_busy_process_gets_no_more_than_is_left_to_it(controller: cpu.Controller, busy: Popen[bytes]) -> None:
    where = Path(f"/proc/{busy.pid}/cgroup").read_text()
    controller.limit(busy.pid, NAME, 0.1)
    assert groups(controller) == [NAME]
    assert used(busy.pid) <= 0.15
    controller.free(NAME)
    assert groups(controller) == []
    assert Path(f"/proc/{busy.pid}/cgroup").read_text() == where


def test_a_busy_process_has_a_cpu_or_waits_for_one(busy: Popen[bytes]) -> None:
    waited, began = cpu.waited(busy.pid), time.monotonic()
    had = used(busy.pid)
    assert had + (cpu.waited(busy.pid) - waited) / (time.monotonic() - began) == pytest.approx(1.0, abs=0.1)


def test_what_is_left_of_a_data_centre_is_freed_and_that_of_others_is_not(
    controller: cpu.Controller, busy: Popen[bytes]
) -> None:
    controller.limit(busy.pid, NAME, 0.1)
    cpu.free_all("t")
    assert groups(controller) == [NAME]
    busy.kill()
    busy.wait()
    cpu.free_all("t-cpu")
    assert groups(controller) == []


def test_nothing_is_done_to_who_has_no_group(controller: cpu.Controller) -> None:
    controller.free(NAME)


@pytest.mark.parametrize(
    ("mounts", "unified"),
    [
        ("cgroup {0} cgroup rw,memory 0 0\ncgroup {0} cgroup rw,relatime,cpu,cpuacct 0 0\n", False),
        ("cgroup2 {0} cgroup2 rw 0 0\n", True),
        ("proc /proc proc rw 0 0\ncgroup {0} cgroup rw,cpuset 0 0\n", None),
        ("cgroup /no/such cgroup rw,cpu 0 0\n", None),
    ],
)
def test_a_controller_of_either_version_is_found(mounts: str, unified: bool | None, tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    found = cpu.controller(mounts.format(tmp_path))
    assert (found and found.unified) is unified
