"""What a watch makes of the events of its processes, and what these are told to do."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest

from vdc.datacenter.api import DataCenter
from vdc.history import Event
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.flow_probe import FlowConfig, FlowProbeConfig, StreamConfig
from vdc.observe.flow_sockets import echo_head
from vdc.observe.flow_watch import FlowWatch, bearable, fill, flows, free_ports
from vdc.observe.flows import flows_of
from vdc.observe.ledger import FlowOutage
from vdc.observe.ops import Gap
from vdc.observe.sampler import ProbeError, Tail, save
from vdc.observe.ways import ways
from vdc.shell import Completed
from vdc.testing import FakeDataCenter

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SITE = expand(load(TOPOLOGIES / "fabric.yml"))
ALL = flows_of(SITE, racks=[0, 1])


def event(time: float, kind: str, source: str = "p0", /, **data: object) -> Event:
    return Event(time=time, kind=kind, source=source, data=data)


def test_a_watch_adds_up_what_its_processes_told_and_nobody_else() -> None:
    first, second = ALL[:2], ALL[2:]
    names = [[{"name": flow.name, "lane": flow.lane} for flow in part] for part in (first, second)]
    watch = FlowWatch(started=0.0)
    told = [
        event(1.0, "flows", phase="start", flows=names[0], period=0.01),
        event(1.0, "flows", "p1", phase="start", flows=names[1], period=0.01),
        event(2.0, "flows", rows=[200, [200, 3, 1, 2]]),
        event(2.0, "flows", "stranger", rows=[7, 7, 7]),
        event(2.5, "gap", "p1", seconds=0.2),
        event(2.6, "outage", flow=first[1].name, seconds=0.04, lost=3, over=["rack0-tor1", "spine0"]),
        event(2.7, "fault", "harness", name="f", phase="inject"),
        event(3.0, "flows", rows=[100, 100]),
        event(2.9, "flows", "p1", rows=[100] * len(second)),
        event(3.1, "flows", phase="end", cpu=0.06, ran=2.0),
        event(3.1, "flows", "p1", phase="end", cpu=0.02, ran=2.0),
    ]
    fill(watch, ALL, {"p0", "p1"}, told)
    one, two, *others = watch.flows
    assert (one.sent, one.lost, one.outages) == (300, 0, ())
    assert (two.sent, two.lost, two.duplicated, two.reordered) == (300, 3, 1, 2)
    assert two.outages[0].seconds == pytest.approx(0.04)
    assert two.outages[0].over == ("rack0-tor1", "spine0")
    assert {flow.sent for flow in others} == {100}
    assert watch.gaps == (Gap(end=2.5, seconds=0.2, source="p1"),)
    assert watch.latest == 2.9, "the one that told of nothing for longest"
    assert watch.cpu == pytest.approx(0.03)
    assert watch.longest() == pytest.approx(0.04)
    assert watch.longest(besides=[two.ends[0]]) == 0.0
    assert "fault" in {each.kind for each in watch.events}


def test_a_process_that_told_of_nothing_leaves_no_latest_moment() -> None:
    watch = FlowWatch(started=0.0)
    fill(watch, ALL, {"p0", "p1"}, [event(1.0, "flows", phase="start", flows=[]), event(2.0, "flows", rows=[])])
    assert watch.latest == float("-inf")


def test_a_site_of_one_rack_without_clients_has_nothing_to_watch(tmp_path: Path) -> None:
    file = tmp_path / "alone.yml"
    file.write_text("name: alone\nracks: [{count: 1}]\nexternal: {clients: 0}\n")
    dc = FakeDataCenter(expand(load(file)), tmp_path)
    with pytest.raises(ProbeError, match="no flow to watch"), flows(dc):
        pass


@pytest.mark.parametrize(
    ("streams", "cores", "period"), [(57, 1, 0.01), (192, 2, 0.01), (384, 2, 0.02), (1920, 2, 0.1), (9600, 10, 0.1)]
)
def test_where_cores_are_few_for_all_streams_packets_go_less_often(streams: int, cores: int, period: float) -> None:
    assert bearable(streams, 0.01, cores=cores) == pytest.approx(period)
    assert bearable(streams, 0.5, cores=cores) == 0.5


def test_more_streams_than_the_host_bears_are_refused_with_what_to_do() -> None:
    with pytest.raises(ProbeError, match=r"2000 streams of packets are too many for 2 cores.*\n.*`racks=`"):
        bearable(2000, 0.01, cores=2)


def test_no_two_probes_of_a_data_centre_have_the_same_ports(tmp_path: Path) -> None:
    with free_ports(tmp_path / "probes", 7, 3) as ours, free_ports(tmp_path / "probes", 6, 4) as theirs:
        assert not set(ours) & set(theirs)
        assert len({*ours, *theirs}) == 7
    with free_ports(tmp_path / "probes", 7, 3) as again:
        assert again == ours
    with (
        free_ports(tmp_path / "probes", 0, 199),
        pytest.raises(ProbeError, match="2 blocks of ports are wanted, and 1 are free"),
        free_ports(tmp_path / "probes", 0, 2),
    ):
        pass


def test_what_a_process_is_told_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = FlowProbeConfig(
        source="flow-probe 1",
        history="h",
        port=20000,
        flows=(
            FlowConfig(
                name="a → b udp", lane="l", protocol="udp", netns="a", near="10.0.0.1", far="10.0.0.2", far_netns="b",
                streams=(StreamConfig(port=20001, over=("a", "s")), StreamConfig(port=20002)),
            ),
        ),
    )  # fmt: skip
    save(config, tmp_path / "c.json")
    assert FlowProbeConfig.load(tmp_path / "c.json") == config


@pytest.mark.parametrize("number", [0, 1, 0xFFFF, 0x10000, 0x12345678, 0xFFFFFFFF])
def test_an_echo_request_has_the_checksum_of_its_contents(number: int) -> None:
    token = bytes(range(0xF8, 0x100))
    packet = echo_head("192.0.2.1", token, 513)(number) + struct.pack("!8sHI", token, 513, number)
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
    assert packet[0] == 8


@dataclass
class Kernel:
    """A device whose `ip route get` sends even ports over spine0, and odd ones over spine1, if it has a route."""

    name: str
    asked: list[str] = field(default_factory=list)

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        del timeout, check
        said: list[str] = []
        failed: list[str] = []
        for at, question in enumerate((stdin or "").splitlines(), start=1):
            self.asked.append(question)
            answer = self._answer(question.split())
            (said if answer else failed).append(answer or f"Command failed -:{at}")
        return Completed(argv=tuple(argv), status=0, stdout="\n".join(said), stderr="\n".join(failed))

    def _answer(self, words: list[str]) -> str:
        target, port = words[2], int(words[words.index("sport") + 1])
        if self.name == "spine0" and port % 4 == 0:
            return ""
        if target == str(SITE.router("rack1-tor0").loopback.ip) and self.name == "rack1-tor0":
            return f'[{{"type":"local","dst":"{target}","dev":"lo"}}]'
        if self.name.startswith("spine"):
            return f'[{{"dst":"{target}","gateway":"10.0.0.9","dev":"rack1-tor0"}}]'
        return f'[{{"dst":"{target}","gateway":"10.0.0.8","dev":"spine{port % 2}"}}]'


@dataclass
class Kernels:
    topology = SITE
    routers: dict[str, Kernel]
    externals: dict[str, Kernel]


def test_ways_are_followed_from_kernel_to_kernel_and_end_where_there_is_no_route() -> None:
    flow = next(each for each in ALL if each.name == "rack0-tor0 → rack1-tor0 udp")
    kernels = Kernels({name: Kernel(name) for name in ("rack0-tor0", "rack1-tor0", "spine0", "spine1")}, {})
    found = ways(cast(DataCenter, kernels), [flow], range(20001, 20005), 20000)[flow]
    assert found == {
        20001: (("rack0-tor0", "spine1"), ("spine1", "rack1-tor0")),
        20002: (("rack0-tor0", "spine0"), ("spine0", "rack1-tor0")),
        20003: (("rack0-tor0", "spine1"), ("spine1", "rack1-tor0")),
        20004: (("rack0-tor0", "spine0"),),
    }
    assert kernels.routers["spine1"].asked[0] == (
        f"route get {flow.far} from {flow.near} iif rack0-tor0 ipproto udp sport 20001 dport 20000"
    )
    assert ip_address(str(flow.near)) == SITE.router("rack0-tor0").loopback.ip


def test_the_tail_of_a_live_history_leaves_out_what_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("before\n")
    tail = Tail(path)
    good = event(1.0, "note").to_line()
    with path.open("a") as file:
        file.write(f'{good}{{"time":2.0,"kind":"no{good}[]\n{good[:20]}')
    assert [each.time for each in tail.read()] == [1.0]
    with path.open("a") as file:
        file.write(good[20:])
    assert [each.time for each in tail.read()] == [1.0, 1.0]


def test_an_outage_lasts_from_the_packet_before_to_the_one_after() -> None:
    assert FlowOutage(start=1.0, end=1.03, lost=2).seconds == pytest.approx(0.03)
