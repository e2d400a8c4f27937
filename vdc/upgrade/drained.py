"""The way by which components are upgraded in place on nodes that their pods were moved away from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.rolling.drain import KubernetesDrain
from vdc.rolling.queue import Node
from vdc.rolling.reboots import Turn
from vdc.upgrade.in_place import InPlace
from vdc.upgrade.way import Step
from vdc.wait import NotYet, wait_for

_INTERVAL: Final = 0.25


class Drained:
    """Drains each node, upgrades it in place, and takes it into use again. Implements `vdc.upgrade.way.Way`.

    Disruption budgets hold: a node whose pods may not leave in time is in use as before, and the upgrade stops there.
    """

    def __init__(self, kubernetes: KubernetesCluster, in_place: InPlace) -> None:
        self._drain = KubernetesDrain(kubernetes=kubernetes)
        self._in_place = in_place

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes of the Kubernetes."""
        return self._in_place.nodes

    def at(self, node: str) -> str:
        """Return the release by what runs, whether pods may come to the node or not."""
        return self._in_place.at(node)

    def forward(self, node: str) -> tuple[Step, ...]:
        """Drain it, do what is done in place, let pods come again."""
        return self._around(node, self._in_place.forward(node))

    def back(self, node: str) -> tuple[Step, ...]:
        """Do the same with the old files."""
        return self._around(node, self._in_place.back(node))

    def no_return(self) -> str | None:
        """Return what is so for the same path in place."""
        return self._in_place.no_return()

    def _around(self, node: str, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        drain = self._drain
        return (
            Step("drain", _taking(drain.drain, node), partial(drain.expect_drained, node)),
            *steps,
            Step("let pods return", _taking(drain.use, node), partial(drain.expect_in_use, node)),
        )


def _taking(verb: Callable[[str], Turn], node: str) -> Callable[[], None]:
    """Return what has a node take its whole turn, which has a time limit of its own; nobody else goes on meanwhile."""

    def take() -> None:
        turn = verb(node)

        def go_on() -> None:
            for why in turn:
                raise NotYet(why)

        wait_for(go_on, what=f"the turn of {node} to end", timeout=math.inf, interval=_INTERVAL)

    return take
