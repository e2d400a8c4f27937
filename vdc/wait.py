"""Waiting for facts. The only module that sleeps.

A check returns the value waited for, raises `NotYet` with the reason to go on, or raises anything else to stop
at once: a wait knows the difference between "not yet" and "never".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from vdc.errors import WaitTimeout

T = TypeVar("T")

_ROUNDED = 1e-9  # seconds


class NotYet(Exception):  # noqa: N818 - a state, not an error
    """The fact does not hold yet; the text says what was seen instead."""


def wait_for(check: Callable[[], T], *, what: str, timeout: float, interval: float = 0.1) -> T:
    """Call `check` every `interval` seconds until it returns, and return what it returned.

    Raises:
        WaitTimeout: `timeout` seconds passed; carries the last reason the check gave.
    """

    def expired(state: RetryCallState) -> T:
        outcome = state.outcome
        last = str(outcome.exception()) if outcome is not None else "never checked"
        raise WaitTimeout(what, deadline=timeout, last=last) from (outcome.exception() if outcome else None)

    retrying = Retrying(
        retry=retry_if_exception_type(NotYet),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(interval),
        retry_error_callback=expired,
    )
    return retrying(check)


def ticks(period: float, *, duration: float | None = None) -> Iterator[float]:
    """Yield the monotonic time of every tick, `period` seconds apart, without drift; late ticks are skipped.

    A sampler that was itself starved sees it in the distance between two yielded times.
    """
    start = time.monotonic()
    number = 0
    while True:
        due = start + number * period
        now = time.monotonic()
        # what was rounded makes no tick the last but one: how much it is depends on how long the host has been up
        if duration is not None and number * period > duration + _ROUNDED:
            return
        if due > now:
            time.sleep(due - now)
        yield time.monotonic()
        number = max(number + 1, int((time.monotonic() - start) / period) + 1)
