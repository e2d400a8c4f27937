"""Joins connections to a port on loopback with connections made elsewhere: in the namespace of a client outside.

A socket stays in the network namespace of the thread that made it (setns(2)). So a port opened here, and served by a
thread that has moved into a data centre, leads from this host to what a client of that data centre reaches.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import weakref
from collections.abc import Sequence
from threading import Event, Thread
from typing import Final

from vdc.errors import BuildError
from vdc.host import namespaces

Target = tuple[str, int]
"""An address and a port."""

LOOPBACK: Final = "127.0.0.1"

_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_PIECE: Final = 65536
_PATIENCE: Final = 3.0
"""Seconds until a target has taken a connection, else it has failed: a SYN is sent again after 1 s (RFC 6298)."""
_HEAD_START: Final = 0.25
"""Seconds after which another target is asked, too: the Connection Attempt Delay of RFC 8305, section 5."""
_READY: Final = 10.0

_SILENCE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 30_000}
"""When a target that lost its power is given up, by tcp(7): half a minute after its last sign, asked or not.

Its kernel answers, so that no slowness of what it runs counts.
"""


def listen(port: int = 0) -> socket.socket:
    """Return a socket that listens on a port of loopback, by default any that is free. Raises OSError."""
    return socket.create_server((LOOPBACK, port))


def serve(listener: socket.socket, targets: Sequence[Target]) -> None:
    """Join each connection that `listener` takes with the first of `targets` that takes one; does not return.

    They are made in the network namespace of the calling thread, whichever `listener` is of.
    """
    asyncio.run(_serve(listener, targets, stop=None))


class Forward:
    """A port on loopback of this process that leads to one of `targets` that answers: the one that did last, if any.

    They are reached from the network namespace `netns`, by default from this process's own. It is closed by `close`,
    or when nobody knows it any more.
    """

    def __init__(self, targets: Sequence[Target], *, netns: str | None = None) -> None:
        listener = listen()
        self.port: int = listener.getsockname()[1]
        self._loop = _Loop(listener, tuple(targets), netns)
        self.close = weakref.finalize(self, self._loop.stop)


class _Loop:
    """The thread that serves a forward: it ends by `stop`, or with this process."""

    def __init__(self, listener: socket.socket, targets: Sequence[Target], netns: str | None) -> None:
        self._listener, self._targets, self._netns = listener, targets, netns
        self._ready = Event()
        self._failure: BuildError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._thread = Thread(target=self._run, name=f"forward to {targets}", daemon=True)
        self._thread.start()
        self._ready.wait(_READY)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Close all its connections and the port."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_READY)

    def _run(self) -> None:
        try:
            if self._netns is not None:
                namespaces.enter(self._netns)
        except BuildError as error:
            self._listener.close()
            self._failure = error
            self._ready.set()
            return
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        await _serve(self._listener, self._targets, stop=self._stop)


async def _serve(listener: socket.socket, targets: Sequence[Target], *, stop: asyncio.Event | None) -> None:
    # nothing else holds a task that waits for a connection of which it is the only user
    held: set[asyncio.Task[None]] = set()
    preferred = list(targets)
    closed = False

    def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if closed:  # it was taken meanwhile, and no task of it would run
            writer.close()
            return
        task = asyncio.create_task(_join((reader, writer), preferred))
        held.add(task)
        task.add_done_callback(held.discard)
        # also where it is cancelled before it begins
        task.add_done_callback(lambda _: writer.close())

    server = await asyncio.start_server(join, sock=listener)
    try:
        await (stop or asyncio.Event()).wait()
    finally:
        closed = True
        await _take_none(listener)
        # it is not waited for: what is left of connections is cancelled by asyncio.run, which then closes them
        server.close()


async def _take_none(listener: socket.socket) -> None:
    """Take no connection any more; return when asyncio has made something of those that were taken.

    A server that is closed in between never closes them (`Server._attach` of CPython before 3.12).
    """
    loop = asyncio.get_running_loop()
    loop.remove_reader(listener)
    passed: asyncio.Future[None] = loop.create_future()
    loop.call_soon(passed.set_result, None)
    await passed


async def _join(near: _Stream, preferred: list[Target]) -> None:
    """Join a connection with one to a target, which from then on is asked first."""
    ends = [near[1]]
    try:
        if (found := await _reach(tuple(preferred))) is None:
            return
        target, far = found
        ends.append(far[1])
        preferred.sort(key=lambda each: each != target)
        await asyncio.gather(_copy(near[0], far[1]), _copy(far[0], near[1]))
    except (OSError, asyncio.CancelledError):
        # either end broke it off, or the port is closed: nobody waits for what is still to be sent
        for end in ends:
            end.transport.abort()
    finally:
        for end in ends:
            end.close()


async def _reach(targets: Sequence[Target]) -> tuple[Target, _Stream] | None:
    """Return the first connection there is, asking one after the other, without waiting long for one that is silent."""
    waiting = list(targets)
    tried: dict[asyncio.Task[_Stream], Target] = {}
    try:
        while waiting or tried:
            if waiting:
                target = waiting.pop(0)
                tried[asyncio.create_task(_connect(target))] = target
            patience = _HEAD_START if waiting else None
            done, _ = await asyncio.wait(tried, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            made = [(tried.pop(each), each) for each in done]
            good = [(target, each.result()) for target, each in made if each.exception() is None]
            for _, (_, writer) in good[1:]:
                writer.close()
            if good:
                return good[0]
    finally:
        for each in tried:
            each.add_done_callback(_close)
            each.cancel()
    return None


def _close(made: asyncio.Task[_Stream]) -> None:
    """Close a connection that nobody waits for any more."""
    if not made.cancelled() and made.exception() is None:
        made.result()[1].close()


async def _connect(target: Target) -> _Stream:
    """Return a connection that breaks when its other end is silent for long. Raises OSError."""
    async with asyncio.timeout(_PATIENCE):
        stream = await asyncio.open_connection(*target)
    end: socket.socket = stream[1].get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _SILENCE.items():
        end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return stream


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
