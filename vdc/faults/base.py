"""What a fault is, and the one place that injects, proves and heals it.

A fault is data: which device it strikes. It says how to strike, how to see that it bites, how to undo it and
how to see that it is undone. `injected` does these in order and never leaves a data centre broken without
saying so.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated

from vdc.datacenter.api import DataCenter
from vdc.datacenter.pace import deadline
from vdc.errors import HarnessTimeout, HealError, HostError, WaitTimeout
from vdc.faults.lease import Lease, leased
from vdc.wait import wait_for

Word = Annotated[str, "no device"]
"""The type of a field that names something else than a device, so that nobody takes it for a selector."""


class Fault(ABC):
    """Something that breaks. To write one: a frozen dataclass with the four verbs below.

    No verb waits by itself; `bites` and `healed` raise `vdc.wait.NotYet` until their fact holds.
    """

    bite_seconds: float = 60.0
    """How long it may take until the fault shows, where the host's slowness is 1.0."""

    heal_seconds: float = 120.0
    """How long it may take until all is well again, where the host's slowness is 1.0."""

    lease_seconds: float = 1800.0
    """How long it may be in effect, where the host's slowness is 1.0 or less; then it is healed, whoever holds it."""

    needs: str = "nothing but the devices it names"
    """What its target must offer, for people; `missing` looks whether it does."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What breaks, for people, the history and the report."""

    @abstractmethod
    def inject(self, dc: DataCenter) -> None:
        """Break it."""

    @abstractmethod
    def bites(self, dc: DataCenter) -> None:
        """Return if others see that it is broken; asking the broken device alone proves nothing."""

    @abstractmethod
    def heal(self, dc: DataCenter) -> None:
        """Undo it. Idempotent, and safe where `inject` failed half-way."""

    @abstractmethod
    def healed(self, dc: DataCenter) -> None:
        """Return if it works again, seen from others."""

    def ended(self, dc: DataCenter) -> str | None:
        """Return why it is over though nobody healed it; None if it is not, or if nobody can tell."""
        return None

    def missing(self, dc: DataCenter) -> str | None:
        """Return why this host or data centre cannot offer what the fault needs; None if it can."""
        return None

    def silences(self, dc: DataCenter) -> Collection[str]:
        """Return the devices that nobody can reach while it is in effect, as it should be; by default none."""
        return ()

    @property
    def key(self) -> str:
        """What it marks as its own outside the devices: faults with the same fields have the same, in any process."""
        from vdc.faults.catalogue import as_read

        return hashlib.sha256(repr(as_read(self)).encode()).hexdigest()[:7]

    def restarts(self, dc: DataCenter) -> tuple[str, ...]:
        """Return the servers that healing restarts: each must answer with another boot ID afterwards."""
        return ()


Inject = Callable[[Fault], AbstractContextManager[None]]
"""The type of the fixture `inject`."""


@contextmanager
def injected(
    dc: DataCenter, fault: Fault, *, on_failure: Callable[[], object] | None = None, lasting: float = 0.0
) -> Iterator[None]:
    """Run the body while `fault` is in effect: proven to bite before, healed and proven healed after.

    It is healed whatever happens in the body, also if this process dies in it (`vdc.faults.lease`). Every phase is an
    event in the history. `on_failure` is called if the fault does not bite or the body fails, before anything is
    healed: what explains it is still there. `lasting` are the seconds that the body means to take: the
    lease is longer by them.

    Raises:
        HostError: the data centre cannot offer what the fault needs; nothing was touched.
        HarnessTimeout: the fault did not bite in time, and the body did not run; or its lease ran out in the body,
            or it ended there by itself.
        HealError: it could not be healed, or did not prove it; the data centre is marked dirty.
    """
    lacks = fault.missing(dc)
    if lacks is not None:
        raise HostError(f"{fault.name}: {lacks}")
    boots = {name: dc.servers[name].boot_id() for name in fault.restarts(dc)}
    with leased(dc, fault, lasting + fault.lease_seconds * max(1.0, dc.slowness)) as lease:
        bitten = False
        try:
            _inject(dc, fault, lease)
            bitten = True
            yield
            lease.expect_current(fault.name)
            _expect_lasted(dc, fault)
        except BaseException as error:
            if on_failure is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
                _tell(on_failure, error)
            raise
        finally:
            with lease.healing() as due:
                _heal(dc, fault, boots, bitten=bitten, undo=due)


def heal(dc: DataCenter, fault: Fault) -> None:
    """Heal a fault that somebody else injected, and prove it.

    Raises HealError: it could not be healed, or did not prove it; the data centre is marked dirty.
    """
    _heal(dc, fault, dict.fromkeys(fault.restarts(dc), ""), bitten=False, undo=True)


def _inject(dc: DataCenter, fault: Fault, lease: Lease) -> None:
    with _phase(dc, fault, "inject"):
        fault.inject(dc)
    try:
        with _phase(dc, fault, "bites"):
            lease.expect_kept(dc)
            wait_for(lambda: fault.bites(dc), what=f"{fault.name} to bite", timeout=deadline(dc, fault.bite_seconds))
    except WaitTimeout as error:  # the cluster under test has no part in it
        raise HarnessTimeout(error.what, deadline=error.deadline, last=error.last, log=error.log) from error


def _expect_lasted(dc: DataCenter, fault: Fault) -> None:
    if why := fault.ended(dc):
        raise HarnessTimeout(f"the body under {fault.name}", deadline=0.0, last=f"it ended by itself: {why}")


def _tell(on_failure: Callable[[], object], error: BaseException) -> None:
    try:
        on_failure()
    except Exception as second:  # noqa: BLE001 - the first error is the one to report, and healing must follow
        error.add_note(f"what explains it could not be gathered: {second}")


def _heal(dc: DataCenter, fault: Fault, boots: Mapping[str, str], *, bitten: bool, undo: bool) -> None:
    try:
        if undo:
            with _phase(dc, fault, "heal"):
                fault.heal(dc)
        with _phase(dc, fault, "healed"):
            _prove_restarts(dc, boots, demanded=bitten)
            wait_for(
                lambda: fault.healed(dc),
                what=f"{fault.name} to heal",
                timeout=deadline(dc, fault.heal_seconds),
            )
    except BaseException as error:
        reason = f"{fault.name} was not healed: {error}"
        dc.mark_dirty(reason)
        if not isinstance(error, Exception):
            raise
        raise HealError(reason) from error


def _prove_restarts(dc: DataCenter, boots: Mapping[str, str], *, demanded: bool) -> None:
    """Wait until these servers answer; with another boot ID, unless the fault never bit: it need not have
    restarted them.
    """
    for name, before in boots.items():
        if not demanded:
            dc.servers[name].wait_answering()
        elif dc.servers[name].wait_answering(unlike_boot=before) == before:
            raise WaitTimeout(f"{name} to restart", deadline=0.0, last=f"boot ID is still {before}")


def _told(fault: Fault, phase: str) -> dict[str, object]:
    """Return what the history keeps of a fault, so that it can be injected once more."""
    from vdc.faults.catalogue import recorded

    return {"fault": recorded(fault)} if phase == "inject" else {}


@contextmanager
def _phase(dc: DataCenter, fault: Fault, phase: str) -> Iterator[None]:
    """Record the phase: where something is done, when it begins; where a fact is awaited, when it holds."""
    awaited = phase in {"bites", "healed"}
    if not awaited:
        dc.recorder.record("fault", "harness", name=fault.name, phase=phase, **_told(fault, phase))
    try:
        with dc.steps.step(f"{fault.name}: {phase}"):
            yield
    except BaseException:
        dc.recorder.record("fault", "harness", name=fault.name, phase="failed")
        raise
    if awaited:
        dc.recorder.record("fault", "harness", name=fault.name, phase=phase)
