"""Requests as they are made: a process of its own against servers on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vdc.errors import VdcError
from vdc.observe.flow_checkers import judge_flows
from vdc.observe.flow_watch import FlowSeen, FlowWatch
from vdc.observe.ledger import PathOutage
from vdc.observe.request_probe import RequestProber
from vdc.observe.request_watch import requests
from vdc.observe.sampler import ProbeError, save
from vdc.observe.targets import RequestProbeConfig, Target
from vdc.testing.loopback import LoopbackClient, LoopbackDataCenter
from vdc.wait import ticks

PERIOD = 0.02


class Server(ThreadingHTTPServer):
    """Counts connections, and answers with `status`, or not at all while it is `mute`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.status = 200
        self.answers = threading.Event()
        self.answers.set()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/ready?verbose"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.answers.wait(10.0)
        self.send_response(self.server.status if self.path == "/ready?verbose" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.answers.set()
    running.shutdown()
    running.server_close()


@pytest.fixture
def dc(tmp_path: Path) -> LoopbackDataCenter:
    return LoopbackDataCenter(run_directory=tmp_path, subnet=(9, 9))


def both(url: str, **more: Any) -> list[Target]:
    return [
        Target(name=f"x {how}", lane="x", device="server", url=url, reuse=how == "reused", period=PERIOD, **more)
        for how in ("new", "reused")
    ]


def let_pass(seconds: float) -> None:
    for _ in ticks(seconds, duration=seconds):
        pass


def seen(watch: FlowWatch, name: str) -> FlowSeen:
    return next(flow for flow in watch.flows if flow.name == name)


def test_requests_go_over_new_connections_and_over_reused_ones(dc: LoopbackDataCenter, server: Server) -> None:
    with requests(dc, LoopbackClient(), both(server.url, patience=5.0)) as watch:
        let_pass(1.5)
    new, reused = seen(watch, "x new"), seen(watch, "x reused")
    assert new.sent > 5
    assert reused.sent > 5
    assert (new.lost, reused.lost) == (0, 0)
    assert new.ends == ("external", "server")
    few = server.connections - new.sent
    assert 1 <= few < reused.sent / 2, "the reused ones made hardly any connections"
    judge_flows(watch, longest=5.0)


def test_an_answer_that_is_no_good_is_an_outage_and_says_what_it_was(dc: LoopbackDataCenter, server: Server) -> None:
    with requests(dc, LoopbackClient(), both(server.url, patience=5.0)) as watch:
        let_pass(0.5)
        began, server.status = time.monotonic(), 503
        let_pass(1.0)
        failed, server.status = time.monotonic() - began, 200
        let_pass(0.5)
    starved = sum(gap.seconds for gap in watch.gaps)
    for flow in watch.flows:
        longest = max(flow.outages, key=lambda outage: outage.seconds)
        assert failed / 2 - starved < longest.seconds < failed + starved + 2.0
        assert str(PathOutage(flow.name, longest)).endswith(" s (answered 503)")


def test_a_server_that_hangs_is_an_outage_from_the_first_request_that_waits(
    dc: LoopbackDataCenter, server: Server
) -> None:
    with requests(dc, LoopbackClient(), both(server.url, patience=0.3)) as watch:
        let_pass(0.5)
        server.answers.clear()
        let_pass(1.5)
        server.answers.set()
        let_pass(0.5)
    assert all(flow.longest > 1.0 for flow in watch.flows), [flow.longest for flow in watch.flows]
    assert {outage.why for flow in watch.flows for outage in flow.outages} == {"no answer within 0.3 s"}


def test_the_body_begins_when_every_target_has_answered_and_what_was_before_is_not_told(
    dc: LoopbackDataCenter, server: Server
) -> None:
    server.status = 503
    begun = time.monotonic()
    late = threading.Timer(1.5, setattr, (server, "status", 200))
    late.start()
    with requests(dc, LoopbackClient(), both(server.url, patience=5.0)) as watch:
        assert time.monotonic() - begun > 1.5
        let_pass(0.5)
    late.join()
    assert all(flow.lost for flow in watch.flows)
    assert [flow.outages for flow in watch.flows] == [(), ()]


def test_a_refused_connection_is_lost(dc: LoopbackDataCenter) -> None:
    with requests(dc, LoopbackClient(), both("http://127.0.0.1:9/")) as watch:
        let_pass(0.5)
    assert all(flow.lost == flow.sent > 2 for flow in watch.flows)
    assert watch.flows[0].outages[0].why == "Connection refused"


def test_names_are_asked_for_and_a_refusal_is_lost(dc: LoopbackDataCenter) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
        server.bind(("127.0.0.1", 0))
        threading.Thread(target=answer_names, args=(server,), daemon=True).start()
        place = f"dns://127.0.0.1:{server.getsockname()[1]}"
        targets = [
            Target(name=name, lane="dns", device="server", url=f"{place}/{name}", period=PERIOD)
            for name in ("web.vdc.svc", "nobody.vdc.svc.")
        ]
        with requests(dc, LoopbackClient(), targets) as watch:
            let_pass(0.8)
    assert (seen(watch, "web.vdc.svc").lost, seen(watch, "web.vdc.svc").sent > 0) == (0, True)
    nobody = seen(watch, "nobody.vdc.svc.")
    assert nobody.lost == nobody.sent > 0
    assert nobody.outages[0].why == "no address: response code 3"


def answer_names(server: socket.socket) -> None:
    """Answer as a name server that knows names that begin with `web`, until the socket is closed."""
    while True:
        try:
            question, sender = server.recvfrom(512)
        except OSError:
            return
        known = question[13:16] == b"web"
        code, records = (0, 1) if known else (3, 0)
        head = question[:2] + (0x8180 | code).to_bytes(2, "big") + question[4:6] + records.to_bytes(2, "big") + bytes(4)
        record = b"\xc0\x0c\x00\x01\x00\x01" + (5).to_bytes(4, "big") + b"\x00\x04\xc0\x00\x02\x01" if known else b""
        server.sendto(head + question[12:] + record, sender)


def test_a_probe_that_was_stopped_says_so(dc: LoopbackDataCenter, server: Server) -> None:
    with requests(dc, LoopbackClient(), both(server.url, patience=5.0)) as watch:
        let_pass(0.5)
        (process,) = (pid for pid in children() if "request_probe" in command(pid))
        os.kill(process, signal.SIGSTOP)
        let_pass(1.5)
        os.kill(process, signal.SIGCONT)
        let_pass(0.5)
    assert max(gap.seconds for gap in watch.gaps) > 1.4
    with pytest.raises(AssertionError, match=r"longest_flow_outage: unknown: .*starved"):
        judge_flows(watch, longest=0.5)


def test_a_stall_shorter_than_its_patience_is_told_however_seldom_it_asks(
    dc: LoopbackDataCenter, server: Server
) -> None:
    seldom = [replace(each, period=0.5) for each in both(server.url, patience=2.0)]
    with requests(dc, LoopbackClient(), seldom) as watch:
        let_pass(0.3)
        (process,) = (pid for pid in children() if "request_probe" in command(pid))
        os.kill(process, signal.SIGSTOP)
        let_pass(1.2)
        os.kill(process, signal.SIGCONT)
        let_pass(0.3)
    assert max((gap.seconds for gap in watch.gaps), default=0.0) > 1.1
    assert {gap.source for gap in watch.gaps} == {event.source for event in watch.events if event.kind == "gap"}


def test_an_outage_at_the_end_lasts_until_asking_stopped_and_not_until_patience_is_over(
    dc: LoopbackDataCenter, server: Server
) -> None:
    with requests(dc, LoopbackClient(), both(server.url, patience=3.0)) as watch:
        let_pass(0.5)
        server.answers.clear()
        let_pass(0.2)
    assert watch.flows[0].outages
    assert all(each.end < watch.ended + 1.0 for flow in watch.flows for each in flow.outages)


def children() -> list[int]:
    return [pid for task in Path("/proc/self/task").iterdir() for pid in children_of(task)]


def children_of(task: Path) -> list[int]:
    """None where the thread ended since it was listed: the server's threads end with their connections."""
    try:
        return [int(pid) for pid in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")


def test_nothing_to_ask_is_an_error(dc: LoopbackDataCenter) -> None:
    with pytest.raises(ProbeError, match="no target"), requests(dc, LoopbackClient(), []):
        pass


def test_a_probe_that_nobody_stops_ends_badly_at_its_deadline(tmp_path: Path, server: Server) -> None:
    config = RequestProbeConfig(source="p", history=str(tmp_path / "h"), targets=tuple(both(server.url)), duration=0.3)
    save(config, tmp_path / "c.json")
    assert RequestProbeConfig.load(tmp_path / "c.json") == config

    async def run() -> None:
        await RequestProber(config).run()

    with pytest.raises(VdcError, match=r"nobody stopped it within 0\.3 s"):
        asyncio.run(run())
