"""What a real guest tells has its place on the time line: its clock, its journal, the hypervisor, and evidence."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import Command, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.live import LiveDataCenter
from vdc.evidence import gather
from vdc.history import read
from vdc.observe.clocks import measure
from vdc.observe.domain_events import listening
from vdc.observe.inside import Inside
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

ONE = Path(__file__).with_name("one.yml")


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(ONE), "--name", "t-inside", timeout=900)
    yield lifecycle.attach("t-inside", settings, Steps())
    lifecycle.down("t-inside", settings, Steps())
    assert traces("t-inside", settings) == []


def test_a_clock_that_is_stepped_is_measured_and_the_journal_still_has_its_place(one: LiveDataCenter) -> None:
    server = one.servers["rack0-cs0"]
    straight = measure(server)
    assert abs(straight.seconds) <= 1.0
    server.run(["date", "--set", f"@{time.time() + 60:.3f}"])
    stepped = measure(server)
    assert stepped.seconds - straight.seconds == pytest.approx(60, abs=5)
    seen = Inside(one)
    begin = time.monotonic()
    server.run(["logger", "--priority", "user.err", "planted"])
    end = time.monotonic()
    events = seen.read()
    (planted,) = [event for event in events if event.data.get("text") == "planted"]
    uncertainty = planted.data["uncertainty"]
    assert begin - uncertainty - 0.1 <= planted.time <= end + uncertainty + 0.1
    assert uncertainty < 1.0
    server.run(["date", "--set", f"@{time.time():.3f}"])


def test_what_the_hypervisor_sees_is_told_as_it_happens(one: LiveDataCenter) -> None:
    server = one.servers["rack0-cs0"]

    def heard() -> None:
        server.libvirt.suspend("rack0-cs0")
        server.libvirt.resume("rack0-cs0")
        told = {event.data["name"] for event in read(one.recorder.path) if event.kind == "machine"}
        if not {"suspended", "resumed"} <= told:
            raise NotYet(f"only {told}")

    with listening(one):
        wait_for(heard, what="events of the guest", timeout=60, interval=1.0)


def test_evidence_of_a_guest_has_its_journal_and_tables_and_none_of_its_keys(
    one: LiveDataCenter, tmp_path: Path
) -> None:
    secret = (one.run_directory / "secrets" / "id_ed25519").read_text().splitlines()[1]
    one.servers["rack0-cs0"].run(["logger", f"a careless program says {secret} and DB_PASSWORD=correcthorse"])
    bundle = gather(one, tmp_path / "it.tar.gz")
    with tarfile.open(bundle.path) as file:
        members = {each.name.removeprefix("it/"): file.extractfile(each) for each in file}
        content = {name: found.read().decode(errors="replace") for name, found in members.items() if found is not None}
    assert "a careless program says [redacted] and DB_PASSWORD=[redacted]" in content["journals/rack0-cs0.txt"]
    assert "Established" in content["bird/rack0-cs0.txt"]
    assert "proto bird" in content["routes/rack0-cs0.txt"]
    assert content["consoles/rack0-cs0.log"] is not None
    assert not [name for name, text in content.items() if secret in text or "correcthorse" in text]
