"""The question every disturbing scenario ends with: did the users notice, and was data lost?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from math import inf
from typing import Protocol

from vdc.cluster.api import Cluster
from vdc.cluster.kubernetes.api import KubernetesCluster, Pod
from vdc.datacenter.api import DataCenter
from vdc.observe.checkers import judge, longest_outage, no_write_lost
from vdc.observe.flow_watch import FlowWatch
from vdc.observe.probe import Watch
from vdc.observe.verdict import Verdict


class Prober(Protocol):
    """The type of the fixture `probe`."""

    def etcd(self, cluster: Cluster) -> AbstractContextManager[Watch]:
        """Write to and read from the cluster in the background for the time of the body."""

    def flows(
        self, dc: DataCenter, *, racks: Collection[int] | None = None, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Have numbered packets go between racks, and to and from clients outside, for the time of the body.

        What ends at one of the devices `away`, which the body takes away, is neither judged nor in the figure.
        """

    def kubernetes(
        self, kubernetes: KubernetesCluster, pods: Sequence[Pod], *, away: Collection[str] = ()
    ) -> AbstractContextManager[FlowWatch]:
        """Ask over all ways to a Kubernetes whose pods are these, those of `web`, for the time of the body.

        `away` is as of `flows`.
        """


def judge_service(watch: Watch, *, longest: float | None) -> None:
    """Demand that no acknowledged write was lost or changed, and that no outage was longer than `longest`
    seconds.

    Where an outage is part of the bargain, `longest` is None: samples are still demanded for all of the body,
    and every write judged.

    Raises AssertionError with what all checkers say, also if they cannot tell.
    """
    judge(*service_verdicts(watch, longest=longest))


def service_verdicts(watch: Watch, *, longest: float | None) -> tuple[Verdict, ...]:
    """Return the verdicts that `judge_service` demands to be valid."""
    return (
        no_write_lost(watch.operations, watch.final),
        longest_outage(
            watch.operations,
            budget=inf if longest is None else longest,
            gaps=watch.gaps,
            start=watch.started,
            end=watch.ended,
        ),
    )
