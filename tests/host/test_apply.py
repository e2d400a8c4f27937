"""A running data centre becomes another one, and those that stay the same lose not one packet."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from signal import SIGINT

import pytest

from tests.host import prober
from tests.host.conftest import Command, traces
from tests.host.moments import kill_at, says
from vdc.datacenter import lifecycle
from vdc.datacenter.convergence import differences, wait_converged
from vdc.datacenter.live import DIRTY, LiveDataCenter
from vdc.datacenter.router import LiveClient
from vdc.host import netlink
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

NAME, NAME_GUESTS = "t-apply", "t-apply-guests"
PROBER = str(Path(prober.__file__))

FABRIC = """\
name: fabric
fabric: {borders: 2, spines: 2}
racks: [{count: 2}]
"""

Pair = tuple[str, str]
"""Who sends, and who sends back."""

PAIRS: tuple[Pair, ...] = (
    ("rack0-tor0", "rack1-tor1"),
    ("rack1-tor0", "rack0-tor1"),
    ("external", "rack0-tor0"),
    ("border1", "rack1-tor0"),
)


@pytest.fixture(scope="module")
def fabric(settings: Settings, vdc: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file of a fabric that is up under NAME."""
    file = tmp_path_factory.mktemp("apply") / "fabric.yml"
    file.write_text(FABRIC)
    vdc("up", str(file), "--name", NAME)
    yield file
    vdc("down", NAME)
    assert traces(NAME, settings) == []


def running(settings: Settings) -> LiveDataCenter:
    return lifecycle.attach(NAME, settings, Steps())


def address(dc: LiveDataCenter, device: str) -> str:
    externals = {each.name: str(each.address.ip) for each in dc.topology.externals}
    return externals.get(device) or str(dc.topology.router(device).loopback.ip)


def is_ready(said: Path) -> None:
    if not said.read_text().startswith("ready\n"):
        raise NotYet(said.read_text())


@contextmanager
def probed(dc: LiveDataCenter, pairs: Sequence[Pair], folder: Path) -> Iterator[None]:
    """Let datagrams go to and fro between pairs of devices all the while, and see that each came back."""

    def place(device: str) -> LiveClient:
        return LiveClient(name=device, netns=dc.plan.context.device_netns(device))

    started = []
    for number, (_, far) in enumerate(pairs):
        with (folder / f"echo{number}").open("wb") as output:
            started.append(place(far).start([sys.executable, PROBER, "echo", address(dc, far)], output=output))
    probes = []
    for number, (near, far) in enumerate(pairs):
        argv = [sys.executable, PROBER, "probe", address(dc, far), address(dc, near)]
        with (folder / f"probe{number}").open("wb") as output:
            probes.append(place(near).start(argv, output=output))
    for number, pair in enumerate(pairs):
        wait_for(partial(is_ready, folder / f"probe{number}"), what=f"an answer from {pair[1]}", timeout=30)
    try:
        yield
    finally:
        for probe in probes:
            probe.terminate()
            probe.wait(10)
        for echo in started:
            echo.kill()
            echo.wait()
    for number, pair in enumerate(pairs):
        said = (folder / f"probe{number}").read_text().partition("ready\n")[2]
        found = json.loads(said)
        assert found["sent"] > prober.FLOWS * 50, f"{pair}: nothing was probed: {said}"
        assert found["lost"] == [], f"{pair}: lost {len(found['lost'])} of {found['sent']}: {found['lost'][:10]}"


STEPS: Mapping[str, tuple[str, str]] = {
    "a rack is added": (FABRIC.replace("count: 2", "count: 3"), "+ tor rack2-tor0"),
    "the rack is removed": (FABRIC, "- tor rack2-tor1"),
    "a spine is added": (FABRIC.replace("spines: 2", "spines: 3"), "+ spine spine2"),
    "the spine is removed": (FABRIC, "- spine spine2"),
    "a border is added": (FABRIC.replace("borders: 2", "borders: 3"), "+ border border2"),
    "the border is removed": (FABRIC, "- border border2"),
    "a link is made slower and smaller": (
        f"{FABRIC}links: [{{between: [spine0, rack0-tor0], mtu: 1300, rate: 100Mbit}}]\n",
        " → 1300",
    ),
    "the link is as it was": (FABRIC, "mtu: 1300 → "),
    "all links to a rack are made slower": (
        f'{FABRIC}links: [{{between: ["spine*", "rack0-*"], rate: 50Mbit}}]\n',
        "to_a: none → rate 50 Mbit/s",
    ),
    "all links are as they were": (FABRIC, "to_b: rate 50 Mbit/s → none"),
    "a rack and a border come and a spine goes": (
        FABRIC.replace("count: 2", "count: 3").replace("borders: 2, spines: 2", "borders: 3, spines: 1"),
        "- spine spine1",
    ),
    "all that is undone": (FABRIC, "+ spine spine1"),
}
"""What the file says next, one after the other, and what must be told of it."""


def test_the_probe_notices_a_spine_that_is_not_drained(fabric: Path, settings: Settings, tmp_path: Path) -> None:
    dc = running(settings)
    assert fabric.exists()
    probe = probed(dc, PAIRS, tmp_path)
    probe.__enter__()
    dc.routers["spine1"].power_off()
    wait_converged(dc, down=("spine1",))
    with pytest.raises(AssertionError, match="lost"):
        probe.__exit__(None, None, None)
    dc.routers["spine1"].power_on()
    wait_converged(dc)


@pytest.mark.parametrize("step", STEPS)
def test_what_stays_loses_no_packet_while(
    step: str, fabric: Path, settings: Settings, vdc: Command, tmp_path: Path
) -> None:
    text, told = STEPS[step]
    fabric.write_text(text)
    with probed(running(settings), PAIRS, tmp_path):
        said = vdc("apply", str(fabric), "--name", NAME).stdout
    assert told in said
    after = running(settings)
    assert differences(after) == ()
    named = {after.plan.context.netns, *(after.plan.context.device_netns(name) for name in after.routers)}
    assert set(netlink.namespaces(f"vdc-{NAME}")) == named | {after.plan.context.device_netns("external")}
    assert vdc("apply", str(fabric), "--name", NAME).stdout == "nothing to change\n"


def test_what_cannot_change_is_refused_by_name_and_nothing_is_touched(
    fabric: Path, vdc: Command, settings: Settings
) -> None:
    before = running(settings).plan
    other = fabric.with_name("other.yml")
    other.write_text(f"{FABRIC}overrides: {{spine0: {{asn: 4200009999}}}}\n")
    said = vdc("apply", str(other), "--name", NAME, status=2)
    assert "asn: 4200000001 → 4200009999" in said.stdout
    assert "spine0: asn: " in said.stderr
    assert running(settings).plan == before
    assert running(settings).dirty() is None


def test_a_dry_run_tells_the_difference_and_touches_nothing(fabric: Path, vdc: Command, settings: Settings) -> None:
    before = running(settings).plan
    other = fabric.with_name("other.yml")
    other.write_text(FABRIC.replace("count: 2", "count: 9"))
    assert "+ tor rack8-tor1" in vdc("apply", str(other), "--name", NAME, "--dry-run").stdout
    assert running(settings).plan == before
    assert differences(running(settings)) == ()


def test_one_that_is_degraded_or_dirty_or_not_there_is_refused(fabric: Path, vdc: Command, settings: Settings) -> None:
    other = fabric.with_name("other.yml")
    other.write_text(FABRIC.replace("count: 2", "count: 3"))
    dc = running(settings)
    dc.routers["spine0"].power_off()
    assert f"{NAME} is degraded" in vdc("apply", str(other), "--name", NAME, status=1).stderr
    dc.routers["spine0"].power_on()
    wait_converged(dc)
    dc.mark_dirty("somebody was here")
    assert "is dirty: somebody was here" in vdc("apply", str(other), "--name", NAME, status=1).stderr
    (dc.run_directory / DIRTY).unlink()
    assert "no data centre 'nowhere'" in vdc("apply", str(other), "--name", "nowhere", status=2).stderr
    assert differences(dc) == ()


MOMENTS = {
    "before anything is built": says("build what is new …"),
    "while it grows": says("wait for what is there to converge …"),
    "while it is drained": says("drain what leaves …"),
    "while it shrinks": says("remove what leaves …"),
    "at its end": says("wait for everything to converge …"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_apply_is_dirty_and_leaves_nothing_after_down(
    moment: str, settings: Settings, vdc: Command, gone: list[str], tmp_path: Path
) -> None:
    name = "t-apply-killed"
    gone.append(name)
    file = tmp_path / "fabric.yml"
    file.write_text(FABRIC)
    vdc("up", str(file), "--name", name)
    file.write_text(FABRIC.replace("count: 2", "count: 3").replace("spines: 2", "spines: 1"))
    argv = ["apply", str(file), "--name", name]
    kill_at(MOMENTS[moment], settings.state_dir / name, argv, vdc, tmp_path / "log")
    assert "is dirty: `vdc apply` did not come to its end" in vdc(*argv, status=1).stderr
    assert "dirty" in vdc("status", name, status=1).stdout
    vdc("down", name)
    assert traces(name, settings) == []


GUESTS = """\
name: guests
fabric: {borders: 1, spines: 2}
racks: [{servers: {cs: 1}}, {servers: {cs: 1}}]
roles:
  cs: {memory: 512MiB, data: 256MiB}
  ss: {memory: 512MiB, data: 256MiB}
"""
GROWN = GUESTS.replace("racks: [{servers: {cs: 1}}, ", "racks: [{servers: {cs: 2, ss: 1}}, {servers: {cs: 1}}, ")
MOVED_UP = GUESTS.replace("racks: [{servers: {cs: 1}}, ", "racks: [{servers: {cs: 2}}, ")
CLIENT = "external"


@contextmanager
def pinged(dc: LiveDataCenter, servers: Sequence[str], folder: Path) -> Iterator[None]:
    """Let a client ping servers every 10 ms, and see that each echo came back."""
    started = []
    for name in servers:
        argv = ["ping", "-n", "-i", "0.01", str(dc.topology.server(name).node.ip)]
        with (folder / name).open("wb") as output:
            started.append(dc.externals[CLIENT].start(argv, output=output))
    try:
        yield
    finally:
        for each in started:
            each.send_signal(SIGINT)
            each.wait(10)
    for name in servers:
        seen = {int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", (folder / name).read_text())}
        assert len(seen) > 100, (folder / name).read_text()[-500:]
        assert set(range(1, max(seen))) - seen == set(), f"{name} lost echoes of {max(seen)}"


def test_servers_come_and_go_and_those_that_stay_lose_no_packet_and_do_not_restart(
    settings: Settings, vdc: Command, gone: list[str], tmp_path: Path
) -> None:
    gone.append(NAME_GUESTS)
    file = tmp_path / "guests.yml"
    file.write_text(GUESTS)
    vdc("up", str(file), "--name", NAME_GUESTS)
    dc = lifecycle.attach(NAME_GUESTS, settings, Steps())
    boots = {name: server.boot_id() for name, server in dc.servers.items()}

    file.write_text(GROWN)
    with pinged(dc, ["rack0-cs0", "rack1-cs0"], tmp_path):
        said = vdc("apply", str(file), "--name", NAME_GUESTS).stdout
    assert "+ server rack0-cs1\n+ server rack0-ss0\n+ server rack2-cs0" in said
    grown = lifecycle.attach(NAME_GUESTS, settings, Steps())
    assert differences(grown) == ()
    for name in ("rack0-ss0", "rack2-cs0"):
        grown.servers["rack1-cs0"].run(["ping", "-n", "-c", "1", "-W", "5", name])
        assert (grown.run_directory / "consoles" / f"{name}.log").exists()

    file.write_text(MOVED_UP)
    with pinged(dc, ["rack0-cs0", "rack1-cs0"], tmp_path):
        said = vdc("apply", str(file), "--name", NAME_GUESTS).stdout
    assert "- server rack2-cs0" in said
    moved = lifecycle.attach(NAME_GUESTS, settings, Steps())
    was, now = (str(each.topology.server("rack0-cs1").node) for each in (grown, moved))
    assert f"nodes: {was} → {now}" in said
    assert differences(moved) == ()
    addresses = moved.servers["rack0-cs1"].run(["ip", "-o", "addr", "show", "node0"]).stdout
    assert (f" {now} " in addresses, f" {was} " in addresses) == (True, False)

    file.write_text(GUESTS)
    with pinged(dc, ["rack0-cs0", "rack1-cs0"], tmp_path):
        assert "- server rack0-cs1" in vdc("apply", str(file), "--name", NAME_GUESTS).stdout
    assert differences(dc) == ()
    assert {name: server.boot_id() for name, server in dc.servers.items()} == boots
    assert "rack2-cs0" not in dc.servers["rack0-cs0"].run(["cat", "/etc/hosts"]).stdout
    left = [path.name for path in dc.run_directory.rglob("*rack2*") if "ed25519" not in path.name]
    assert left == []
    assert len(list(dc.run_directory.glob("libvirt/etc/qemu/*.xml"))) <= len(boots)
    vdc("down", NAME_GUESTS)
    assert traces(NAME_GUESTS, settings) == []
