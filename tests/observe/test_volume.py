"""Lines that a volume acknowledged are there in the end, or the judge finds them missing."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Component
from vdc.errors import ClusterError
from vdc.history import read
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.checkers import no_write_lost
from vdc.observe.ops import Outcome
from vdc.observe.ordinary import keeper_of_a_volume
from vdc.observe.pods import kill
from vdc.observe.verdict import Kind
from vdc.observe.volume import writing
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


def test_a_write_that_nobody_answered_may_be_there_or_not(tmp_path: Path) -> None:
    kubernetes = cluster(tmp_path)
    pod = keeper_of_a_volume(kubernetes)
    kubernetes.stop(Component.KUBELET, pod.node)
    with pytest.raises(ClusterError), writing(kubernetes, lambda: pod) as watch:
        pass
    assert {operation.outcome for operation in watch.operations} <= {Outcome.UNKNOWN}
