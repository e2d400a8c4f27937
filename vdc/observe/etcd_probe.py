"""The background sampler of etcd: a process of its own, in the namespace of an external client.

`python -m vdc.observe.etcd_probe CONFIG.json` starts one operation every period, through one member after
the other, writes and reads in turn. It is an open loop: a slow answer never delays the next sample, or an
outage would hide the samples that should have seen it ("coordinated omission"). It ends well at SIGTERM,
and badly at its deadline or when its parent is gone: whoever asked for it must not take a probe that stopped
looking for a healthy cluster. Every operation it started is in the history by then.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import ssl
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import h11

from vdc.cluster.etcd_client import ClientConfig, decode, encode, tls_context
from vdc.errors import VdcError
from vdc.history import Event, Recorder
from vdc.observe.http1 import Connection, Pool
from vdc.observe.ops import Operation, Outcome
from vdc.observe.sampler import probe

_FLUSH_PERIOD = 0.2  # seconds
_STARVED = 4  # periods late before a tick counts as a gap
_FRESH_EVERY = 10
"""Of so many turns through all members, one is over new connections: users come and go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """What to sample and where to write it. Durations are seconds; `timeout` of an operation is the client's.

    `prefix` is what all its keys start with, and its name in the history (`source`).
    """

    client: ClientConfig
    prefix: str
    history: str
    period: float = 0.05
    duration: float = 3600.0
    max_in_flight: int = 64

    @property
    def source(self) -> str:
        """Who the events of the history are from."""
        return f"etcd-probe {self.prefix}"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `vdc.observe.sampler.save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**raw, "client": ClientConfig(**raw["client"])})


class Prober:
    """Samples until it is stopped. One instance is one run."""

    def __init__(self, config: ProbeConfig, context: ssl.SSLContext) -> None:
        self._config = config
        self._recorder = Recorder(Path(config.history))
        self._members = tuple(config.client.endpoints)
        self._pools = {name: Pool(url, context) for name, url in config.client.endpoints.items()}
        self._random = random.Random(0)
        self._acknowledged: list[str] = []
        self._pending: list[Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._quit: str | None = None
        self._number = 0
        self._last_tick = time.monotonic()
        self._parent = os.getppid()
        self._end = self._last_tick + config.duration

    async def run(self) -> None:
        """Sample until stopped, then let what is in flight end, and write the rest of the history.

        Raises VdcError if nobody stopped it.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._tick(loop.time())
        self._flush_regularly()
        await self._stopped.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for pool in self._pools.values():
            pool.close()
        self._flush()
        if self._quit is not None:
            raise VdcError(self._quit)

    def stop(self) -> None:
        """Start no further operation."""
        self._stopped.set()

    def _tick(self, due: float) -> None:
        now = time.monotonic()
        period = self._config.period
        if now - due > _STARVED * period:
            seconds = round(now - self._last_tick, 6)
            self._pending.append(Event(time=now, kind="gap", source=self._config.source, data={"seconds": seconds}))
            due = now
        self._quit = self._reason_to_quit(now)
        if self._quit is not None:
            self.stop()
        if self._stopped.is_set():
            return
        self._last_tick = now
        self._start_operation(now)
        following = max(due + period, now)
        asyncio.get_running_loop().call_at(following, self._tick, following)

    def _reason_to_quit(self, now: float) -> str | None:
        if self._stopped.is_set():
            return self._quit
        if now > self._end:
            return f"nobody stopped it within {self._config.duration:.1f} s"
        return "its parent is gone" if os.getppid() != self._parent else None

    def _start_operation(self, now: float) -> None:
        turn = self._number // (2 * len(self._members))
        operation = self._next_operation(now)
        if len(self._tasks) >= self._config.max_in_flight:
            full = replace(operation, outcome=Outcome.FAILED, error="not sent: too many operations in flight")
            self._note(full)
            return
        task = asyncio.get_running_loop().create_task(self._operate(operation, fresh=turn % _FRESH_EVERY == 0))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next_operation(self, now: float) -> Operation:
        """Return what this tick does, with the outcome it has as long as nothing was sent."""
        round_number, is_read = divmod(self._number, 2)
        self._number += 1
        key = self._key(round_number)
        return Operation(
            op="read" if is_read else "write",
            key=self._key_to_read() if is_read else key,
            value=None if is_read else f"{key}={self._random.getrandbits(64):016x}",
            start=now,
            end=now,
            outcome=Outcome.FAILED,
            member=self._members[round_number % len(self._members)],
        )

    def _key(self, number: int) -> str:
        return f"{self._config.prefix}/{number:07d}"

    def _key_to_read(self) -> str:
        """Return the latest acknowledged key, where a stale read shows first, or else any older one."""
        if not self._acknowledged:
            return self._key(0)
        latest = self._random.random() < 0.5
        return self._acknowledged[-1] if latest else self._random.choice(self._acknowledged)

    async def _operate(self, operation: Operation, *, fresh: bool) -> None:
        pool = self._pools[operation.member]
        connection: Connection | None = None
        # What it is if it goes wrong now: a write that is on its way may still happen.
        outcome, value, error = Outcome.FAILED, operation.value, None
        try:
            async with asyncio.timeout_at(operation.start + self._config.client.timeout):
                connection = await (pool.fresh() if fresh else pool.take())
                outcome = Outcome.UNKNOWN if operation.op == "write" else Outcome.FAILED
                path, body = _request(operation)
                status, answer = await connection.post(path, body)
            value, outcome, error = _judge(operation, status, answer, outcome)
            if fresh:
                connection.close()
            else:
                pool.give_back(connection)
        except TimeoutError:
            error = "timed out"
            pool.failed(connection)
        except (OSError, h11.ProtocolError, ValueError, KeyError) as caught:
            error = f"{type(caught).__name__}: {caught}"
            pool.failed(connection)
        if error is not None and fresh:
            error = f"over a new connection: {error}"
        self._note(replace(operation, end=time.monotonic(), outcome=outcome, value=value, error=error))

    def _note(self, operation: Operation) -> None:
        if operation.op == "write" and operation.ok:
            self._acknowledged.append(operation.key)
        self._pending.append(operation.to_event(self._config.source))

    def _flush_regularly(self) -> None:
        self._flush()
        if not self._stopped.is_set():
            asyncio.get_running_loop().call_later(_FLUSH_PERIOD, self._flush_regularly)

    def _flush(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            self._recorder.write(pending)


def _request(operation: Operation) -> tuple[str, bytes]:
    """Return the path and the body of an operation in etcd's JSON gateway."""
    question: dict[str, Any] = {"key": encode(operation.key)}
    if operation.op == "write":
        question["value"] = encode(operation.value or "")
        return "/v3/kv/put", json.dumps(question).encode()
    return "/v3/kv/range", json.dumps(question).encode()


def _judge(
    operation: Operation, status: int, body: bytes, otherwise: Outcome
) -> tuple[str | None, Outcome, str | None]:
    """Return the value, outcome and error of an operation that was answered."""
    answer = json.loads(body)
    if status != 200:
        return operation.value, otherwise, str(answer.get("error", f"status {status}"))
    if operation.op == "write":
        return operation.value, Outcome.OK, None
    pairs = answer.get("kvs", [])
    return (decode(pairs[0].get("value", "")) if pairs else None), Outcome.OK, None


async def _sampled(config: ProbeConfig) -> None:
    await Prober(config, tls_context(config.client)).run()


def _sample(path: Path) -> None:
    asyncio.run(_sampled(ProbeConfig.load(path)))


if __name__ == "__main__":
    probe(_sample, sys.argv[1:])
