"""Cables in memory: packets that are disturbed as was asked, unless a lie says otherwise. Simulated time."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from vdc.model.disturbance import HELD_BACK, Disturbance
from vdc.model.flight import Arrival, Flight, Salvo
from vdc.testing.lies import Lie
from vdc.testing.world import World

_ETHERNET = 14
_SEED = 1


class FakeWire:
    """A cable. `ways` are what happens to outgoing and incoming packets, by key; `world.wires` keeps them."""

    mtu = 1500

    def __init__(self, device: str, interface: str, world: World) -> None:
        self._ways = world.wires.setdefault((device, interface), {})
        self._world = world

    def lacks(self) -> str | None:
        """Return None."""
        return None

    def disturb(self, key: str, *, outgoing: Disturbance, incoming: Disturbance) -> None:
        """Remember what is done."""
        if Lie.FAULT_WITHOUT_EFFECT not in self._world.lies:
            self._ways[key] = (outgoing, incoming)
        self._world.changed()

    def restore(self, key: str) -> None:
        """Forget it."""
        if Lie.NEVER_HEALS not in self._world.lies:
            self._ways.pop(key, None)
        self._world.changed()

    def expect_restored(self, key: str) -> None:
        """Return: nothing is ever left."""

    def fly(self, salvo: Salvo) -> tuple[Flight, Flight]:
        """Return what the one disturbance there is makes of packets."""
        outgoing, incoming = next(iter(self._ways.values()), (Disturbance(), Disturbance()))
        return fly(salvo, outgoing), fly(salvo, incoming)


def fly(salvo: Salvo, what: Disturbance) -> Flight:
    """Return what a disturbance makes of packets, by the same chance at every call."""
    arrivals = sorted(_fates(salvo, what), key=lambda each: each.at)
    return Flight(sent=salvo.count, size=salvo.size, arrivals=tuple(arrivals))


def _fates(salvo: Salvo, what: Disturbance) -> Iterator[Arrival]:
    spacing = max(salvo.interval, 8 * (salvo.size + _ETHERNET) / (what.rate or 10**9))
    latest, dice = 0.0, Random(_SEED)
    for number in range(salvo.count):
        left = number * spacing
        due = latest = max(latest, left + what.delay + what.jitter * (0.5 if number % 2 else -0.8))
        if dice.random() < what.loss or 0 < what.mtu < salvo.size:
            continue
        due += HELD_BACK if dice.random() < what.reorder else 0.0
        intact = dice.random() >= what.corrupt
        for copy in range(2 if dice.random() < what.duplicate else 1):
            yield Arrival(number=number, at=due + copy * 1e-7, seconds=due - left, intact=intact)
