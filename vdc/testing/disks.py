"""Disks in memory: struck as was asked, unless a lie says otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from vdc.datacenter.disks import Loss, Operation, Trial
from vdc.testing.lies import Lie
from vdc.testing.world import PULLED, World
from vdc.wait import NotYet

_FAST = 0.001
_EVERY = frozenset(Operation)
_FILLED = "filled"
_SAID: Mapping[str, str] = MappingProxyType({PULLED: "there is no disk", _FILLED: "No space left on device"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """What is wrong with a disk: how many operations a second it serves, which fail, how many sectors are damaged."""

    rate: int = 0
    failing: frozenset[Operation] = frozenset()
    sectors: int = 0


class FakeDisk:
    """A disk of a server of `world`, which keeps what is wrong with it, by key."""

    def __init__(self, server: str, name: str, world: World) -> None:
        self._server = server
        self._world = world
        self._why = "what would find out is on its root disk" if name == "root" else None
        self._ailments: MutableMapping[str, Ailment] = world.disks.setdefault((server, name), {})

    def lacks(self) -> str | None:
        """Return why it cannot be struck."""
        return self._why

    def lacks_files(self) -> str | None:
        """Return None."""
        return None

    def layers(self) -> tuple[str, ...]:
        """Return the keys of what is beneath it."""
        return tuple(key for key in self._ailments if key not in {PULLED, _FILLED})

    def slow(self, key: str, operations: int) -> None:
        """Remember it."""
        self._ail(key, Ailment(rate=operations))

    def fail(self, key: str, operations: Collection[Operation]) -> None:
        """Remember it."""
        self._ail(key, Ailment(failing=frozenset(operations)))

    def pull(self) -> None:
        """Remember it, until the server starts from cold."""
        self._ail(PULLED, Ailment(failing=_EVERY))

    def fill(self) -> None:
        """Remember it."""
        self._ail(_FILLED, Ailment(failing=frozenset({Operation.GROW})))

    def empty(self) -> None:
        """Forget it."""
        self.restore(_FILLED)

    def damage(self, key: str, file: str, sectors: int, seed: int) -> None:
        """Remember how many."""
        del file, seed
        self._ail(key, Ailment(sectors=sectors))

    def damaged(self, key: str) -> int:
        """Return how many."""
        return self._ailments.get(key, Ailment()).sectors

    def cut_power(self, key: str, seed: int) -> Loss:
        """Switch the server off; one write is lost."""
        del key, seed
        self._world.journals.cut(self._server)
        self._world.switch_off(self._server)
        return Loss(kept=1, unflushed=1, lost=1, torn=0)

    def restore(self, key: str) -> None:
        """Forget it."""
        if Lie.NEVER_HEALS not in self._world.lies:
            self._ailments.pop(key, None)
        self._world.changed()

    def tidy(self, key: str) -> None:
        """Do nothing: nothing is left."""
        del key

    def trial(self, operation: Operation, count: int = 1) -> Trial:
        """Return what comes of it."""
        done = Trial(seconds=count * _FAST)
        if self._server in self._world.down:
            raise NotYet("no answer")
        for key, ailment in self._ailments.items():
            if operation in ailment.failing:
                return replace(done, error=_SAID.get(key, "Input/output error"))
            if ailment.rate:
                done = replace(done, seconds=count / ailment.rate)
        return done

    def _ail(self, key: str, ailment: Ailment) -> None:
        if Lie.FAULT_WITHOUT_EFFECT not in self._world.lies:
            self._ailments[key] = ailment
        self._world.changed()
