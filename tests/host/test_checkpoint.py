"""A data centre with a real guest and a real etcd, frozen, put back, and brought to life a second time."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.host.conftest import Command, traces
from tests.host.moments import has, kill_at, says
from vdc.cluster.api import Cluster
from vdc.cluster.deployers import DEPLOYERS
from vdc.datacenter import fork, lifecycle
from vdc.datacenter.checkpoint import Checkpoint, load, verify
from vdc.datacenter.checkpoint_stores import checkpoints, find
from vdc.datacenter.convergence import differences, wait_converged
from vdc.datacenter.live import LiveDataCenter, is_up
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.reachability import expect_cut_off, expect_reaches
from vdc.faults.proofs import rebooting
from vdc.host import claims, images, netlink, processes
from vdc.plan.identity import WOKEN
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.upgrade.journal import FILE, Begun, Direction, Journal
from vdc.wait import NotYet, wait_for

ONE = Path(__file__).with_name("one.yml")
NAME, SERVER = "t-ck", "rack0-cs0"
RESTORES = 20
BEGUN = Begun(path="a-path", origin="old", target="new")
RESTED = "/run/rested"
KEPT, LATE = ("/data/kept", "/root/kept"), ("/data/late", "/root/late")
"""Files on the data disk and on the root disk, from before and after the checkpoint."""


def attached(name: str, settings: Settings) -> LiveDataCenter:
    return lifecycle.attach(name, settings, Steps())


def etcd(name: str, settings: Settings) -> Cluster:
    return DEPLOYERS["etcd"]().attach(attached(name, settings))


def the_server(name: str, settings: Settings) -> LiveMachine:
    return attached(name, settings).servers[SERVER]


def write_file(server: LiveMachine, path: str) -> None:
    """Write a file to the disk that it is on, with its own path in it."""
    server.run(["sh", "-c", f"echo {path} > {path} && sync -f {path}"])


def tidy(settings: Settings, vdc: Command) -> None:
    """Remove the checkpoints of the data centre, which is down."""
    for left in checkpoints(settings):
        if left.name == NAME:
            vdc("checkpoint", "rm", left.name, left.tag)


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command) -> Iterator[Checkpoint]:
    """The checkpoint `one` of the data centre `t-ck`, taken between two writes to etcd and to the data disk."""
    tidy(settings, vdc)
    vdc("up", str(ONE), "--name", NAME, timeout=900)
    cluster = DEPLOYERS["etcd"]().deploy(attached(NAME, settings))
    server = the_server(NAME, settings)
    cluster.write("before", "kept")
    for path in KEPT:
        write_file(server, path)
    server.run(["mkdir", "-p", WOKEN])
    server.run(["sh", "-c", f"echo 'echo $1 > {RESTED}' > {WOKEN}/test"])
    journal = Journal(settings.state_dir / NAME / FILE)
    journal.open(BEGUN)
    journal.record(SERVER, Direction.FORWARD, "drain")
    vdc("checkpoint", "save", NAME, "one")
    journal.record(SERVER, Direction.FORWARD, "restart")
    cluster.wait_serving()
    cluster.write("after", "forgotten")
    for path in LATE:
        write_file(server, path)
    yield find(NAME, "one", settings)
    vdc("down", NAME)
    assert traces(NAME, settings) == []
    tidy(settings, vdc)


@pytest.fixture
def up(one: Checkpoint, settings: Settings) -> Checkpoint:
    """The same, and `t-ck` is up, whatever the test before did to it."""
    if not is_up(settings.state_dir / NAME):
        fork.restore(one, settings, Steps())
        etcd(NAME, settings).wait_serving()
    return one


def test_a_restore_has_what_was_written_before_and_not_what_came_after(
    one: Checkpoint, settings: Settings, vdc: Command
) -> None:
    assert one.name == NAME
    rested = time.time() - datetime.fromisoformat(one.taken).timestamp()
    vdc("checkpoint", "restore", NAME, "one")
    cluster = etcd(NAME, settings)
    assert cluster.read("before") == "kept"
    assert cluster.read("after") is None
    states = cluster.state()
    assert [state.server for state in states] == [SERVER]
    assert all(state.healthy for state in states)
    server = the_server(NAME, settings)
    for path in KEPT:
        assert server.run(["cat", path]).stdout == f"{path}\n"
    for path in LATE:
        assert server.run(["test", "-e", path], check=False).status == 1
    told = int(server.run(["cat", RESTED]).stdout)
    assert rested - 2.0 <= told <= rested + 60.0  # it stood still before the checkpoint was whole
    assert Journal(settings.state_dir / NAME / FILE).done(SERVER, Direction.FORWARD) == {"drain"}
    assert differences(attached(NAME, settings)) == ()


@pytest.mark.usefixtures("up")
def test_the_clock_is_right_after_a_restore(settings: Settings) -> None:
    server = the_server(NAME, settings)
    before = time.time()
    told = float(server.run(["date", "+%s.%N"]).stdout)
    assert before - 2.0 <= told <= time.time() + 2.0


def test_a_fork_runs_beside_the_first_shares_its_files_and_cannot_reach_it(
    up: Checkpoint, settings: Settings, vdc: Command, gone: list[str]
) -> None:
    gone.append("t-fork")
    vdc("fork", NAME, "one", "--as", "t-fork")
    first, other = attached(NAME, settings), attached("t-fork", settings)
    mine, theirs = etcd(NAME, settings), etcd("t-fork", settings)
    theirs.write("mine", "fork")
    mine.write("mine", "first")
    assert (theirs.read("mine"), mine.read("mine"), theirs.read("before")) == ("fork", "first", "kept")
    assert differences(other) == ()
    assert str(up.frozen(SERVER).memory) in mapped(other)
    refused = vdc("checkpoint", "rm", NAME, "one", status=1)
    assert "t-fork" in refused.stderr
    # both have the same addresses: what answers to them is gone in one, and nothing of the other takes its place
    address = ip_address(first.topology.server(SERVER).node.ip)
    other.servers[SERVER].power_off()
    expect_cut_off(other.externals["external"], address)
    expect_reaches(first.externals["external"], address)
    vdc("down", "t-fork")
    assert traces("t-fork", settings) == []
    assert differences(first) == ()
    verify(up)


def mapped(dc: LiveDataCenter) -> set[str]:
    """Return the files that the guest's QEMU has mapped (proc(5), /proc/PID/maps)."""
    pid = dc.plan.context.process_file(SERVER).read_text()
    return {line.split(maxsplit=5)[-1] for line in Path(f"/proc/{pid}/maps").read_text().splitlines()}


def test_a_damaged_checkpoint_is_refused_and_the_data_centre_is_let_alone(
    up: Checkpoint, settings: Settings, vdc: Command
) -> None:
    # guests have this file as their memory: of its first page, nothing is read once the kernel runs
    with up.frozen(SERVER).memory.open("r+b") as memory:
        (byte,) = os.pread(memory.fileno(), 1, 0)
        os.pwrite(memory.fileno(), bytes([byte ^ 1]), 0)
        try:
            done = vdc("checkpoint", "restore", NAME, "one", status=3)
        finally:
            os.pwrite(memory.fileno(), bytes([byte]), 0)
    assert f"is damaged: memory/{SERVER}.ram" in done.stderr
    etcd(NAME, settings).wait_serving()
    verify(up)


def test_a_checkpoint_of_what_was_restored_has_it_all_on_its_disks_and_its_guest_reboots(
    up: Checkpoint, settings: Settings, vdc: Command
) -> None:
    """The root disk is on the first checkpoint's, and that was on the template's: the second has all but the image.

    And a QEMU that never read the firmware when it started has it when the guest reboots.
    """
    fork.restore(up, settings, Steps())
    write_file(the_server(NAME, settings), "/root/second")
    vdc("checkpoint", "save", NAME, "second")
    fork.restore(find(NAME, "second", settings), settings, Steps())
    server = the_server(NAME, settings)
    with rebooting(server):  # then all comes from the disks
        server.reboot()
    for path in (*KEPT, "/root/second"):
        assert server.run(["cat", path]).stdout == f"{path}\n"
    wait_converged(attached(NAME, settings))
    etcd(NAME, settings).wait_serving()
    fork.restore(up, settings, Steps())
    vdc("checkpoint", "rm", NAME, "second")


def test_a_reimaged_server_is_of_the_right_release_in_a_fork_and_boots_it(
    up: Checkpoint, settings: Settings, vdc: Command
) -> None:
    images.ensure("debian-13", settings, Steps())
    server = the_server(NAME, settings)
    server.power_off()
    server.reimage("debian-13")
    server.power_on()
    server.wait_answering()
    wait_converged(attached(NAME, settings))
    vdc("checkpoint", "save", NAME, "thirteen")
    fork.restore(find(NAME, "thirteen", settings), settings, Steps())
    server = the_server(NAME, settings)
    assert server.release == "debian-13"
    with rebooting(server):
        server.power_off()
        server.power_on()
    assert server.versions()["os"] == "debian-13"
    fork.restore(up, settings, Steps())
    vdc("checkpoint", "rm", NAME, "thirteen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What there is of this process and of a data centre on the host; memory is in bytes."""

    processes: Counter[str]
    namespaces: tuple[str, ...]
    mounts: int
    claims: dict[str, Path]
    files: frozenset[str]
    stored: frozenset[str]
    temporary: frozenset[str]
    descriptors: int
    threads: int
    resident: int
    guests_resident: int


def count(settings: Settings) -> Leaks:
    gc.collect()  # connections to libvirt end with their handles
    namespaces = netlink.namespaces("vdc-")
    inside = {found for each in namespaces if (found := netlink.identity(each)) is not None}
    pids = list(processes.living(inside))
    return Leaks(
        processes=Counter(processes.command(pid) for pid in pids),
        namespaces=namespaces,
        mounts=len(Path("/proc/self/mounts").read_text().splitlines()),
        claims=claims.everyone(),
        files=frozenset(str(path.relative_to(settings.state_dir)) for path in settings.state_dir.rglob("*")),
        stored=frozenset(str(path) for path in (settings.cache_dir / "checkpoints").rglob("*")),
        temporary=frozenset(path.name for path in Path(tempfile.gettempdir()).glob("vdc-*")),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
        threads=threading.active_count(),
        resident=resident(os.getpid()),
        guests_resident=sum(resident(pid) for pid in pids),
    )


def resident(pid: int) -> int:
    """Return the bytes of memory of a process that no file backs (proc(5), RssAnon): nobody else has them too."""
    status = Path(f"/proc/{pid}/status").read_text()
    lines = [line.split() for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(lines[0][1]) * 1024 if lines else 0


def test_twenty_restores_in_a_row_leak_nothing(up: Checkpoint, settings: Settings) -> None:
    """In one process, so that what it holds on to counts too. The first restore is not counted: it loads modules.

    Everything that can be counted is the same before and after. Memory is not: how much of itself a guest has touched
    when it is looked at differs by some MiB, and so does what Python keeps for itself; the bounds are a small part of
    what a leak in each restore, of a guest or of a buffer, would come to. What the whole host has free says less.
    """
    fork.restore(up, settings, Steps())
    before = count(settings)
    for _ in range(RESTORES):
        fork.restore(up, settings, Steps())
    after = count(settings)
    assert before.processes["qemu-system-x86"] == 1, before.processes
    for name in (
        "processes",
        "namespaces",
        "mounts",
        "claims",
        "files",
        "stored",
        "temporary",
        "descriptors",
        "threads",
    ):
        assert getattr(after, name) == getattr(before, name), name
    assert after.resident <= before.resident + (16 << 20)
    assert after.guests_resident <= before.guests_resident * 1.5
    etcd(NAME, settings).wait_serving()


SAVING = {
    "its folder is there": has("."),
    "the memory is being copied": has(f"memory/{SERVER}.ram"),
    "the disks are being copied": has(f"disks/{SERVER}-root.qcow2"),
    "all is copied": has("plan.json"),
}
RESTORING = {
    "the old one is gone": says(f"take {NAME} down: done"),
    "libvirt is there": says("wake the servers …"),
    "it converges": says("wait for everything to converge …"),
}
FORKING = {
    "its run directory is there": has("plan.json"),
    "its disks are there": has(f"disks/{SERVER}-root.qcow2"),
    "its guest has a process": has(f"libvirt/run/qemu/{SERVER}.pid"),
}


@pytest.mark.parametrize("moment", SAVING)
def test_a_killed_save_leaves_no_checkpoint(
    moment: str, up: Checkpoint, settings: Settings, vdc: Command, tmp_path: Path
) -> None:
    """Or a whole one; and its guests go on."""
    part = up.directory.with_name(".two.part")
    kill_at(SAVING[moment], part, ["checkpoint", "save", NAME, "two"], vdc, tmp_path / "output")
    vdc("gc")
    assert list(up.directory.parent.glob(".*")) == []
    verify(up)
    if (two := load(up.directory.with_name("two"))) is not None:
        verify(two)
        vdc("checkpoint", "rm", NAME, "two")
    the_server(NAME, settings).wait_answering()
    wait_for(lambda: expect_let_go(settings.state_dir / NAME), what="the guest to be let go", timeout=20)


def expect_let_go(run_directory: Path) -> None:
    if found := list(run_directory.glob("standing-*")):
        raise NotYet(str(found))


@pytest.mark.parametrize("moment", RESTORING)
def test_a_killed_restore_leaves_nothing_and_the_checkpoint_whole(
    moment: str, up: Checkpoint, settings: Settings, vdc: Command, tmp_path: Path
) -> None:
    kill_at(
        RESTORING[moment], settings.state_dir / NAME, ["checkpoint", "restore", NAME, "one"], vdc, tmp_path / "output"
    )
    vdc("gc")
    assert traces(NAME, settings) == []
    verify(up)


@pytest.mark.parametrize("moment", FORKING)
def test_a_killed_fork_leaves_nothing_and_the_checkpoint_whole(
    moment: str, up: Checkpoint, settings: Settings, vdc: Command, gone: list[str], tmp_path: Path
) -> None:
    gone.append("t-fork")
    kill_at(
        FORKING[moment],
        settings.state_dir / "t-fork",
        ["fork", NAME, "one", "--as", "t-fork"],
        vdc,
        tmp_path / "output",
    )
    assert traces("t-fork", settings), "nothing was there to be left behind"
    vdc("gc")
    assert traces("t-fork", settings) == []
    verify(up)


def test_after_all_of_it_the_checkpoint_restores(one: Checkpoint, settings: Settings, vdc: Command) -> None:
    assert [each.tag for each in checkpoints(settings) if each.name == NAME] == [one.tag]
    vdc("checkpoint", "restore", NAME, "one")
    assert etcd(NAME, settings).read("before") == "kept"
