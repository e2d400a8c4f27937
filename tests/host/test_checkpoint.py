"""A data centre with a real guest and a real etcd, frozen, put back, and brought to life a second time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from os import devnull
from pathlib import Path

import pytest

from tests.host.conftest import Command, traces
from vdc.cluster.api import Cluster
from vdc.cluster.deployers import DEPLOYERS
from vdc.datacenter import lifecycle
from vdc.datacenter.api import DataCenter
from vdc.datacenter.checkpoint import checkpoints, find
from vdc.datacenter.convergence import differences
from vdc.settings import Settings
from vdc.shell import start
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

ONE = Path(__file__).with_name("one.yml")


def etcd(name: str, settings: Settings) -> tuple[DataCenter, Cluster]:
    dc = lifecycle.attach(name, settings, Steps())
    return dc, DEPLOYERS["etcd"]().attach(dc)


@pytest.fixture(scope="module")
def saved(settings: Settings, vdc: Command) -> Iterator[None]:
    """The data centre `t-ck` with a checkpoint `one`, taken between two writes."""
    for left in checkpoints(settings):
        if left.name == "t-ck":
            vdc("checkpoint", "rm", left.name, left.tag)
    vdc("up", str(ONE), "--name", "t-ck", timeout=900)
    cluster = DEPLOYERS["etcd"]().deploy(lifecycle.attach("t-ck", settings, Steps()))
    cluster.write("before", "kept")
    vdc("checkpoint", "save", "t-ck", "one")
    cluster.wait_serving()
    cluster.write("after", "forgotten")
    yield
    vdc("down", "t-ck")
    assert traces("t-ck", settings) == []
    vdc("checkpoint", "rm", "t-ck", "one")


@pytest.mark.usefixtures("saved")
class TestCheckpoint:
    def test_a_restore_has_what_was_written_before_and_not_what_came_after(
        self, settings: Settings, vdc: Command
    ) -> None:
        vdc("checkpoint", "restore", "t-ck", "one")
        dc, cluster = etcd("t-ck", settings)
        assert cluster.read("before") == "kept"
        assert cluster.read("after") is None
        assert differences(dc) == ()

    def test_the_clock_is_right_after_a_restore(self, settings: Settings) -> None:
        server = etcd("t-ck", settings)[0].servers["rack0-cs0"]
        before = time.time()
        told = float(server.run(["date", "+%s.%N"]).stdout)
        assert before - 2.0 <= told <= time.time() + 2.0

    def test_a_fork_runs_beside_the_first_and_they_diverge(
        self, settings: Settings, vdc: Command, gone: list[str]
    ) -> None:
        gone.append("t-fork")
        vdc("fork", "t-ck", "one", "--as", "t-fork")
        fork, other = etcd("t-fork", settings)
        first, cluster = etcd("t-ck", settings)
        other.write("mine", "fork")
        cluster.write("mine", "first")
        assert (other.read("mine"), cluster.read("mine")) == ("fork", "first")
        assert other.read("before") == "kept"
        assert differences(fork) == ()
        assert differences(first) == ()
        vdc("down", "t-fork")
        assert traces("t-fork", settings) == []
        assert differences(first) == ()

    def test_a_damaged_checkpoint_is_refused_and_the_data_centre_is_let_alone(
        self, settings: Settings, vdc: Command
    ) -> None:
        file = find("t-ck", "one", settings).memory("rack0-cs0")
        with file.open("r+b") as memory:
            memory.seek(1 << 20)
            byte = memory.read(1)
            memory.seek(1 << 20)
            memory.write(bytes([byte[0] ^ 1]))
        try:
            done = vdc("checkpoint", "restore", "t-ck", "one", status=3)
            assert "is damaged: memory/rack0-cs0.save" in done.stderr
            etcd("t-ck", settings)[1].wait_serving()
        finally:
            with file.open("r+b") as memory:
                memory.seek(1 << 20)
                memory.write(byte)

    @pytest.mark.parametrize("moment", ["the save begins", "memory is written", "disks are copied"])
    def test_a_killed_save_leaves_no_checkpoint_and_the_others_whole(
        self, moment: str, settings: Settings, vdc: Command
    ) -> None:
        part = find("t-ck", "one", settings).directory.with_name(".two.part")
        there = {
            "the save begins": part,
            "memory is written": part / "memory" / "rack0-cs0.save",
            "disks are copied": part / "disks",
        }[moment]

        def reached() -> None:
            if not there.exists():
                raise NotYet(moment)

        with Path(devnull).open("wb") as output:
            argv = [*vdc.argv, "checkpoint", "save", "t-ck", "two"]
            process = start(argv, output=output, env=vdc.environment)
            wait_for(reached, what=moment, timeout=60, interval=0.001)
            process.kill()
            process.wait()
        vdc("gc")
        assert not part.exists()
        assert [(each.name, each.tag) for each in checkpoints(settings) if each.name == "t-ck"] == [("t-ck", "one")]
        vdc("checkpoint", "restore", "t-ck", "one")
