"""The scripts of faults inside servers, run by a real systemd in namespaces of its own, that has a single service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from vdc.errors import CommandError
from vdc.faults import FilesExhausted, RestartStorm, ServiceFrozen, ServiceKilled, ServiceStopped, injected
from vdc.faults.inside import Inside, Unit, beginning, ending
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.shell import Completed, run, start
from vdc.testing import FakeDataCenter
from vdc.wait import NotYet, wait_for

SYSTEMD: Final = Path("/lib/systemd/systemd")
TOPOLOGIES = Path(__file__).parents[2] / "topologies"
SERVER, VICTIM = "rack0-cs0", Unit("victim")

UNITS: Final = {
    "victim.service": "[Service]\nExecStart=sleep 1000000\nRestart=always\nRestartSec=0.2\n",
    "only.target": "[Unit]\nWants=victim.service\n",
    **{
        f"{name}.target": "[Unit]\nDefaultDependencies=no\n"
        for name in ("sysinit", "basic", "shutdown", "umount", "final")
    },
}

# what is mounted here is seen by this systemd alone
BOOT: Final = """\
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
export container=test SYSTEMD_UNIT_PATH="$1:/run/systemd/system:/run/systemd/transient"
exec "$0" --unit=only.target --log-target=console </dev/null
"""


class System:
    """A systemd; commands run beside it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--cgroup", "--net", "--", *argv]
        return run(inside, timeout=timeout, check=check, stdin=stdin, where="system")

    def units(self) -> str:
        return self.run(["systemctl", "list-units", "--all", "--no-legend", "vdc-fault-*"]).stdout

    def files(self) -> list[str]:
        return self.run(["sh", "-c", "ls /run/vdc-faults 2>/dev/null || :"]).stdout.split()

    def state(self) -> str:
        pid = self.run(["systemctl", "show", "--property=MainPID", "--value", "victim.service"]).stdout.strip()
        return self.run(["sed", "s/.*) //; s/ .*//", f"/proc/{pid}/stat"]).stdout.strip()


class DataCenter(FakeDataCenter):
    """One whose facts take their time."""

    slowness = 1.0


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    unified = next((Path(mount) for _, mount, kind, *_ in mounts if kind == "cgroup2"), None)
    if not SYSTEMD.exists() or unified is None:
        pytest.skip(f"no {SYSTEMD}, or no cgroup2 is mounted")
    folder = tmp_path_factory.mktemp("units")
    for name, text in UNITS.items():
        (folder / name).write_text(text)
    group = unified / "t-scripts"
    group.mkdir()
    enters = 'echo $$ > "$0/cgroup.procs"; exec "$@"'
    namespaced = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--net", "--cgroup", "--mount-proc", "--"]
    argv = ["sh", "-c", enters, str(group), *namespaced, "sh", "-c", BOOT, str(SYSTEMD), str(folder)]
    with (folder / "log").open("wb") as output:
        process = start(argv, output=output)
    try:
        yield wait_for(lambda: booted(process.pid), what="systemd to run its service", timeout=60)
    finally:
        process.kill()
        process.wait()
        wait_for(lambda: remove(group), what="its groups to be empty", timeout=20)


def booted(parent: int) -> System:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    if not children:
        raise NotYet("it has not begun")
    system = System(int(children[0]))
    try:
        if system.state() != "S":
            raise NotYet("the service does not sleep yet")
    except CommandError as error:
        raise NotYet(error.output) from error
    return system


def remove(group: Path) -> None:
    for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        _remove(folder)
    _remove(group)


def _remove(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError as error:
        raise NotYet(f"{folder}: {error}") from error


@pytest.fixture
def dc(system: System, tmp_path: Path) -> DataCenter:
    dc = DataCenter(expand(load(TOPOLOGIES / "small.yml")), tmp_path)
    dc.servers[SERVER].run = system.run  # type: ignore[method-assign]
    return dc


FAULTS: tuple[Inside, ...] = (
    ServiceStopped(SERVER, VICTIM),
    ServiceFrozen(SERVER, VICTIM),
    ServiceKilled(SERVER, VICTIM),
    RestartStorm(SERVER, VICTIM, 3),
    FilesExhausted(SERVER, VICTIM),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind)
def test_it_bites_heals_and_leaves_nothing(dc: DataCenter, system: System, fault: Inside) -> None:
    with injected(dc, fault):
        assert system.units() != ""
    assert system.state() == "S"
    assert (system.units(), system.files()) == ("", [])


def sleeps(system: System) -> None:
    if (state := system.state()) != "S":
        raise NotYet(f"it is {state}")


@pytest.mark.parametrize("how", ["its time is up", "what keeps it is killed"])
def test_it_is_undone_from_within_if_nobody_heals_it(dc: DataCenter, system: System, how: str) -> None:
    fault = ServiceFrozen(SERVER, VICTIM)
    lasts = 1.0 if how == "its time is up" else 3600.0
    system.run(["sh", "-s"], stdin=beginning(fault.kind, fault.key, fault.begins(dc), fault.ends(), lasts))
    if lasts > 1.0:
        wait_for(lambda: fault.bites(dc), what="it to bite", timeout=20)
        system.run(["systemctl", "kill", "--signal=KILL", f"vdc-fault-{fault.key}.service"])
    wait_for(lambda: sleeps(system), what="systemd to undo it", timeout=20)
    fault.heal(dc)
    fault.healed(dc)
    assert (system.units(), system.files()) == ("", [])


def test_what_never_began_is_ended_without_harm(dc: DataCenter, system: System) -> None:
    system.run(["sh", "-s"], stdin=ending("frozen", "0123456"))
    assert ServiceKilled(SERVER, Unit("nobody")).missing(dc) == f"{SERVER} has no service nobody"
    sleeps(system)


def test_what_begins_and_fails_leaves_nothing_in_the_end(dc: DataCenter, system: System) -> None:
    system.run(["sh", "-s"], stdin=beginning("frozen", "abcdef0", "false", "touch $mark.undone", 3600.0))

    def undone() -> None:
        if "abcdef0.undone" not in system.files():
            raise NotYet(", ".join(system.files()))

    wait_for(undone, what="it to be undone", timeout=20)
    system.run(["sh", "-s"], stdin=ending("frozen", "abcdef0"))
    assert system.files() == []
    assert dc.dirty() is None


def test_a_buffer_that_nobody_reads_is_kept_in_memory(tmp_path: Path) -> None:
    """As `MemoryPressure` does it, with a size that nobody misses."""
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = start(["sh", "-c", "dd if=/dev/zero bs=8192K count=1 2>/dev/null | sleep infinity"], output=output)
    try:
        wait_for(lambda: holds(process.pid, 8192), what="it to be filled", timeout=20)
    finally:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            run(["kill", "-KILL", child], timeout=10, check=False)
        process.kill()
        process.wait()


def holds(parent: int, kib: int) -> None:
    sizes = [0]
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        status = dict(line.split(":", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines())
        sizes.append(int(status.get("VmRSS", "0 kB").split()[0]))
    if max(sizes) < kib:
        raise NotYet(f"{max(sizes)} KiB")
