"""The probe as it is used: a process of its own against gateways on loopback."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from vdc import shell
from vdc.cluster.api import Cluster
from vdc.cluster.etcd import EtcdCluster
from vdc.cluster.etcd_client import ClientConfig
from vdc.history import read
from vdc.observe.checkers import Kind, no_write_lost
from vdc.observe.etcd_probe import ProbeConfig
from vdc.observe.ops import Operation, Outcome
from vdc.observe.probe import Probe, ProbeError, Watch
from vdc.observe.sampler import save
from vdc.observe.service import judge_service
from vdc.testing.loopback import LoopbackDataCenter
from vdc.wait import ticks


class NoCluster:
    """Has nothing that a probe needs."""


def let_pass(seconds: float) -> None:
    for _ in ticks(seconds, duration=seconds):
        pass


def watched(cluster: EtcdCluster, seconds: float) -> Watch:
    with Probe().etcd(cluster, period=0.05) as watch:
        let_pass(seconds)
    return watch


def test_a_healthy_cluster_is_sampled_through_every_member_and_judged_valid(cluster: EtcdCluster) -> None:
    watch = watched(cluster, 1.0)
    seen = Counter((operation.op, operation.member) for operation in watch.operations)
    assert set(seen) == {(op, member) for op in ("write", "read") for member in cluster.members}
    assert {operation.outcome for operation in watch.operations} == {Outcome.OK}
    assert no_write_lost(watch.operations, watch.final).kind is Kind.VALID
    judge_service(watch, longest=2.0)


def test_a_watch_knows_when_its_body_ran(cluster: EtcdCluster) -> None:
    before = time.monotonic()
    with Probe().etcd(cluster) as watch:
        began = time.monotonic()
        assert math.isinf(watch.ended)
        let_pass(0.3)
        ended = time.monotonic()
    assert before < watch.started <= began
    assert ended <= watch.ended < time.monotonic()
    assert max(operation.start for operation in watch.operations) == pytest.approx(watch.ended, abs=0.3)


@pytest.mark.parametrize("longest", [2.0, None])
def test_a_probe_that_stopped_looking_proves_nothing(cluster: EtcdCluster, longest: float | None) -> None:
    watch = watched(cluster, 0.5)
    watch.ended += 60.0
    with pytest.raises(AssertionError, match=r"longest_outage: unknown: .* starved"):
        judge_service(watch, longest=longest)


def test_a_probe_that_quits_in_the_body_is_an_error(cluster: EtcdCluster) -> None:
    with (
        pytest.raises(ProbeError, match="the probe stopped by itself: nobody stopped it"),
        Probe().etcd(cluster, duration=2.0) as watch,
    ):
        let_pass(3.0)
    assert watch.operations


def test_to_judge_a_watch_in_its_body_is_too_early(cluster: EtcdCluster) -> None:
    with Probe().etcd(cluster) as watch:
        let_pass(0.3)
        with pytest.raises(AssertionError, match=r"no_write_lost: unknown[^$]*longest_outage: unknown"):
            judge_service(watch, longest=None)


def test_a_cluster_that_does_not_speak_etcd_cannot_be_probed() -> None:
    with pytest.raises(ProbeError, match="NoCluster cannot be probed"), Probe().etcd(cast(Cluster, NoCluster())):
        pass


def test_samples_come_every_period_and_writes_take_turns_with_reads(cluster: EtcdCluster) -> None:
    watch = watched(cluster, 1.0)
    operations = sorted(watch.operations, key=lambda operation: operation.start)
    assert {(a.op, b.op) for a, b in pairwise(operations)} == {("write", "read"), ("read", "write")}
    lasted = operations[-1].start - operations[0].start
    starved = sum(gap.seconds for gap in watch.gaps)
    assert len(operations) * 0.05 == pytest.approx(lasted, rel=0.3, abs=starved + 0.05)


def test_where_guests_are_fast_samples_come_every_10_ms_and_some_over_new_connections(
    lab: LoopbackDataCenter, cluster: EtcdCluster
) -> None:
    opened = lab.servers["rack0-cs0"].connections
    with Probe().etcd(cluster) as watch:
        let_pass(1.0)
    mine = [operation for operation in watch.operations if operation.member == "rack0-cs0"]
    (config,) = (lab.run_directory / "probes").glob(f"{watch.prefix.rpartition('/')[2]}.json")
    assert ProbeConfig.load(config).period == 0.01
    assert 2 <= lab.servers["rack0-cs0"].connections - opened < len(mine)


def test_a_write_that_was_acknowledged_and_forgotten_is_found(lab: LoopbackDataCenter, cluster: EtcdCluster) -> None:
    with Probe().etcd(cluster, period=0.05) as watch:
        lab.store.loses = frozenset(f"{watch.prefix}/{number:07d}".encode() for number in range(5, 15))
        let_pass(1.5)
    assert no_write_lost(watch.operations, watch.final).kind is Kind.INVALID


def test_a_member_that_is_down_fails_alone_and_is_used_again_when_it_is_back(
    lab: LoopbackDataCenter, cluster: EtcdCluster
) -> None:
    machine = lab.servers["rack1-cs0"]
    with Probe().etcd(cluster) as watch:
        machine.stop()
        let_pass(1.0)
        machine.start()
        back = time.monotonic()
        let_pass(1.0)
    bad = {operation.member for operation in watch.operations if not operation.ok}
    assert bad == {"rack1-cs0"}
    assert any(o.ok for o in watch.operations if o.member == "rack1-cs0" and o.start > back)
    assert no_write_lost(watch.operations, watch.final).kind is Kind.VALID


def test_an_error_of_the_cluster_makes_a_write_unknown_and_a_read_failed(
    lab: LoopbackDataCenter, cluster: EtcdCluster
) -> None:
    with Probe().etcd(cluster) as watch:
        lab.store.errors["rack0-cs0"] = "etcdserver: request timed out"
        let_pass(1.0)
        del lab.store.errors["rack0-cs0"]
    bad = {(operation.op, operation.outcome) for operation in watch.operations if not operation.ok}
    assert bad == {("write", Outcome.UNKNOWN), ("read", Outcome.FAILED)}


def test_a_second_watch_sees_only_its_own_samples(cluster: EtcdCluster) -> None:
    first, second = watched(cluster, 0.2), watched(cluster, 0.2)
    keys = [{operation.key for operation in watch.operations} for watch in (first, second)]
    assert keys[0]
    assert keys[1]
    assert not keys[0] & keys[1]


def test_a_probe_that_nobody_stops_ends_badly_at_its_deadline(cluster: EtcdCluster, tmp_path: Path) -> None:
    config = ProbeConfig(
        client=ClientConfig.load(cluster.config_path),
        prefix="alone",
        history=str(tmp_path / "alone.jsonl"),
        duration=0.5,
    )
    save(config, tmp_path / "alone.json")
    argv = [sys.executable, "-m", "vdc.observe.etcd_probe", str(tmp_path / "alone.json")]
    done = shell.run(argv, timeout=20, check=False)
    assert done.status == 1
    assert "nobody stopped it within 0.5 s" in done.stderr
    operations = [Operation.from_event(event) for event in read(tmp_path / "alone.jsonl") if event.kind == "op"]
    assert operations
    assert max(operation.start for operation in operations) - operations[0].start <= 0.6


def test_the_error_of_a_body_is_kept_and_so_are_the_samples(cluster: EtcdCluster) -> None:
    seen: list[Watch] = []

    def disturb() -> None:
        with Probe().etcd(cluster) as watch:
            seen.append(watch)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        disturb()
    assert seen[0].operations
    assert not seen[0].final
