"""What a client outside knows of lines that pods acknowledged. Pods are shells here, connected as busybox does it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process

import pytest

from vdc.observe.checkers import no_write_lost
from vdc.observe.ops import Operation, Outcome
from vdc.observe.verdict import Kind
from vdc.observe.volume_stream import OFFER, WRITE, Stream
from vdc.shell import start
from vdc.wait import NotYet, ticks, wait_for

Process = Popen[bytes]


class Client:
    """Asks for numbers, and keeps what became of each."""

    def __init__(self, patience: float = 5.0) -> None:
        self.stream = Stream(socket.create_server(("127.0.0.1", 0)), period=0.001, patience=patience)
        self.operations: list[Operation] = []

    def following(self) -> str:
        return f"{len(self.operations):07d}"

    def told(self, begun: float, outcome: Outcome, error: str | None) -> None:
        key = self.following()
        self.operations.append(
            Operation(op="write", key=key, value=key, start=begun, end=begun, outcome=outcome, member="", error=error)
        )

    def wait_asked(self, count: int) -> None:
        def enough() -> None:
            if len(self.operations) < count:
                raise NotYet(f"{len(self.operations)} were asked for")

        wait_for(enough, what="lines to be asked for", timeout=20.0)

    @contextmanager
    def asking(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self.stream.run, args=(self.following, self.told, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def connect(self) -> socket.socket:
        host, port = self.stream.place
        return socket.create_connection((host, int(port)))


NC = """#!/bin/bash
exec 3<> "/dev/tcp/$1/$2" || exit 1
shift 3
exec "$@" <&3 >&3
"""


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start what a command in a pod starts, with a `nc` like that of busybox."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "nc").write_text(NC)
    (programs / "nc").chmod(0o755)

    def begin(client: Client, volume: Path, script: str = WRITE) -> Process:
        argv = ["sh", "-c", OFFER, "sh", *client.stream.place, str(volume), script]
        with (tmp_path / "log").open("ab") as log:
            begun.append(start(argv, output=log, env={"PATH": f"{programs}:{os.environ['PATH']}"}))
        return begun[-1]

    begun: list[Process] = []
    yield begin
    for shell in begun:
        shell.kill()
        shell.wait(20)


def held(volume: Path) -> dict[str, dict[str, str]]:
    return {"the volume": {line: line for line in volume.read_text().splitlines()}}


def test_what_was_acknowledged_is_in_the_file_and_the_pod_is_asked_no_more_afterwards(
    pod: Callable[..., Process], tmp_path: Path
) -> None:
    client, volume = Client(), tmp_path / "file"
    with client.asking():
        shell = pod(client, volume)
        client.wait_asked(50)
    assert shell.wait(20) == 0
    assert {each.outcome for each in client.operations} == {Outcome.OK}
    assert no_write_lost(client.operations, held(volume)).kind is Kind.VALID
    assert len(held(volume)["the volume"]) == len(client.operations)
    starts = [each.start for each in client.operations]
    assert starts == sorted(starts)


def test_the_next_pod_goes_on_after_one_that_was_killed(pod: Callable[..., Process], tmp_path: Path) -> None:
    client, volume = Client(), tmp_path / "file"
    dying = f"{WRITE.replace('read -r line', 'read -r line && [ $line != 0000020 ]')}; kill -9 $PPID; exit 9"
    with client.asking():
        first = pod(client, volume, dying)
        client.wait_asked(21)
        second = pod(client, volume)
        client.wait_asked(60)
    assert second.wait(20) == 0
    assert first.wait(20) != 0
    lost = [each for each in client.operations if not each.ok]
    assert [(each.key, each.outcome) for each in lost] == [("0000020", Outcome.UNKNOWN)]
    assert "ended the connection" in (lost[0].error or "")
    assert no_write_lost(client.operations, held(volume)).kind is Kind.VALID


def test_a_volume_that_forgets_what_it_acknowledged_is_found_out(pod: Callable[..., Process], tmp_path: Path) -> None:
    client, volume = Client(), tmp_path / "file"
    with client.asking():
        pod(
            client,
            volume,
            WRITE.replace('printf "%s\\n" "$line" >> "$1"', '[ $line = 0000007 ] || echo "$line" >> "$1"'),
        )
        client.wait_asked(20)
    verdict = no_write_lost(client.operations, held(volume))
    assert verdict.kind is Kind.INVALID
    assert "0000007" in verdict.message


def test_a_pod_whose_disk_takes_nothing_acknowledges_nothing(pod: Callable[..., Process], tmp_path: Path) -> None:
    client = Client()
    with client.asking():
        shell = pod(client, tmp_path / "none" / "file")
        client.wait_asked(1)
        shell.kill()
        shell.wait(20)
    assert {each.outcome for each in client.operations} == {Outcome.UNKNOWN}


def test_a_pod_that_says_nothing_is_given_up() -> None:
    client = Client(patience=0.05)
    with client.asking(), client.connect():
        client.wait_asked(1)
    assert [each.outcome for each in client.operations] == [Outcome.UNKNOWN]
    assert "timed out" in (client.operations[0].error or "")


def test_who_was_starved_says_so() -> None:
    client = Client()
    assert not client.stream._paused(time.monotonic(), Late())
    client.stream.listener.close()
    assert [gap.seconds > 0.04 for gap in client.stream.gaps] == [True]


class Late(threading.Event):
    """One for which nobody is woken in time."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        return bool([None for _ in ticks(0.05, duration=0.05)]) and self.is_set()
