"""The sampler of requests: over new connections and over reused ones, and to name servers, from where it runs.

`python -m vdc.observe.request_probe CONFIG.json` asks each target every period, whatever becomes of the requests
before, and writes once a second how many were answered, and each outage when it is over: as `vdc.observe.flow_probe`
does of packets. A request that is not answered well within the `patience` of its target is lost. It ends well at
SIGTERM, and badly at its deadline or when its parent is gone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import h11

from vdc.errors import VdcError
from vdc.history import Event, Recorder
from vdc.observe.http1 import Connection, Pool
from vdc.observe.ledger import Ledger
from vdc.observe.sampler import probe
from vdc.observe.targets import RequestProbeConfig, Target

_STARVED: Final = 4  # ticks late before one counts as a gap
_LONGEST_TICK: Final = 0.05  # seconds: however seldom it asks, it sees that it was starved long before it gives up
_SETTLE_EVERY, _FLUSH_EVERY = 0.1, 1.0  # seconds
_MOST_IN_FLIGHT: Final = 256  # of a target
_CONNECTING: Final = 10  # periods for each attempt to connect that may be under way for a reused connection
_FIRST_ANSWERS: Final = 3.0  # times the longest patience until it is ready in any case
_READY_WITHIN: Final = 45.0  # seconds
_WELL: Final = range(200, 300)
_QUESTION: Final = struct.Struct("!HHHHHH")
_RECURSION, _ONE_ADDRESS = 0x0100, struct.pack("!HH", 1, 1)  # RFC 1035, 4.1: flags; an A record of the internet


class _Asker:
    """Asks one target."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ledger = Ledger(target.patience + _SETTLE_EVERY)  # so that who asked has told why first
        self.tasks: set[asyncio.Task[None]] = set()
        self.answered = False
        # a server that starts slowly would come to nothing but handshakes that nobody waits for any more
        self._connecting = asyncio.Semaphore(max(1, round(target.patience / (_CONNECTING * target.period))))
        self._parts = urlsplit(target.url)
        self._path = f"{self._parts.path or '/'}{'?' + self._parts.query if self._parts.query else ''}"
        self._context = target.context()
        self._pool: Pool | None = None
        if self._parts.scheme != "dns":
            self._pool = Pool(target.url, self._context, server_name=target.server_name)

    def ask(self) -> None:
        """Send a request and wait for nothing; one too many in flight is lost at once."""
        number = self.ledger.send(time.monotonic())
        if len(self.tasks) < _MOST_IN_FLIGHT:
            task = asyncio.get_running_loop().create_task(self._ask(number))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()

    async def _ask(self, number: int) -> None:
        try:
            async with asyncio.timeout(self.target.patience):
                if self._pool is None:
                    await self._look_up()
                else:
                    await self._get(self._pool)
            self.ledger.come(number)
            self.answered = True
        except TimeoutError:
            self.ledger.fail(number, f"no answer within {self.target.patience:g} s")
        except ssl.SSLError as error:
            self.ledger.fail(number, str(error))
        except OSError as error:
            self.ledger.fail(number, os.strerror(error.errno) if error.errno else str(error) or type(error).__name__)
        except (h11.ProtocolError, ValueError) as error:
            self.ledger.fail(number, str(error))

    async def _get(self, pool: Pool) -> None:
        connection: Connection | None = None
        try:
            connection = await (self._take(pool) if self.target.reuse else pool.fresh())
            _expect_well(await connection.get(self._path))
        except BaseException:
            pool.failed(connection)
            raise
        if self.target.reuse:
            pool.give_back(connection)
        else:
            connection.close()

    async def _take(self, pool: Pool) -> Connection:
        async with self._connecting:
            return await pool.take()

    async def _look_up(self) -> None:
        """Ask a name server for an address; any that it gives is well."""
        number = secrets.token_bytes(2)
        labels = self._parts.path.strip("/").rstrip(".").split(".")
        name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
        question = number + _QUESTION.pack(0, _RECURSION, 1, 0, 0, 0)[2:] + name + _ONE_ADDRESS
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Answered(answer), remote_addr=(self._parts.hostname or "", self._parts.port or 53)
        )
        try:
            transport.sendto(question)
            said = await answer
        finally:
            transport.close()
        _, flags, _, answers, _, _ = _QUESTION.unpack_from(said)
        if said[:2] != number or flags & 0xF or not answers:
            raise ValueError(f"no address: response code {flags & 0xF}")


def _expect_well(answer: tuple[int, bytes]) -> None:
    if answer[0] not in _WELL:
        raise ValueError(f"answered {answer[0]}")


class _Answered(asyncio.DatagramProtocol):
    """Completes a future with the first datagram, or with why there is none."""

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take the answer."""
        del addr
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Take the refusal."""
        if not self._answer.done():
            self._answer.set_exception(exc)


class RequestProber:
    """Asks until it is stopped. One instance is one run."""

    def __init__(self, config: RequestProbeConfig) -> None:
        self._config = config
        self._recorder = Recorder(Path(config.history))
        self._askers = [_Asker(target) for target in config.targets]
        self._pending: list[Event] = []
        self._stopped = asyncio.Event()
        self._parent = os.getppid()
        self._quit = ""
        self._tick = min(_LONGEST_TICK, *(target.period for target in config.targets))
        self._last = time.monotonic()
        self._end = self._last + config.duration

    async def run(self) -> None:
        """Ask until stopped, let what is in flight end, and write the rest. Raises VdcError if nobody stopped it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        begun, spent = time.monotonic(), time.process_time()
        flows = [{"name": each.name, "lane": each.lane} for each in self._config.targets]
        self._note(begun, "flows", phase="start", flows=flows, period=max(each.period for each in self._config.targets))
        self._flush()
        for at, asker in enumerate(self._askers):  # not all at once
            self._ask(asker, loop.time() + at * asker.target.period / len(self._askers))
        patience = _FIRST_ANSWERS * max(asker.target.patience for asker in self._askers)
        latest = loop.time() + min(patience, _READY_WITHIN)
        loop.call_later(max(asker.target.period for asker in self._askers), self._ready, latest)
        self._look(loop.time())
        self._settle_regularly()
        self._flush_regularly()
        await self._stopped.wait()
        stopped = time.monotonic()
        if tasks := [task for asker in self._askers for task in asker.tasks]:
            await asyncio.wait(tasks)
        ended = time.monotonic()
        self._settle(stopped, last=True)
        self._take()
        self._note(ended, "flows", phase="end", cpu=round(time.process_time() - spent, 3), ran=round(ended - begun, 3))
        self._flush()
        for asker in self._askers:
            asker.close()
        if self._quit:
            raise VdcError(self._quit)

    def _ask(self, asker: _Asker, due: float) -> None:
        if self._stopped.is_set():
            return
        asker.ask()
        # those that a starved probe could not send at their time are not sent later, all at once
        following = max(due + asker.target.period, time.monotonic())
        asyncio.get_running_loop().call_at(following, self._ask, asker, following)

    def _ready(self, latest: float) -> None:
        """Tell that each target was asked and has answered once; or that some do not."""
        loop = asyncio.get_running_loop()
        if not all(asker.answered for asker in self._askers) and loop.time() < latest:
            loop.call_later(self._tick, self._ready, latest)
            return
        self._note(time.monotonic(), "flows", phase="ready")
        self._flush()

    def _look(self, due: float) -> None:
        """See at every tick whether it was late, and whether there is a reason to end."""
        now = time.monotonic()
        if now - due > _STARVED * self._tick:
            self._note(now, "gap", seconds=round(now - self._last, 6))
        self._last = now
        if now > self._end:
            self._quit = f"nobody stopped it within {self._config.duration:.1f} s"
        if os.getppid() != self._parent:
            self._quit = "its parent is gone"
        if self._quit:
            self._stopped.set()
        if not self._stopped.is_set():
            following = max(due + self._tick, now)
            asyncio.get_running_loop().call_at(following, self._look, following)

    def _settle_regularly(self, due: float = 0.0) -> None:
        """Give up what nobody answers; after a time of no CPU what has come meanwhile is read first."""
        loop = asyncio.get_running_loop()
        if due and time.monotonic() - due > _SETTLE_EVERY:
            loop.call_later(self._tick, self._settle_regularly)
            return
        self._settle(time.monotonic())
        if not self._stopped.is_set():
            following = time.monotonic() + _SETTLE_EVERY
            loop.call_at(following, self._settle_regularly, following)

    def _flush_regularly(self) -> None:
        if self._stopped.is_set():
            return
        self._take()
        self._flush()
        asyncio.get_running_loop().call_later(_FLUSH_EVERY, self._flush_regularly)

    def _settle(self, now: float, *, last: bool = False) -> None:
        for asker in self._askers:
            for outage in asker.ledger.close(now) if last else asker.ledger.settle(now):
                found = {"flow": asker.target.name, "lost": outage.lost, "over": [], "why": outage.why}
                self._note(outage.end, "outage", seconds=round(outage.seconds, 6), **found)

    def _take(self) -> None:
        self._note(time.monotonic(), "flows", rows=[asker.ledger.take().row() for asker in self._askers])

    def _note(self, at: float, kind: str, **data: object) -> None:
        self._pending.append(Event(time=at, kind=kind, source=self._config.source, data=data))

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        self._recorder.write(pending)


async def _sampled(config: RequestProbeConfig) -> None:
    await RequestProber(config).run()


def _sample(path: Path) -> None:
    asyncio.run(_sampled(RequestProbeConfig.load(path)))


if __name__ == "__main__":
    probe(_sample, sys.argv[1:])
