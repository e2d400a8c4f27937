"""One number that all draws of a run begin with: told, recorded, and given again with `--seed`."""

from __future__ import annotations

from random import Random, SystemRandom
from typing import Final

import pytest

from vdc.datacenter.api import DataCenter
from vdc.faults.picking import SEEDS, Among, pick
from vdc.faults.selectors import leader

_SEED = pytest.StashKey[int]()


def seed_of(config: pytest.Config) -> int:
    """Return the seed of this run: what `--seed` says, or a new one, which stays the same until its end.

    In a process of pytest-xdist it is that of the process that the user started.
    """
    given = getattr(config, "workerinput", {}).get(KEY, config.getoption("--seed"))
    return config.stash.setdefault(_SEED, SystemRandom().randrange(SEEDS) if given is None else int(given))


KEY: Final = "vdc_seed"
"""What a worker is told its seed by."""


def dice_of(item: pytest.Item) -> Random:
    """Return the dice of a scenario: the same at each run with the same seed, whatever else runs."""
    return Random(f"{seed_of(item.config)}/{item.nodeid}")


class Picker:
    """Draws devices for a scenario; see `vdc.faults.picking`. What it draws is in the history."""

    def __init__(self, dc: DataCenter, dice: Random, request: pytest.FixtureRequest) -> None:
        self._dc = dc
        self._dice = dice
        self._request = request

    def __call__(self, text: str, *, among: Among = "devices") -> tuple[str, ...]:
        """Return what a selector such as `one(tier(spine))` draws. Raises InputError."""
        found = pick(text, self._dc.topology, self._dice, among=among, leader=self._leader)
        self._dc.recorder.record("note", "harness", name="drawn", text=text, devices=list(found))
        return found

    def _leader(self) -> str:
        return leader(self._dc, self._request.getfixturevalue("cluster"))
