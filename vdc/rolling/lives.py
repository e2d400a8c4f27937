"""A Kubernetes in use while its nodes restart: its users ask over all ways, and a pod writes to its volume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.faults.proofs import keeping_data, wait_whole
from vdc.observe.checkers import judge, no_write_lost
from vdc.observe.flow_watch import FlowWatch
from vdc.observe.idle import settled_down
from vdc.observe.ordinary import keeper_of_a_volume, settled, web_on_every_node
from vdc.observe.probe import Watch
from vdc.observe.service import Prober
from vdc.observe.volume import writing
from vdc.rolling.holding import wait_back
from vdc.rolling.users import served
from vdc.rolling.witness import Witness, witnessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What was seen, once the body is over: by `users`, of the `volume`, and who was away by the `witness`."""

    kubernetes: KubernetesCluster
    users: FlowWatch
    volume: Watch
    witness: Witness


@contextmanager
def in_use(dc: DataCenter, kubernetes: KubernetesCluster, probe: Prober) -> Iterator[Life]:
    """Have a cluster used for the body, after which all is whole again and all pods are back where they were.

    Raises AssertionError: data is lost, or there were no pods; ClusterError, WaitTimeout.
    """
    settled(kubernetes)
    volume = writing(kubernetes, partial(keeper_of_a_volume, kubernetes))
    users = probe.kubernetes(kubernetes, web_on_every_node(kubernetes))
    with users as seen, volume as written, keeping_data(kubernetes), wait_back(kubernetes), witnessing(dc) as witness:
        yield Life(kubernetes=kubernetes, users=seen, volume=written, witness=witness)
        wait_whole(dc, kubernetes)


def judge_life(life: Life, *, longest: float, returning: float) -> None:
    """Demand that users missed only what was away, that nothing acknowledged is lost, and that all is quiet again.

    `longest` and `returning` are those of `vdc.rolling.users.served`.
    Raises AssertionError with what all checkers say.
    """
    members = life.kubernetes.members
    judge(
        served(life.users, life.witness.away, members=members, longest=longest, returning=returning),
        no_write_lost(life.volume.operations, life.volume.final),
        settled_down(life.kubernetes),
    )
