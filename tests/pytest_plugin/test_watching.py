"""What happens around the body of a scenario is read from a history that others write to at the same time."""

from __future__ import annotations

from pathlib import Path

from vdc.history import Event
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.pytest_plugin.watching import Watcher
from vdc.testing import FakeDataCenter

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


def test_a_line_that_is_torn_or_no_event_is_no_reason_to_stop(tmp_path: Path) -> None:
    dc = FakeDataCenter(expand(load(TOPOLOGIES / "small.yml")), tmp_path)
    dc.recorder.start()
    watcher = Watcher(dc)
    panic = Event(
        time=1.0, kind="console", source="rack0-cs0", data={"line": "Kernel panic - not syncing: x", "rule": "panic"}
    ).to_line()
    with dc.recorder.path.open("a") as file:
        file.write(f'{panic[:30]}{panic}\x00\x00\n[1, 2]\n{{"kind": "console"}}\n{panic}{panic[:40]}')
    seen = watcher.seen((), patient=False)
    assert "panic" in seen.console
    assert seen.starved == ""
