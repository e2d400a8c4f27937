"""Becomes a libvirt daemon whose whole world is one directory: `python libvirtd_launcher.py DIRECTORY CACHE`.

Runs in a mount namespace of its own, where it binds DIRECTORY's folders over the places libvirt keeps its state
in, so that any number of daemons run side by side and none sees the system's. Only CACHE, where libvirt keeps what it
learnt about QEMU (which takes seconds to learn), is shared. Uses the standard library only, and
nothing of vdc, because it starts before anything else does.
"""

from __future__ import annotations

import os
import subprocess  # noqa: TID251 - vdc.shell is not there yet
import sys
from pathlib import Path

PLACES = {
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "etc": "/etc/libvirt",
}


def main(directory: Path, cache: Path) -> None:
    """Bind the directory's folders and the shared cache, and execute libvirtd."""
    sources = {place: directory / name for name, place in PLACES.items()} | {"/var/cache/libvirt": cache}
    for place, source in sources.items():
        source.mkdir(parents=True, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(source), place], check=True)
    # What libvirt learnt about QEMU is valid only while CPUID says the same, and on some hosts each CPU says its own
    # number in it: so ask the same CPU each time. libvirt lets guests run on all CPUs all the same.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    # Every guest of every data centre would be registered with systemd, under names that are not unique.
    os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent"
    os.execvp(  # noqa: S606
        "libvirtd",
        [
            "libvirtd",
            "--pid-file",
            str(directory / "run/libvirtd.pid"),
            "--config",
            str(directory / "libvirtd.conf"),
        ],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
