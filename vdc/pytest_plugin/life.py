"""What a session needs of data centres, as protocols, so that tests can give it others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from vdc.datacenter.api import DataCenter
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import LiveDataCenter
from vdc.model.topology import Topology
from vdc.plan.plan import Plan
from vdc.settings import Settings
from vdc.steps import Steps


class Lifecycle(Protocol):
    """What brings data centres up and down: `vdc.datacenter.lifecycle`, or a test's own."""

    def prepare(
        self,
        topology: Topology,
        name: str | None,
        settings: Settings,
        steps: Steps,
        *,
        releases: Sequence[str] = (),
        boot: Literal["fork", "cold"] | None = None,
    ) -> Plan:
        """Return the plan; everything that it needs of the host is there then."""

    def up(
        self, plan: Plan, settings: Settings, steps: Steps, *, retain: bool = False, tied: bool = False
    ) -> LiveDataCenter:
        """Build it; if `tied`, it is a leftover once this process is dead."""

    def attach(self, name: str, settings: Settings, steps: Steps) -> DataCenter:
        """Return the handle of what was built, or of what there is of it."""

    def instances(self, settings: Settings) -> tuple[str, ...]:
        """Return the names of what there is."""

    def down(self, name: str, settings: Settings, steps: Steps) -> None:
        """Remove it."""

    def gc(self, settings: Settings, steps: Steps) -> tuple[str, ...]:
        """Remove all that is not up and that nobody is building."""


class Fork(Protocol):
    """What brings checkpoints to life: `vdc.datacenter.fork.fork`, or a test's own."""

    def __call__(
        self,
        checkpoint: Checkpoint,
        name: str,
        settings: Settings,
        steps: Steps,
        *,
        retain: bool = False,
        tied: bool = False,
    ) -> LiveDataCenter:
        """Return the data centre `name`, which is not up, as it was then."""
