"""What happened inside a data centre, by its guests' journals and its cluster, on this host's clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from vdc.cluster.deployers import deployed
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter, Machine, Power
from vdc.errors import VdcError
from vdc.history import Event
from vdc.observe.clocks import Clock, Offset, clock_of, measure
from vdc.observe.journals import QUESTION, WANTED, cluster_events, journal_events

_AT_ONCE: Final = 4
_SECONDS: Final = 30.0


class Inside:
    """Reads what was said inside since it was made. It measures the guests' clocks then, and at each reading."""

    def __init__(self, dc: DataCenter) -> None:
        self.dc = dc
        self._since = time.monotonic()
        self._offsets: dict[str, list[Offset]] = {name: [] for name in dc.servers}
        self._begun = self._measure()

    def read(self) -> list[Event]:
        """Return what was said since the last reading, and how the clocks stood, in order of time.

        What gives no answer is told in its place.
        """
        since, self._since = self._since, time.monotonic()
        measured = self._measure()
        lead = time.time() - time.monotonic()
        answering = {event.source for event in measured if event.kind == "offset"}
        clocks = {name: clock_of(found) for name, found in self._offsets.items() if name in answering}

        def journal(machine: Machine) -> list[Event]:
            stamp = f"--since=@{since + lead + self._offsets[machine.name][0].seconds:.3f}"
            said = machine.run([*QUESTION, stamp, *WANTED], timeout=_SECONDS).stdout
            return list(journal_events(said, machine.name, clocks[machine.name], lead))

        begun, self._begun = self._begun, []
        found = [*begun, *measured, *self._each(journal, clocks), *self._events(clocks, lead, since)]
        return sorted(found, key=lambda event: event.time)

    def _measure(self) -> list[Event]:
        def one(machine: Machine) -> list[Event]:
            offset = measure(machine)
            self._offsets[machine.name].append(offset)
            return [offset.event(machine.name)]

        return list(self._each(one, self._offsets))

    def _each(self, ask: Callable[[Machine], list[Event]], names: Mapping[str, object]) -> Iterator[Event]:
        """Yield what all of these servers say that run and can be asked, and of others why they say nothing."""
        machines = [machine for name, machine in self.dc.servers.items() if name in names and machine.spec.managed]

        def asked(machine: Machine) -> list[Event]:
            try:
                power = machine.power()
                return ask(machine) if power is Power.ON else [_silent(machine.name, f"it is {power}")]
            except VdcError as error:
                return [_silent(machine.name, error.message)]
            except Exception as error:  # noqa: BLE001 - whatever a guest answers, it must not cost what others say
                return [_silent(machine.name, repr(error))]

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for events in pool.map(asked, machines):
                yield from events

    def _events(self, clocks: Mapping[str, Clock], lead: float, since: float) -> Iterator[Event]:
        if self.dc.topology.kubernetes is None:
            return
        try:
            for cluster in deployed(self.dc):
                if isinstance(cluster, KubernetesCluster):
                    yield from cluster_events(cluster.list("Event"), clocks, lead, since=since)
        except VdcError as error:
            yield _silent("cluster", error.message)
        except Exception as error:  # noqa: BLE001 - whatever a cluster answers, it must not cost what guests say
            yield _silent("cluster", repr(error))


def _silent(who: str, why: str) -> Event:
    data = {"name": "nothing was read of it", "why": why.partition("\n")[0]}
    return Event(time=time.monotonic(), kind="note", source=who, data=data)
