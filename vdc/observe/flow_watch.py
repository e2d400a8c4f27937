"""Flows while something happens: `with flows(dc) as watch:` has numbered packets go everywhere meanwhile."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from math import ceil, inf
from pathlib import Path
from typing import IO, Final, Protocol

from vdc import shell
from vdc.datacenter.api import DataCenter
from vdc.history import Event, Recorder
from vdc.host.locks import exclusive
from vdc.observe.flow_probe import FlowConfig, FlowProbeConfig, StreamConfig
from vdc.observe.flows import GUEST_PATIENCE, PERIOD, Flow, covering, flows_of, shares, streams_of
from vdc.observe.ledger import Counts, FlowOutage, outage_of
from vdc.observe.ops import Gap
from vdc.observe.sampler import DURATION, ProbeError, Process, Sampler, Tail, sampler, save
from vdc.observe.ways import ways
from vdc.wait import NotYet, wait_for

_FIRST_PORT: Final = 20_000
_BLOCK, _BLOCKS = 40, 200  # ports of a process, and processes that find ports in the same data centre
_TRIED: Final = 32  # ports for each flow
STREAMS: Final = 16
"""As many as a process sends every 10 ms for less than 5 % of a core, also where that sleeps in between."""
_PER_CORE: Final = 6  # processes for each core of this host, which take a fifth of it
_SLOWEST: Final = 10 * PERIOD  # where that is too few for all streams, packets go as seldom as this
_START_SECONDS: Final = 60.0


Start = Callable[[Path, IO[bytes]], Process]
"""Starts a process, whose files may be called like the path with any ending, with both its outputs in a log."""


class Recorded(Protocol):
    """What processes that sample need of a data centre."""

    @property
    def recorder(self) -> Recorder:
        """Where they write."""

    @property
    def run_directory(self) -> Path:
        """Where their files and logs go."""


class Way(Protocol):
    """What samples are told by: a flow of packets, or something that is asked."""

    @property
    def name(self) -> str:
        """What it is called, different from all others."""

    @property
    def lane(self) -> str:
        """What it is told under together with others."""

    @property
    def source(self) -> str:
        """The device that it begins at."""

    @property
    def target(self) -> str:
        """The device that it ends at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSeen:
    """What became of a flow from one of its `ends` to the other, told together with others of its `lane`.

    A packet that came twice is `duplicated`, one that came after a later one `reordered`; what came too late for
    anybody to wait for it is `lost`. `outages` are those of each of its streams.
    """

    name: str
    ends: tuple[str, str]
    lane: str
    sent: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    outages: tuple[FlowOutage, ...] = ()

    @property
    def longest(self) -> float:
        """The longest outage of one of its streams, in seconds."""
        return max((outage.seconds for outage in self.outages), default=0.0)


@dataclass(slots=True, kw_only=True)
class FlowWatch:
    """What flows showed; complete once its `with` block has ended.

    The body ran from `started` to `ended`, packets were sent until `latest` (host monotonic seconds). `cpu` is the
    share of one core that the dearest of its processes took, `period` the time from one packet of a stream to the
    next. `gaps` are when one of them was starved itself. `away` are devices that are to go away meanwhile: what ends
    there is nobody's loss.
    """

    started: float
    ended: float = inf
    latest: float = -inf
    flows: tuple[FlowSeen, ...] = ()
    gaps: tuple[Gap, ...] = ()
    events: tuple[Event, ...] = ()
    cpu: float = 0.0
    period: float = PERIOD
    away: frozenset[str] = frozenset()

    @property
    def resolution(self) -> float:
        """By how many seconds an outage may be shorter than it is told."""
        return 2 * self.period

    def besides(self, devices: Collection[str]) -> tuple[FlowSeen, ...]:
        """Return the flows that end neither at one of these devices nor at one that is to go away."""
        left_out = self.away.union(devices)
        return tuple(flow for flow in self.flows if left_out.isdisjoint(flow.ends))

    def longest(self, *, besides: Collection[str] = ()) -> float:
        """Return the longest outage, in seconds, of the flows that `besides` returns."""
        return max((flow.longest for flow in self.besides(besides)), default=0.0)


@contextmanager
def flows(dc: DataCenter, *, racks: Collection[int] | None = None, period: float = PERIOD) -> Iterator[FlowWatch]:
    """Have numbered packets go between all racks, or these, and to and from clients outside, for the body.

    Where this host has few cores for all their streams, the time between packets is longer than `period`.

    Raises:
        ProbeError: there is nothing to go between, or too much for this host, or the probe died or stopped by itself.
    """
    wanted = flows_of(dc.topology, racks=racks)
    if not wanted:
        raise ProbeError(f"{dc.topology.name}: no two racks with a ToR, nor a client outside and one: no flow to watch")
    period = bearable(sum(streams_of(dc.topology, wanted)), period, cores=len(os.sched_getaffinity(0)))
    parts = tuple(shares(dc.topology, wanted, most=max(1, round(STREAMS * period / PERIOD))))
    run = uuid.uuid4().hex[:12]
    with free_ports(dc.run_directory / "probes", int(run, 16), len(parts)) as blocks:
        configs = [
            _config(dc, mine, f"flow-probe {run}{number:02d}", block, period)
            for number, (mine, block) in enumerate(zip(parts, blocks, strict=True))
        ]
        starts = {config.source: partial(_start, config) for config in configs}
        with watched(dc, wanted, starts, period=period) as watch:
            yield watch


def bearable(streams: int, period: float, *, cores: int) -> float:
    """Return the seconds between packets, at least `period`, with which so many cores send all streams with ease.

    Raises ProbeError: packets would go too seldom to tell anything.
    """
    processes = min(_PER_CORE * cores, _BLOCKS // 2)
    least = ceil(1000 * streams * PERIOD / (STREAMS * processes)) / 1000
    if least > max(period, _SLOWEST):
        raise ProbeError(
            f"{streams} streams of packets are too many for {cores} cores: of each one goes every {least:g} s",
            hint="watch fewer racks, with `racks=`",
        )
    return max(period, least)


@contextmanager
def free_ports(directory: Path, first: int, count: int) -> Iterator[tuple[int, ...]]:
    """Hold blocks of ports that nobody else holds by the same directory; yield the first port of each.

    Raises ProbeError: there are not so many left.
    """
    directory.mkdir(parents=True, exist_ok=True)
    held: list[int] = []
    with ExitStack() as stack:
        for number in range(_BLOCKS):
            port = _FIRST_PORT + _BLOCK * ((first + number) % _BLOCKS)
            if len(held) < count:
                with suppress(BlockingIOError):  # somebody else's
                    stack.enter_context(exclusive(directory / f"ports-{port}.lock", wait=False))
                    held.append(port)
        if len(held) < count:
            raise ProbeError(f"{count} blocks of ports are wanted, and {len(held)} are free: too many watch flows here")
        yield tuple(held)


def _start(config: FlowProbeConfig, stem: Path, output: IO[bytes]) -> Process:
    path = stem.with_suffix(".json")
    save(config, path)
    return shell.start([sys.executable, "-m", "vdc.observe.flow_probe", str(path)], output=output)


@contextmanager
def watched(dc: Recorded, wanted: Sequence[Way], starts: Mapping[str, Start], *, period: float) -> Iterator[FlowWatch]:
    """Have processes send for the body, each started with what it is called and where its files and its log go.

    Raises ProbeError: one died or stopped by itself.
    """
    directory = dc.run_directory / "probes"
    directory.mkdir(parents=True, exist_ok=True)
    tail = Tail(dc.recorder.path)
    with ExitStack() as stack:
        processes: dict[str, Sampler] = {}
        for source, start in starts.items():
            stem = directory / source.replace(" ", "-")
            processes[source] = stack.enter_context(sampler(stem.with_suffix(".log"), partial(start, stem)))
        for source, process in processes.items():
            wait_for(partial(_started, tail, source, process), what=f"{source} to begin", timeout=_START_SECONDS)
        watch = FlowWatch(started=time.monotonic(), period=period)
        try:
            yield watch
        finally:
            watch.ended = time.monotonic()
            try:
                for process in processes.values():
                    process.stop(patience=GUEST_PATIENCE + _START_SECONDS)
            finally:
                fill(watch, wanted, starts.keys(), tail.read())


def _config(dc: DataCenter, wanted: Sequence[Flow], source: str, block: int, period: float) -> FlowProbeConfig:
    ports = range(block + 1, block + 1 + _TRIED)
    taken = ways(dc, [flow for flow in wanted if flow.protocol == "udp"], ports, block)
    return FlowProbeConfig(
        source=source,
        history=str(dc.recorder.path),
        port=block,
        period=period,
        duration=DURATION,
        flows=tuple(_flow_config(dc, flow, taken.get(flow, {})) for flow in wanted),
    )


def _flow_config(dc: DataCenter, flow: Flow, taken: Mapping[int, Sequence[tuple[str, str]]]) -> FlowConfig:
    streams = tuple(
        StreamConfig(port=port, over=tuple(device for device, _ in taken[port])) for port in covering(taken)
    )
    anyway = StreamConfig(port=min(taken, default=0))  # nobody knows a way: what is sent will tell
    return FlowConfig(
        name=flow.name,
        lane=flow.lane,
        protocol=flow.protocol,
        netns=dc.netns(flow.source),
        near=str(flow.near),
        far=str(flow.far),
        far_netns=dc.netns(flow.target) if flow.protocol == "udp" else "",
        patience=flow.patience,
        streams=streams or (anyway,),
    )


def _started(tail: Tail, source: str, process: Sampler) -> None:
    process.expect_alive()
    if not any(event.source == source and event.data.get("phase") == "ready" for event in tail.read()):
        raise NotYet("it has not sent over each way")


def fill(watch: FlowWatch, wanted: Sequence[Way], sources: Collection[str], events: Sequence[Event]) -> None:
    """Put into a watch what the processes `sources` have told of the flows `wanted`."""
    mine = [event for event in events if event.source in sources]
    watch.events = tuple(event for event in events if event.kind not in {"op", "flows"})
    watch.gaps = tuple(Gap.from_event(event) for event in mine if event.kind == "gap")
    names: dict[str, list[str]] = {}
    counts = {flow.name: Counts() for flow in wanted}
    outages: dict[str, list[FlowOutage]] = {}
    latest: dict[str, float] = {}
    for event in mine:
        if event.kind == "outage" and event.time > watch.started:  # one before the body is not its
            outages.setdefault(event.data["flow"], []).append(outage_of(event))
        elif event.data.get("phase") == "start":
            names[event.source] = [flow["name"] for flow in event.data["flows"]]
        elif "rows" in event.data:
            latest[event.source] = event.time
            for name, row in zip(names[event.source], event.data["rows"], strict=True):
                counts[name].add(Counts.of(row))
        elif event.data.get("phase") == "end":
            watch.cpu = max(watch.cpu, event.data["cpu"] / max(event.data["ran"], watch.period))
    watch.latest = min((latest.get(source, -inf) for source in sources), default=-inf)
    watch.flows = tuple(
        FlowSeen(
            name=flow.name,
            ends=(flow.source, flow.target),
            lane=flow.lane,
            sent=counts[flow.name].sent,
            lost=counts[flow.name].lost,
            duplicated=counts[flow.name].duplicated,
            reordered=counts[flow.name].reordered,
            outages=tuple(sorted(outages.get(flow.name, ()), key=lambda outage: outage.start)),
        )
        for flow in wanted
    )
