"""libvirt: the data centre's own daemon and the domains in it. The only module that imports libvirt-python.

The daemon runs in the data centre's network namespace and in a mount namespace of its own (see
`vdc.host.libvirtd_launcher`), so that nothing of it is shared with the system's libvirt but the capability cache.
"""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree as ET

import libvirt
import libvirt_qemu

from vdc import shell
from vdc.errors import BuildError, CommandError, HostError, WaitTimeout
from vdc.plan.resources.processes import Libvirtd
from vdc.shell import Completed, in_namespace
from vdc.wait import NotYet, wait_for

_START_SECONDS = 30.0
_AGENT_SECONDS = 10
_TAIL_CHARACTERS = 2000

_LIBVIRTD_CONF = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
log_level = 3
"""

_QEMU_CONF = """\
stdio_handler = "file"
security_driver = "none"
namespaces = []
cgroup_controllers = []
user = "root"
group = "root"
dynamic_ownership = 0
"""

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "shutting down",
    libvirt.VIR_DOMAIN_SHUTOFF: "off",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
}

_EVENTS = {
    getattr(libvirt, f"VIR_DOMAIN_EVENT_{name.upper()}"): name
    for name in ("started", "suspended", "resumed", "stopped", "shutdown", "crashed")
}
_DETAILS = {
    (getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}"), value): name.rpartition("_")[2].lower()
    for event in ("STARTED", "SUSPENDED", "RESUMED", "STOPPED", "SHUTDOWN", "CRASHED")
    for name, value in vars(libvirt).items()
    if name.startswith(f"VIR_DOMAIN_EVENT_{event}_") and not name.endswith("_LAST")
}


def uri(daemon: Libvirtd) -> str:
    """Return the libvirt URI of the data centre's own daemon."""
    return f"qemu+unix:///system?socket={daemon.directory}/run/libvirt-sock"


def start_daemon(daemon: Libvirtd, cache: Path) -> None:
    """Start the daemon and wait until it answers. `cache` keeps what libvirt learns about QEMU on this host.

    Raises:
        WaitTimeout: it does not answer; carries the end of its log.
    """
    directory = Path(daemon.directory)
    (directory / "etc").mkdir(parents=True)
    (directory / "libvirtd.conf").write_text(_LIBVIRTD_CONF)
    (directory / "etc/qemu.conf").write_text(_QEMU_CONF)
    cache.mkdir(parents=True, exist_ok=True)
    log = directory / "libvirtd.log"
    launcher = str(Path(__file__).with_name("libvirtd_launcher.py"))
    unshare = ["unshare", "--mount", "--propagation", "slave", "--"]
    with log.open("ab") as output:
        command = [*unshare, sys.executable, "-I", launcher, str(directory), str(cache)]
        shell.daemon(in_namespace(daemon.netns, command), output=output)

    def answers() -> None:
        try:
            connect(uri(daemon)).close()
        except HostError as error:
            raise NotYet(str(error)) from error

    try:
        wait_for(answers, what=f"{daemon.id} to answer", timeout=_START_SECONDS, interval=0.05)
    except WaitTimeout as error:
        tail = log.read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARACTERS:]
        raise WaitTimeout(error.what, deadline=_START_SECONDS, last=error.last, log=f"its log:\n{tail}") from error


def connect(address: str) -> Connection:
    """Open a connection to a libvirt daemon. Raises HostError."""
    libvirt.registerErrorHandler(_silent, None)
    try:
        return Connection(raw=libvirt.open(address))
    except libvirt.libvirtError as error:
        raise HostError(f"libvirt at {address}: {error}") from error


def listen(address: str, heard: Callable[[str, str, str], None]) -> NoReturn:
    """Tell `heard` of each event of a domain, for ever: its name, what happened, and the detail.

    The words are those of libvirt's own names for them (libvirt-domain.h). Raises HostError: the daemon is gone.
    """
    libvirt.virEventRegisterDefaultImpl()
    connection = connect(address).raw

    def lifecycle(_connection: Any, domain: Any, event: int, detail: int, _opaque: object) -> None:
        what = _EVENTS.get(event, str(event))
        heard(domain.name(), what, _DETAILS.get((event, detail), ""))

    def reboot(_connection: Any, domain: Any, _opaque: object) -> None:
        heard(domain.name(), "reboot", "")

    def watchdog(_connection: Any, domain: Any, action: int, _opaque: object) -> None:
        heard(domain.name(), "watchdog", str(action))

    def io_error(_connection: Any, domain: Any, source: str, device: str, _action: int, _opaque: object) -> None:
        heard(domain.name(), "I/O error", f"{device} {source}")

    for kind, callback in (
        (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, lifecycle),
        (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, reboot),
        (libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG, watchdog),
        (libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR, io_error),
    ):
        connection.domainEventRegisterAny(None, kind, callback, None)
    while connection.isAlive():
        libvirt.virEventRunDefaultImpl()
    raise HostError(f"libvirt at {address} is gone")


def _silent(_context: object, _error: object) -> None:
    """Keep libvirt from printing errors that are raised anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection to a libvirt daemon. Domains are named by the server's name."""

    raw: Any

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()

    def define(self, xml: str) -> None:
        """Define or redefine a domain. Raises BuildError."""
        with _reporting("define"):
            self.raw.defineXML(xml)

    def start(self, name: str) -> None:
        """Start a domain that is off. Raises BuildError."""
        with _reporting(f"domain:{name}"):
            self.raw.lookupByName(name).create()

    def destroy(self, name: str) -> None:
        """Cut the power of a domain; one that is off is fine."""
        if self.state(name) != "off":
            with _reporting(f"domain:{name}"):
                self.raw.lookupByName(name).destroy()

    def remove(self, name: str) -> None:
        """Cut the power of a domain and forget it, with its firmware variables; one that is not known is fine."""
        with _reporting(f"domain:{name}"):
            if name in {domain.name() for domain in self.raw.listAllDomains()}:
                self.destroy(name)
                self.raw.lookupByName(name).undefineFlags(libvirt.VIR_DOMAIN_UNDEFINE_NVRAM)

    def reset(self, name: str) -> None:
        """Press the reset button, then let a panicked guest run again."""
        with _reporting(f"domain:{name}"):
            domain = self.raw.lookupByName(name)
            domain.reset(0)
            if self.state(name) in {"paused", "crashed"}:
                domain.resume()

    def press_power_button(self, name: str) -> None:
        """Press the power button, which the guest may heed (ACPI)."""
        with _reporting(f"domain:{name}"):
            self.raw.lookupByName(name).shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    def state(self, name: str) -> str:
        """Return "running", "paused", "shutting down", "off" or "crashed"."""
        with _reporting(f"domain:{name}"):
            return _STATES.get(self.raw.lookupByName(name).state()[0], "unknown")

    def suspend(self, name: str) -> None:
        """Let a guest stand still, its memory kept."""
        with _reporting(f"domain:{name}"):
            self.raw.lookupByName(name).suspend()

    def resume(self, name: str) -> None:
        """Let a guest that stands still go on."""
        with _reporting(f"domain:{name}"):
            self.raw.lookupByName(name).resume()

    def start_paused(self, xml: str) -> None:
        """Start a domain standing still with `xml` for this one run; what is defined stays. Raises BuildError."""
        with _reporting("domain"):
            self.raw.createXML(xml, libvirt.VIR_DOMAIN_START_PAUSED)

    def xml(self, name: str) -> str:
        """Return what a domain is next started from."""
        with _reporting(f"domain:{name}"):
            return str(self.raw.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))

    def memory(self, name: str) -> int:
        """Return the bytes of memory that a domain has."""
        with _reporting(f"domain:{name}"):
            return int(self.raw.lookupByName(name).maxMemory()) * 1024

    def monitor(self, name: str, command: str, arguments: Mapping[str, object], *, files: Sequence[int] = ()) -> Any:
        """Send a command to QEMU itself (QEMU QMP Reference Manual), with open files, and return its answer.

        Raises BuildError: QEMU refuses, or is gone.
        """
        request = json.dumps({"execute": command, "arguments": arguments})
        with _reporting(f"domain:{name}"):
            domain = self.raw.lookupByName(name)
            text = libvirt_qemu.qemuMonitorCommandWithFiles(domain, request, list(files), 0)[0]
        answer = json.loads(text)
        if "error" in answer:
            raise BuildError(f"domain:{name}", f"{command}: {answer['error']['desc']}")
        return answer["return"]

    def kernel(self, name: str) -> str:
        """Return the path of the kernel that a domain boots."""
        with _reporting(f"domain:{name}"):
            return _document(self.raw.lookupByName(name)).findtext("os/kernel", default="")

    def set_link(self, name: str, tap: str, *, up: bool) -> None:
        """Plug or unplug the cable of a NIC, known by its tap; kept when the domain is started again."""
        with _reporting(f"domain:{name}"):
            domain = self.raw.lookupByName(name)
            active = domain.isActive()
            nic = _device(domain, "interface", tap)
            for old in nic.findall("link"):
                nic.remove(old)
            ET.SubElement(nic, "link", state="up" if up else "down")
            flags = libvirt.VIR_DOMAIN_AFFECT_CONFIG | (libvirt.VIR_DOMAIN_AFFECT_LIVE if active else 0)
            domain.updateDeviceFlags(ET.tostring(nic, encoding="unicode"), flags)

    def link_is_up(self, name: str, tap: str) -> bool:
        """Return whether the cable of a NIC is plugged in."""
        with _reporting(f"domain:{name}"):
            link = _device(self.raw.lookupByName(name), "interface", tap).find("link")
            return link is None or link.get("state") == "up"

    def plug(self, name: str, xml: str) -> None:
        """Plug a device into a running guest; it is not there when the domain is started afresh."""
        with _reporting(f"domain:{name}"):
            self.raw.lookupByName(name).attachDeviceFlags(xml, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def disk_file(self, name: str, target: str) -> str | None:
        """Return the file that a disk of a domain is, or None: it has no such disk now."""
        with _reporting(f"domain:{name}"):
            document = _document(self.raw.lookupByName(name))
        source = document.find(f"devices/disk/target[@dev='{target}']/../source")
        return None if source is None else source.get("file")

    def unplug(self, name: str, target: str) -> None:
        """Pull a disk out of a running guest; it is there again when the domain is started afresh."""
        with _reporting(f"domain:{name}"):
            domain = self.raw.lookupByName(name)
            disk = ET.tostring(_device(domain, "disk", target), encoding="unicode")
            domain.detachDeviceFlags(disk, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def agent(self, name: str, command: str, **arguments: object) -> Any:
        """Send a command to the guest agent (QEMU Guest Agent Protocol Reference) and return its answer.

        Raises:
            CommandError: the agent does not answer, or refuses.
        """
        request = json.dumps({"execute": command, "arguments": arguments})
        try:
            domain = self.raw.lookupByName(name)
            answer = libvirt_qemu.qemuAgentCommand(domain, request, _AGENT_SECONDS, 0)
        except libvirt.libvirtError as error:
            raise CommandError(name, ["guest agent", command], 1, str(error)) from error
        return json.loads(answer)["return"]

    def execute(
        self, name: str, argv: Sequence[str], *, timeout: float, stdin: str | None, interval: float = 0.1
    ) -> Completed:
        """Run a command in a guest to its end through the agent, asking every `interval` seconds; return what it said.

        Raises:
            CommandError: the agent does not answer.
            WaitTimeout: the command did not end within `timeout` seconds.
        """
        extra = {} if stdin is None else {"input-data": base64.b64encode(stdin.encode()).decode()}
        started = self.agent(name, "guest-exec", path=argv[0], arg=list(argv[1:]), **{"capture-output": True}, **extra)

        def ended() -> Any:
            status = self.agent(name, "guest-exec-status", pid=started["pid"])
            if not status["exited"]:
                raise NotYet("still running")
            return status

        try:
            # each question costs an emulated guest ten milliseconds of CPU
            status = wait_for(ended, what=f"`{' '.join(argv)}` on {name}", timeout=timeout, interval=interval)
        except WaitTimeout:
            with contextlib.suppress(CommandError):
                self.agent(name, "guest-exec", path="kill", arg=["-KILL", str(started["pid"])])
            raise
        return Completed(
            argv=tuple(argv),
            # a guest command ended by a signal has no exit code
            status=status.get("exitcode", 128 + status.get("signal", 0)),
            stdout=_decoded(status.get("out-data")),
            stderr=_decoded(status.get("err-data")),
        )

    def panic(self, name: str) -> None:
        """Make the guest's kernel panic by the system request key (Linux, admin-guide/sysrq)."""
        with contextlib.suppress(CommandError):  # the answer dies with the guest
            self.agent(name, "guest-exec", path="sh", arg=["-c", "echo c > /proc/sysrq-trigger"])


@contextmanager
def _reporting(resource: str) -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        raise BuildError(resource, str(error)) from error


def _document(domain: Any) -> ET.Element:
    return ET.fromstring(domain.XMLDesc(0))  # noqa: S314 - libvirt's own answer


def _device(domain: Any, kind: str, name: str) -> ET.Element:
    for device in _document(domain).iterfind(f"devices/{kind}"):
        target = device.find("target")
        if target is not None and target.get("dev") == name:
            return device
    raise BuildError(f"{kind}:{name}", "the domain has none of that name")


def _decoded(data: str | None) -> str:
    return base64.b64decode(data or "").decode(errors="replace")
