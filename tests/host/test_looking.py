"""Looking into a data centre of real namespaces: packets, evidence, and that nothing stays for ever."""

from __future__ import annotations

import os
import signal
import struct
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import TOPOLOGIES, Command, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.stay import Stay, stay_of
from vdc.evidence import gather
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.packets import captured, capturing
from vdc.settings import Settings
from vdc.shell import start
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

FABRIC = TOPOLOGIES / "fabric.yml"
_PINGS = 200
_PATIENCE = 120.0


@pytest.fixture(scope="module")
def fabric(settings: Settings) -> Iterator[LiveDataCenter]:
    plan = lifecycle.prepare(expand(load(FABRIC)), "t-look", settings, Steps())
    dc = lifecycle.up(plan, settings, Steps())
    yield dc
    lifecycle.down(dc.name, settings, Steps())


def test_the_latest_packets_of_tors_and_borders_are_kept_at_little_cost(fabric: LiveDataCenter) -> None:
    target = str(fabric.topology.router("rack0-tor0").loopbacks[0].ip)
    with capturing(fabric):
        captured(fabric)  # it keeps them now
        fabric.externals["external"].run(["ping", "-q", "-c", str(_PINGS), "-i", "0.005", target])
        found = captured(fabric)
        again = captured(fabric)
    assert found.files.keys() == {f"{name}.pcapng" for name in fabric.routers if "spine" not in name}
    echoes = [packet for packet in _packets(found.files["rack0-tor0.pcapng"]) if packet[23:24] == b"\1"]
    assert len(echoes) == 2 * _PINGS, "a request and an answer of each"
    assert len(again.files["rack0-tor0.pcapng"]) > len(found.files["rack0-tor0.pcapng"]), "it goes on"
    assert max(len(packet) for packet in echoes) <= 96
    assert {device["lost"] for device in found.told["devices"].values()} == {0}
    figure = f"keeping packets of {len(found.files)} routers takes {found.told['cpu']:.2%} of a core"
    sys.stderr.write(f"{figure}\n")
    assert found.told["cpu"] < 0.05, figure
    assert not list(fabric.run_directory.glob("packets.sock"))


def test_a_ring_that_is_full_forgets_the_oldest_and_loses_nothing(fabric: LiveDataCenter) -> None:
    target = str(fabric.topology.router("rack0-tor0").loopbacks[0].ip)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vdc.observe.packets.TOTAL", 0)
        with capturing(fabric):
            captured(fabric)
            fabric.externals["external"].run(["ping", "-q", "-c", "2000", "-i", "0.002", target], timeout=_PATIENCE)
            found = captured(fabric)
    told = found.told["devices"]["rack0-tor0"]
    echoes = [packet for packet in _packets(found.files["rack0-tor0.pcapng"]) if packet[23:24] == b"\1"]
    numbers = [int.from_bytes(packet[40:42], "big") for packet in echoes if packet[34] == 8]
    assert told["lost"] == 0
    assert 100 < len(numbers) < 2000
    assert numbers == list(range(2001 - len(numbers), 2001)), "the latest, in their order"


def test_what_was_sent_around_a_fault_is_remembered_when_the_rest_is_forgotten(fabric: LiveDataCenter) -> None:
    client, target = fabric.externals["external"], str(fabric.topology.router("rack0-tor0").loopbacks[0].ip)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vdc.observe.packets.TOTAL", 0)
        with capturing(fabric):
            captured(fabric)
            client.run(["ping", "-q", "-c", "5", "-s", "77", target])
            fabric.recorder.record("fault", "harness", name="nothing", phase="bites")
            client.run(["ping", "-q", "-c", "6", "-i", "1", target])
            client.run(["ping", "-q", "-c", "2000", "-i", "0.002", target], timeout=_PATIENCE)
            found = captured(fabric)
    told = found.told["devices"]["rack0-tor0"]
    echoes = [packet for packet in _packets(found.files["rack0-tor0.pcapng"]) if packet[23:24] == b"\1"]
    lengths = [int.from_bytes(packet[16:18], "big") for packet in echoes]
    assert lengths.count(77 + 28) >= 2, "those before the fault"
    assert len(echoes) < 4000, f"the oldest of the others are forgotten: {told}"


def test_evidence_of_a_real_fabric_has_routes_tables_and_packets(fabric: LiveDataCenter, tmp_path: Path) -> None:
    with capturing(fabric):
        bundle = gather(fabric, tmp_path / "it.tar.gz", facts={"seed": "7"})
    with tarfile.open(bundle.path) as file:
        content = {each.name.removeprefix("it/"): file.extractfile(each).read() for each in file}  # type: ignore[union-attr]
    assert b"Established" in content["bird/spine0.txt"]
    assert b"proto bird" in content["routes/spine0.txt"]
    assert b"qdisc noqueue" in content["qdiscs/rack0-tor0.txt"]
    assert content["packets/rack0-tor0.pcapng"][:4] == struct.pack("<I", 0x0A0D0D0A)
    assert b'"bird:spine0"' in content["plan.json"] or b"spine0" in content["plan.json"]
    refused = [line for line in bundle.index.splitlines() if "not gathered" in line]
    assert refused == ["cluster/state.jsonl: not gathered: no cluster is deployed"]


def test_what_was_brought_up_for_a_time_goes_when_that_is_over(vdc: Command, settings: Settings) -> None:
    vdc("up", str(FABRIC), "--name", "t-ttl", "--ttl", "12s")
    vdc("extend", "t-ttl", "1s")
    assert "goes until" in vdc("list").stdout
    _wait_gone("t-ttl", settings)


def test_a_data_centre_that_is_taken_down_early_leaves_no_keeper(vdc: Command, settings: Settings) -> None:
    vdc("up", str(FABRIC), "--name", "t-ttl", "--ttl", "1h")
    vdc("down", "t-ttl")
    assert traces("t-ttl", settings) == []


def test_what_a_killed_run_held_stays_for_its_time_and_then_goes(
    vdc: Command, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "test_it.py").write_text("def test_bad(dc):\n    assert not 'this'\n")
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    own = [f"--topology={FABRIC}", "--name=t-hold", f"--run-dir={tmp_path / 'report'}", "--hold-on-failure=20s"]
    with (tmp_path / "out").open("wb") as output:
        harness = start([*argv, *own], output=output, env=vdc.environment | {"PYTEST_ADDOPTS": ""})
    directory = settings.state_dir / "t-hold"
    held = wait_for(lambda: _kept(directory, tmp_path / "out"), what="the run to hold", timeout=300)
    os.kill(harness.pid, signal.SIGKILL)
    harness.wait()
    assert "held until" in vdc("list").stdout
    vdc("gc")
    vdc("exec", "t-hold", "spine0", "--", "ip", "route")
    longer = vdc("extend", "t-hold", "2s").stdout
    assert "t-hold stays until" in longer
    assert "no run holds t-hold" in vdc("resume", "t-hold", status=2).stderr
    _wait_gone("t-hold", settings)
    assert held.holder is not None
    assert (tmp_path / "out").read_text().count("HELD: test_it.py::test_bad") == 1


def _kept(directory: Path, output: Path) -> Stay:
    found = stay_of(directory, "hold")
    if found is None or found.keeper is None:
        raise NotYet(output.read_text())
    return found


def _wait_gone(name: str, settings: Settings) -> None:
    def gone() -> None:
        if found := traces(name, settings):
            raise NotYet("\n".join(found))

    wait_for(gone, what=f"{name} to go", timeout=180)


def _packets(file: bytes) -> Iterator[bytes]:
    """Yield the packets of a file in pcapng."""
    place = 0
    while place < len(file):
        kind, length = struct.unpack_from("<II", file, place)
        assert struct.unpack_from("<I", file, place + length - 4)[0] == length
        if kind == 6:
            (kept,) = struct.unpack_from("<I", file, place + 20)
            yield file[place + 28 : place + 28 + kept]
        place += length
