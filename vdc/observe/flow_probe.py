"""The sampler of flows: one process that sends numbered packets in many namespaces, and hears them in others.

`python -m vdc.observe.flow_probe CONFIG.json` sends a packet of each stream every period, whatever becomes of the ones
before, and writes once a second how many of each flow came, and each outage when it is over. Sending and hearing are on
one clock. It ends well at SIGTERM, and badly at its deadline or when its parent is gone.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, Self

from vdc.errors import VdcError
from vdc.history import Event, Recorder
from vdc.host.namespaces import inside_each
from vdc.observe.flow_sockets import echo_head, echo_socket, udp_socket
from vdc.observe.flows import PERIOD
from vdc.observe.ledger import PATIENCE, Counts, FlowOutage, Ledger
from vdc.observe.sampler import probe
from vdc.wait import ticks

_STARVED: Final = 4  # periods late before a tick counts as a gap
_SETTLE_EVERY, _FLUSH_EVERY = 0.1, 1.0  # seconds
_MARKED: Final = struct.Struct("!8sHI")
_FILLING: Final = bytes(18)
_LARGEST: Final = 2048
Address = tuple[str, int]
Sender = tuple[Callable[[bytes, Address], int], Callable[[int], bytes], Address, Ledger]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig:
    """A stream: the port that its datagrams come from, and the devices that they go over."""

    port: int = 0
    over: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowConfig:
    """A flow: from `near` in the namespace `netns` to `far`; of UDP, `far_netns` is where that is heard."""

    name: str
    lane: str
    protocol: str
    netns: str
    near: str
    far: str
    far_netns: str = ""
    patience: float = PATIENCE
    streams: tuple[StreamConfig, ...] = (StreamConfig(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowProbeConfig:
    """What to send, and where to write what came of it. `port` is where datagrams go; durations are seconds."""

    source: str
    history: str
    port: int
    flows: tuple[FlowConfig, ...]
    period: float = PERIOD
    duration: float = 3600.0

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `vdc.observe.sampler.save` wrote."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        flows = (
            FlowConfig(**{**flow, "streams": tuple(_stream_config(each) for each in flow["streams"])})
            for flow in raw["flows"]
        )
        return cls(**{**raw, "flows": tuple(flows)})


def _stream_config(raw: Mapping[str, object]) -> StreamConfig:
    return StreamConfig(port=int(str(raw["port"])), over=tuple(raw["over"]))  # type: ignore[arg-type]


@dataclass(slots=True)
class _Wire:
    """Sockets in namespaces, the streams over them by number, and what hears them."""

    token: bytes
    ledgers: list[Ledger] = field(default_factory=list)
    senders: list[Sender] = field(default_factory=list)
    ears: dict[tuple[str, str, str], socket.socket] = field(default_factory=dict)
    mouths: dict[tuple[str, str, int], socket.socket] = field(default_factory=dict)

    def hear(self) -> None:
        """Note all that has come since the last call."""
        ledgers, token = self.ledgers, self.token
        for ear in self.ears.values():
            while True:
                try:
                    data = ear.recv(_LARGEST)
                except OSError:  # no more
                    break
                start = data.find(token)
                if start >= 0:
                    _, stream, number = _MARKED.unpack_from(data, start)
                    ledgers[stream].come(number)

    def close(self) -> None:
        for each in (*self.ears.values(), *self.mouths.values()):
            each.close()


class FlowProber:
    """Samples until it is stopped. One instance is one run."""

    def __init__(self, config: FlowProbeConfig) -> None:
        self._config = config
        self._recorder = Recorder(Path(config.history))
        self._wire = _Wire(secrets.token_bytes(8))
        self._flows: list[list[Ledger]] = []
        self._pending: list[Event] = []
        self._parent = os.getppid()
        self._stopped = False

    def run(self) -> None:
        """Sample until stopped, wait for what is still on its way, and write the rest of the history.

        Raises VdcError if nobody stopped it.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._open()
        begun, spent = time.monotonic(), time.process_time()
        flows = [{"name": flow.name, "lane": flow.lane} for flow in self._config.flows]
        self._note(begun, "flows", phase="start", flows=flows, period=self._config.period)
        self._send()
        self._note(time.monotonic(), "flows", phase="ready")
        self._flush()
        quit_for = self._sample(begun)
        stopped = time.monotonic()
        self._linger()
        self._settle(stopped, last=True)
        ended = time.monotonic()
        self._take(ended)
        self._note(ended, "flows", phase="end", cpu=round(time.process_time() - spent, 3), ran=round(ended - begun, 3))
        self._flush()
        self._wire.close()
        if quit_for:
            raise VdcError(quit_for)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopped = True

    def _sample(self, begun: float) -> str:
        """Send and hear until there is a reason to end, and return it; an empty text if it was stopped."""
        last, settled, flushed = begun, begun, begun
        for now in ticks(self._config.period):
            if now - last > _STARVED * self._config.period:
                self._note(now, "gap", seconds=round(now - last, 6))
            last = now
            if self._stopped:
                return ""
            if now - begun > self._config.duration:
                return f"nobody stopped it within {self._config.duration:.1f} s"
            if os.getppid() != self._parent:
                return "its parent is gone"
            self._send()
            self._wire.hear()
            if now - settled >= _SETTLE_EVERY:
                self._settle(now)
                settled = now
            if now - flushed >= _FLUSH_EVERY:
                self._take(now)
                self._flush()
                flushed = now
        return ""

    def _send(self) -> None:
        for sendto, packet, target, ledger in self._wire.senders:
            number = ledger.send(time.monotonic())
            try:
                sendto(packet(number), target)
            except OSError:  # what the kernel does not take has set out all the same, and is lost
                continue

    def _linger(self) -> None:
        patience = max(flow.patience for flow in self._config.flows)
        for _ in ticks(self._config.period, duration=patience):
            self._wire.hear()
            if not any(ledger.waits for ledger in self._wire.ledgers):
                return

    def _settle(self, now: float, *, last: bool = False) -> None:
        for flow, ledgers in zip(self._config.flows, self._flows, strict=True):
            for ledger in ledgers:
                for outage in ledger.close(now) if last else ledger.settle(now):
                    self._note_outage(flow.name, outage)

    def _note_outage(self, flow: str, outage: FlowOutage) -> None:
        seconds = round(outage.seconds, 6)
        self._note(outage.end, "outage", flow=flow, seconds=seconds, lost=outage.lost, over=list(outage.over))

    def _take(self, now: float) -> None:
        rows = []
        for ledgers in self._flows:
            total = Counts()
            for ledger in ledgers:
                total.add(ledger.take())
            rows.append(total.row())
        self._note(now, "flows", rows=rows)

    def _note(self, at: float, kind: str, **data: object) -> None:
        self._pending.append(Event(time=at, kind=kind, source=self._config.source, data=data))

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        self._recorder.write(pending)

    def _open(self) -> None:
        """Open the sockets of each namespace there, and make what sends the packets of each stream."""
        _expect_few(self._config)
        inside_each(dict.fromkeys(_namespaces(self._config)), self._open_in)
        for flow in self._config.flows:
            ledgers = [Ledger(flow.patience, stream.over) for stream in flow.streams]
            for stream, ledger in zip(flow.streams, ledgers, strict=True):
                number = len(self._wire.ledgers)
                self._wire.ledgers.append(ledger)
                self._wire.senders.append((*self._sender(flow, stream, number), ledger))
            self._flows.append(ledgers)

    def _open_in(self, netns: str) -> None:
        wire, port = self._wire, self._config.port
        for flow in self._config.flows:
            if flow.protocol == "icmp" and flow.netns == netns and ("icmp", netns, flow.near) not in wire.ears:
                wire.ears["icmp", netns, flow.near] = echo_socket(flow.near)
            if flow.protocol == "udp" and flow.far_netns == netns and ("udp", netns, flow.far) not in wire.ears:
                wire.ears["udp", netns, flow.far] = udp_socket(flow.far, port)
            for stream in flow.streams if flow.protocol == "udp" and flow.netns == netns else ():
                key = (netns, flow.near, stream.port)
                if key not in wire.mouths:
                    wire.mouths[key] = udp_socket(flow.near, stream.port)

    def _sender(
        self, flow: FlowConfig, stream: StreamConfig, number: int
    ) -> tuple[Callable[[bytes, Address], int], Callable[[int], bytes], Address]:
        """Return what sends packets of a stream, what makes them of their numbers, and where they go."""
        marks, ears = _MARKED.pack(self._wire.token, number, 0)[:-4], self._wire.ears
        if flow.protocol == "icmp":
            head = echo_head(flow.near, self._wire.token, number)
            ear = ears["icmp", flow.netns, flow.near]
            return ear.sendto, lambda at: head(at) + marks + at.to_bytes(4, "big"), (flow.far, 0)
        mouth = self._wire.mouths[flow.netns, flow.near, stream.port]
        return mouth.sendto, lambda at: marks + at.to_bytes(4, "big") + _FILLING, (flow.far, self._config.port)


def _namespaces(config: FlowProbeConfig) -> Iterator[str]:
    for flow in config.flows:
        yield flow.netns
        if flow.far_netns:
            yield flow.far_netns


def _expect_few(config: FlowProbeConfig) -> None:
    if sum(len(flow.streams) for flow in config.flows) > 0xFFFF:
        raise VdcError("too many streams to number")


def _sample(path: Path) -> None:
    FlowProber(FlowProbeConfig.load(path)).run()


if __name__ == "__main__":
    probe(_sample, sys.argv[1:])
