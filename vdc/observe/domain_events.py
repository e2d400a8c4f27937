"""What the hypervisor says of its guests, as it happens: `python -m vdc.observe.domain_events ADDRESS HISTORY`.

A process of its own, since it waits on libvirt for ever. QEMU's own events (QMP: SHUTDOWN, RESET, GUEST_PANICKED,
WATCHDOG, BLOCK_IO_ERROR …) come through libvirt, which is the one that is connected to its monitor.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vdc import shell
from vdc.datacenter.api import DataCenter
from vdc.history import Recorder
from vdc.host.libvirtd import listen

_BAD = frozenset({"crashed", "watchdog", "I/O error"})


@contextmanager
def listening(dc: DataCenter) -> Iterator[None]:
    """Write what the hypervisor says to the history, for the time of the body; a data centre in memory has none."""
    socket = dc.run_directory / "libvirt" / "run" / "libvirt-sock"
    if not socket.exists():
        yield
        return
    address = f"qemu+unix:///system?socket={socket}"
    with (dc.run_directory / "domain-events.log").open("ab") as log:
        argv = [sys.executable, "-m", "vdc.observe.domain_events", address, str(dc.recorder.path)]
        process = shell.start(argv, output=log)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main(address: str, history: Path) -> None:
    """Listen until killed."""
    recorder = Recorder(history)

    def heard(server: str, what: str, detail: str) -> None:
        bad = {"bad": True} if what in _BAD or detail in {"crashed", "failed", "ioerror", "panicked"} else {}
        recorder.record("machine", server, name=what, text=detail, **bad)

    listen(address, heard)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
