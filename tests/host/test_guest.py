"""One real guest: booted, driven through its agent, cut off, rebooted, and gone without a trace."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from os import devnull
from pathlib import Path

import pytest

from tests.host.conftest import Command, traces
from vdc.datacenter import lifecycle
from vdc.datacenter.api import Power
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.errors import CommandError, InputError
from vdc.faults import ServerCrash
from vdc.faults.base import injected
from vdc.faults.proofs import rebooting
from vdc.host import netlink, processes
from vdc.plan.images import IMAGES
from vdc.settings import Settings
from vdc.shell import run, start
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

ONE = Path(__file__).with_name("one.yml")


@pytest.fixture(scope="module")
def one(settings: Settings, vdc: Command) -> Iterator[LiveDataCenter]:
    vdc("up", str(ONE), "--boot", "cold", timeout=900)
    yield lifecycle.attach("one", settings, Steps())
    lifecycle.down("one", settings, Steps())
    assert traces("one", settings) == []


@pytest.fixture
def server(one: LiveDataCenter) -> LiveMachine:
    return one.servers["rack0-cs0"]


def test_a_command_says_what_it_did(server: LiveMachine) -> None:
    done = server.run(["sh", "-c", "cat; echo err >&2; exit 3"], stdin="näh\n", check=False)
    assert (done.stdout, done.stderr, done.status) == ("näh\n", "err\n", 3)
    with pytest.raises(CommandError, match="exited 1"):
        server.run(["false"])


def test_the_config_disk_made_this_server(one: LiveDataCenter, server: LiveMachine) -> None:
    assert server.run(["hostname"]).stdout.strip() == "rack0-cs0"
    assert server.run(["cat", "/etc/machine-id"]).stdout.strip() == one.plan.context.uuid("rack0-cs0").hex
    assert server.run(["systemctl", "is-system-running"], check=False).stdout.strip() in {"running", "starting"}
    assert set(server.versions()) == {"os", "kernel", "bird", "etcd"}


def test_the_console_is_stamped_from_power_on_and_can_be_attached_to(one: LiveDataCenter, vdc: Command) -> None:
    said = vdc("logs", "one", "rack0-cs0").stdout
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z .*Welcome to", said, re.MULTILINE), said[:2000]
    with socket.socket(socket.AF_UNIX) as console:
        console.settimeout(30)
        console.connect(str(one.plan.context.console("rack0-cs0")))
        console.sendall(b"\necho a$((40+2))z\n")
        heard = b""
        while b"a42z" not in heard:
            heard += console.recv(4096)

    def recorded() -> None:
        if "a42z" not in vdc("logs", "one", "rack0-cs0").stdout:
            raise NotYet("what the viewer saw is not in the recording")

    wait_for(recorded, what="the recording", timeout=10)


def test_ssh_logs_in_over_the_fabric(one: LiveDataCenter, vdc: Command) -> None:
    assert vdc("ssh", "one", "rack0-cs0", "--", "cat", "/etc/hostname").stdout.strip() == "rack0-cs0"


def test_ssh_logs_in_with_the_configuration_of_the_inventory(one: LiveDataCenter, vdc: Command, tmp_path: Path) -> None:
    file = tmp_path / "ssh"
    file.write_text(vdc("inventory", "one", "--format", "ssh-config").stdout)
    said = run(["ssh", "-F", str(file), "rack0-cs0", "cat", "/etc/hostname"], timeout=60)
    assert said.stdout.strip() == "rack0-cs0"


def test_exec_hands_on_the_status(one: LiveDataCenter, vdc: Command) -> None:
    assert vdc("exec", "one", "rack0-cs0", "--", "uname", "-s").stdout.strip() == "Linux"
    vdc("exec", "one", "rack0-cs0", "--", "sh", "-c", "exit 7", status=7)


def test_a_pulled_cable_is_noticed_on_both_sides(one: LiveDataCenter, server: LiveMachine) -> None:
    server.set_link("eth0", up=False)
    wait_converged(one, cut=(("rack0-cs0", "eth0"),))
    server.set_link("eth0", up=True)
    wait_converged(one)


def test_a_crashed_kernel_stays_down_until_reset(one: LiveDataCenter, server: LiveMachine) -> None:
    before = server.boot_id()
    with injected(one, ServerCrash("rack0-cs0")):
        assert server.power() is Power.PAUSED
    assert server.boot_id() != before
    wait_converged(one)


def test_data_outlives_a_power_cut_and_memory_does_not(one: LiveDataCenter, server: LiveMachine) -> None:
    server.run(["sh", "-c", "echo kept > /data/kept; sync -f /data/kept; echo lost > /run/lost"])
    with rebooting(server):
        server.power_off()
        assert server.power() is Power.OFF
        with pytest.raises(CommandError, match="not running"):
            server.run(["true"])
        server.power_on()
    assert server.run(["cat", "/data/kept"]).stdout == "kept\n"
    assert server.run(["test", "-e", "/run/lost"], check=False).status == 1


def test_a_guest_that_powered_itself_off_can_be_started_again(one: LiveDataCenter, server: LiveMachine) -> None:
    with pytest.raises(InputError, match="is running"):
        server.reimage("debian-12")
    server.shutdown()
    assert server.power() is Power.OFF
    server.reimage("debian-12")
    server.power_on()
    server.wait_answering()
    assert server.run(["cat", "/data/kept"]).stdout == "kept\n", "the data disk did not outlive the root disk"
    wait_converged(one)


def test_down_leaves_nothing_after_a_kill_while_guests_start(settings: Settings, vdc: Command, gone: list[str]) -> None:
    gone.append("t-guest")

    def guest_runs() -> None:
        namespace = netlink.identity("vdc-t-guest")
        alive = processes.living({namespace}) if namespace is not None else ()
        if not any(processes.command(pid).startswith("qemu-system") for pid in alive):
            raise NotYet("no guest yet")

    with Path(devnull).open("wb") as output:
        process = start(
            [*vdc.argv, "up", str(ONE), "--name", "t-guest", "--boot", "cold"], output=output, env=vdc.environment
        )
        wait_for(guest_runs, what="a guest", timeout=120, interval=0.01)
        process.kill()
        process.wait()
    assert any("qemu" in trace for trace in traces("t-guest", settings))
    vdc("down", "t-guest")
    assert traces("t-guest", settings) == []


@pytest.fixture
def broken_images(settings: Settings, tmp_path: Path) -> Path:
    """A cache whose image has an initial RAM disk of zeros: its kernel finds no root disk and panics."""
    image = IMAGES["debian-12"]
    image.directory(tmp_path).mkdir(parents=True)
    for path in image.directory(settings.cache_dir).iterdir():
        (image.directory(tmp_path) / path.name).symlink_to(path)
    initrd = image.initrd(tmp_path)
    size = initrd.stat().st_size
    initrd.unlink()
    initrd.write_bytes(bytes(size))
    (tmp_path / "libvirt").symlink_to(settings.cache_dir / "libvirt")
    # a fast host: the deadline is as short as deadlines become
    known = json.loads((settings.cache_dir / "accelerator.json").read_text()) | {"slowness": 0.01}
    (tmp_path / "accelerator.json").write_text(json.dumps(known))
    return tmp_path


def test_a_guest_that_never_answers_is_named_with_its_console_and_rolled_back(
    one: LiveDataCenter, settings: Settings, vdc: Command, gone: list[str], broken_images: Path
) -> None:
    gone.append("t-broken")
    environment = vdc.environment | {"VDC_CACHE_DIR": str(broken_images)}
    done = run(
        [*vdc.argv, "up", str(ONE), "--name", "t-broken", "--boot", "cold"], timeout=600, check=False, env=environment
    )
    assert done.status == 1, done.stderr
    assert re.search(r"waited 45\.0 s for rack0-cs0 to answer; last: .*guest agent", done.stderr), done.stderr
    assert "Unable to mount root fs" in done.stderr, "the end of the console is missing"
    assert traces("t-broken", settings) == []
