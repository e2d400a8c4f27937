"""What tests of hardware ask of a server, in the guest and on the host."""

from __future__ import annotations

from pathlib import Path

from vdc.datacenter.machine import LiveMachine


def say(server: LiveMachine, script: str) -> str:
    """Run a shell script in a guest and return what it says."""
    return server.run(["sh", "-ec", script], timeout=60).stdout.strip()


def command_line(server: LiveMachine) -> str:
    pid = server.plan.context.process_file(server.name).read_text()
    return Path(f"/proc/{pid}/cmdline").read_text()
