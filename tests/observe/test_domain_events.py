"""What the hypervisor says of guests reaches the history: with libvirt's own driver for tests, which has one guest."""

from __future__ import annotations

import sys
from pathlib import Path

from vdc.history import Event, read
from vdc.shell import start
from vdc.wait import NotYet, wait_for

_PROGRAM = """
import sys
from pathlib import Path
from threading import Thread

from vdc.host.libvirtd import connect
from vdc.observe.domain_events import main
from vdc.wait import ticks

def deeds():
    guest = connect("test:///default")
    for _ in ticks(0.2):
        guest.suspend("test")
        guest.resume("test")

Thread(target=deeds, daemon=True).start()
main("test:///default", Path(sys.argv[1]))
"""


def test_what_happens_to_a_guest_is_in_the_history(tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    with (tmp_path / "out").open("wb") as output:
        process = start([sys.executable, "-c", _PROGRAM, str(history)], output=output)

    def told() -> list[Event]:
        found = [event for event in read(history) if event.kind == "machine"]
        if not {"suspended", "resumed"} <= {event.data["name"] for event in found}:
            raise NotYet((tmp_path / "out").read_text() or str(found))
        return found

    try:
        found = wait_for(told, what="events of the guest", timeout=60)
    finally:
        process.kill()
        process.wait()
    assert {event.source for event in found} == {"test"}
    assert ("suspended", "paused") in {(event.data["name"], event.data["text"]) for event in found}
