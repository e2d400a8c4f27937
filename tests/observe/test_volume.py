"""Lines that a volume acknowledged are there in the end, or the judge finds them missing."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Thread

import pytest

from vdc.cluster.kubernetes.api import Component, Pod
from vdc.errors import ClusterError, WaitTimeout
from vdc.history import read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe import volume
from vdc.observe.checkers import no_write_lost
from vdc.observe.ops import Outcome
from vdc.observe.ordinary import keeper_of_a_volume
from vdc.observe.pods import kill
from vdc.observe.verdict import Kind
from vdc.observe.volume import APPEND, writing
from vdc.observe.volume_stream import CONNECT
from vdc.testing import FakeDataCenter, FakeKubernetes, Lie

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def cluster(folder: Path, *lies: Lie) -> FakeKubernetes:
    return FakeKubernetes(FakeDataCenter(expand(load(TOPOLOGIES / "k8s.yml")), folder, lies=lies))


def test_writes_before_and_after_a_pod_is_made_anew_are_there(tmp_path: Path) -> None:
    kubernetes = cluster(tmp_path)
    with writing(kubernetes, partial(keeper_of_a_volume, kubernetes)) as watch:
        kill(kubernetes, keeper_of_a_volume(kubernetes))
    assert no_write_lost(watch.operations, watch.final).kind is Kind.VALID
    assert len(watch.operations) == 6
    told = [event for event in read(tmp_path / "history.jsonl") if event.kind == "op"]
    assert told
    assert {event.source for event in told} == {f"volume-probe {watch.prefix}"}


def test_a_volume_that_is_empty_in_the_next_pod_has_lost_writes(tmp_path: Path) -> None:
    kubernetes = cluster(tmp_path, Lie.VOLUME_LOST)
    with writing(kubernetes, partial(keeper_of_a_volume, kubernetes)) as watch:
        kill(kubernetes, keeper_of_a_volume(kubernetes))
    verdict = no_write_lost(watch.operations, watch.final)
    assert verdict.kind is Kind.INVALID
    assert "lost through the volume" in verdict.message


class Talking(FakeKubernetes):
    """One whose pods answer a client that asks them for lines, as long as they live."""

    def run_in(self, pod: Pod, argv: Sequence[str], *, timeout: float = 30.0) -> str:
        if CONNECT not in argv:
            return super().run_in(pod, argv, timeout=timeout)
        Thread(target=self._answer, args=(pod, argv[4], int(argv[5]), argv[6]), daemon=True).start()
        return ""

    def _answer(self, pod: Pod, host: str, port: int, path: str) -> None:
        with socket.create_connection((host, port)) as client, suppress(ClusterError, OSError):
            for line in client.makefile():
                if line == "end\n":
                    return
                super().run_in(pod, ["sh", "-c", APPEND, "sh", path, line.strip()])
                client.sendall(line.encode())


@pytest.mark.parametrize("lies", [(), (Lie.VOLUME_LOST,)], ids=["honest", "lying"])
def test_lines_go_all_the_time_and_on_with_the_next_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lies: tuple[Lie, ...]
) -> None:
    monkeypatch.setattr(FakeDataCenter, "slowness", 0.1)
    monkeypatch.setattr(volume, "listener", lambda _: socket.create_server(("127.0.0.1", 0)))
    monkeypatch.setattr(volume, "_LOOK", 0.01)
    kubernetes = Talking(FakeDataCenter(expand(load(TOPOLOGIES / "k8s.yml")), tmp_path, lies=lies))
    with writing(kubernetes, partial(keeper_of_a_volume, kubernetes)) as watch:
        before = len(list(read(tmp_path / "history.jsonl")))
        kill(kubernetes, keeper_of_a_volume(kubernetes))
    assert sum(operation.ok for operation in watch.operations) >= 2 * volume._LINES + 6
    assert len(list(read(tmp_path / "history.jsonl"))) > before
    verdict = no_write_lost(watch.operations, watch.final)
    assert verdict.kind is (Kind.INVALID if lies else Kind.VALID), verdict
    longest = max(b.start - a.start for a, b in pairwise(watch.operations[3:-3]))
    assert longest < 5.0


def test_where_no_pod_connects_nothing_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeDataCenter, "slowness", 0.1)
    monkeypatch.setattr(volume, "listener", lambda _: socket.create_server(("127.0.0.1", 0)))
    monkeypatch.setattr(volume, "_CONNECTED_SECONDS", 0.3)
    monkeypatch.setattr(Talking, "_answer", lambda *_: None)
    kubernetes = Talking(FakeDataCenter(expand(load(TOPOLOGIES / "k8s.yml")), tmp_path))
    with (
        pytest.raises(WaitTimeout, match="no pod has connected"),
        writing(kubernetes, partial(keeper_of_a_volume, kubernetes)),
    ):
        raise AssertionError("the body ran")


def test_a_write_that_nobody_answered_may_be_there_or_not(tmp_path: Path) -> None:
    kubernetes = cluster(tmp_path)
    pod = keeper_of_a_volume(kubernetes)
    kubernetes.stop(Component.KUBELET, pod.node)
    with pytest.raises(ClusterError), writing(kubernetes, lambda: pod) as watch:
        pass
    assert {operation.outcome for operation in watch.operations} <= {Outcome.UNKNOWN}
