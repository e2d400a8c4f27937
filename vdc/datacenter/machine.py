"""A server, live: a libvirt domain driven through its guest agent, which works through every partition."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from vdc.datacenter.api import Firmware, Power, Routes, SessionState
from vdc.datacenter.disk import LiveDisk
from vdc.errors import CommandError, InputError, WaitTimeout
from vdc.history import Recorder
from vdc.host import bird, blocks, cpu, disks, firmware, plugging
from vdc.host.artifacts import packages
from vdc.host.blocks import Block
from vdc.host.libvirtd import Connection
from vdc.model.ip import Address, Prefix
from vdc.model.release import Unpacked
from vdc.model.releases import release as find_release
from vdc.model.topology import Server, ServerPort
from vdc.plan.emulation import Flash
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan
from vdc.plan.resources.disks import DataDisk, Overlay
from vdc.plan.servers import domain_xml
from vdc.plan.volumes import disks as disks_of
from vdc.shell import Completed
from vdc.wait import NotYet, wait_for

STRUCK = "struck"
"""In a run directory: what is kept of disks that faults have struck, until they are healed."""

_BOOT_SECONDS = 180.0
_SHUTDOWN_SECONDS = 90.0
_COMMAND_SECONDS = 30.0
_WAKING_INTERVAL = 0.25  # of questions whether a script has ended that takes a second
_TAIL_LINES = 15

_ASK_BIRD = "birdc -r show protocols all; echo =====; birdc -r show bfd sessions\n"
_ASK_VERSIONS = """\
. /etc/os-release; echo "os=$ID-$VERSION_ID"
echo "kernel=$(uname -r)"
echo "bird=$(birdc show status | sed -n 's/^BIRD \\([^ ]*\\) ready.*/\\1/p')"
echo "etcd=$(etcd --version | sed -n 's/^etcd Version: //p')"
[ ! -x /usr/local/bin/kubelet ] || echo "kubernetes=$(kubelet --version | sed -n 's/^Kubernetes v//p')"
[ ! -x /usr/bin/containerd ] || echo "containerd=$(containerd --version | cut -d' ' -f3 | sed 's/~.*//')"
"""

_ASK_FIRMWARE = """\
cd /sys/class/dmi/id; echo "vendor=$(cat bios_vendor)"; echo "version=$(cat bios_version)"
[ ! -d /sys/firmware/efi ] || echo uefi=yes
"""

_POWER = {"off": Power.OFF, "running": Power.ON, "shutting down": Power.ON}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LiveMachine:
    """Implements `vdc.datacenter.api.Machine`. `unpack` returns where Debian packages are unpacked."""

    spec: Server
    plan: Plan
    libvirt: Connection
    recorder: Recorder
    slowness: float
    unpack: Callable[[Unpacked], Path]

    def __repr__(self) -> str:
        return f"<server {self.name}>"

    @property
    def name(self) -> str:
        """The server's name."""
        return self.spec.name

    @property
    def release(self) -> str:
        """The release its root disk was made from, or the image of the user's."""
        if self.spec.image is not None:
            return self.spec.image
        kernel = self.libvirt.kernel(self.name)
        for image in IMAGES.values():
            if str(image.kernel(self.plan.context.cache_dir)) == kernel:
                return image.name
        # the image of a recipe of before, which a data centre was deployed with
        name = Path(kernel).parent.name.rpartition("-")[0]
        if name in IMAGES:
            return name
        raise InputError(f"{self.name} boots {kernel}, which belongs to no release that vdc knows")

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = _COMMAND_SECONDS,
        check: bool = True,
        stdin: str | None = None,
    ) -> Completed:
        """Run a command in the guest through its agent; `timeout` is scaled by the host's slowness.

        Raises InputError: it has an image of the user's, and so no agent.
        """
        self._expect_managed("runs no command")
        done = self.libvirt.execute(self.name, argv, timeout=timeout * max(1.0, self.slowness), stdin=stdin)
        if check and done.status != 0:
            raise CommandError(self.name, argv, done.status, done.stderr or done.stdout)
        return done

    def sessions(self) -> tuple[SessionState, ...]:
        """Return its BGP sessions as its BIRD reports them; an image of the user's has none that we know of."""
        if not self.spec.managed:
            return ()
        said = self.run(["sh", "-s"], stdin=_ASK_BIRD).stdout
        protocols, _, bfd = said.partition("=====\n")
        return session_states(protocols, bird.parse_bfd(bfd))

    def routes(self) -> Routes:
        """Return the BGP routes in its kernel table; none of an image of the user's."""
        if not self.spec.managed:
            return {}
        return parse_routes(self.run(["sh", "-s"], stdin=self._ask_kernel()).stdout)

    def routing(self) -> tuple[tuple[SessionState, ...], Routes]:
        """Return its sessions and its routes, by one command: each costs an emulated guest a tenth of a second."""
        if not self.spec.managed:
            return self.sessions(), self.routes()
        said = self.run(["sh", "-s"], stdin=f"{_ASK_BIRD}echo =====\n{self._ask_kernel()}").stdout
        protocols, bfd, routes = said.split("=====\n")
        return session_states(protocols, bird.parse_bfd(bfd)), parse_routes(routes)

    def boot_id(self) -> str:
        """Return the kernel's boot ID."""
        return self.run(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()

    def wait_answering(self, *, unlike_boot: str | None = None) -> str:
        """Wait until the guest agent answers, with another boot ID than `unlike_boot`; return the boot ID.

        Of a guest with an image of the user's nothing is known but that it runs; it has no boot ID.
        """
        if not self.spec.managed:
            return self._wait_running()

        def answering() -> str:
            try:
                boot = self.boot_id()
            except (CommandError, WaitTimeout) as error:
                raise NotYet(error.message) from error
            if boot == unlike_boot:
                raise NotYet(f"still the boot {boot}")
            return boot

        deadline = _BOOT_SECONDS * max(0.25, self.slowness)
        try:
            return wait_for(answering, what=f"{self.name} to answer", timeout=deadline, interval=0.25)
        except WaitTimeout as error:
            raise WaitTimeout(
                error.what,
                deadline=deadline,
                last=error.last,
                log=f"the end of its console:\n{self.console_tail()}",
            ) from error

    def _wait_running(self) -> str:
        def running() -> str:
            if (state := self.libvirt.state(self.name)) != "running":
                raise NotYet(f"it is {state}")
            return ""

        return wait_for(running, what=f"{self.name} to run", timeout=_BOOT_SECONDS, interval=0.25)

    def _expect_managed(self, lacks: str) -> None:
        if not self.spec.managed:
            raise InputError(
                f"{self.name} {lacks}: its image {self.spec.image} is the user's own",
                hint=f"`vdc ssh {self.plan.instance} {self.name}` or `vdc console` reach what answers there",
            )

    def run_first(self, script: Callable[[], str]) -> None:
        """Run a shell script as soon as the agent of a guest that has just woken is heard; it may tell the time.

        Raises:
            CommandError: it failed.
            WaitTimeout: the agent is not heard.
        """
        deadline = _COMMAND_SECONDS * max(1.0, self.slowness)

        def heard() -> None:
            # the port may be closed and opened once more when a guest wakes: a lost ping does no harm
            try:
                self.libvirt.agent(self.name, "guest-ping")
            except CommandError as error:
                raise NotYet(error.message) from error

        wait_for(heard, what=f"{self.name} to be heard", timeout=deadline, interval=0.02)
        argv = ["busybox", "sh", "-s"]
        done = self.libvirt.execute(self.name, argv, timeout=deadline, stdin=script(), interval=_WAKING_INTERVAL)
        if done.status != 0:
            raise CommandError(self.name, argv, done.status, done.stderr or done.stdout)

    def console_tail(self, lines: int = _TAIL_LINES) -> str:
        """Return the last lines of its console."""
        path = self.plan.context.console_log(self.name)
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else "(nothing yet)"
        return "\n".join(text.splitlines()[-lines:])

    def power(self) -> Power:
        """Return the power state; a panicked guest is as good as paused."""
        return _POWER.get(self.libvirt.state(self.name), Power.PAUSED)

    def power_on(self) -> None:
        """Start it from cold; a paused one goes on."""
        state = self.libvirt.state(self.name)
        if state == "off":
            self._record("on")
            self.libvirt.start(self.name)
        if state == "paused":
            self._record("on")
            self.libvirt.resume(self.name)

    def power_off(self) -> None:
        """Cut the power."""
        if self.libvirt.state(self.name) != "off":
            self._record("off")
            self.libvirt.destroy(self.name)

    def shutdown(self) -> None:
        """Press the power button and wait until the guest has powered itself off."""
        if self.power() is Power.OFF:
            return
        deadline = _SHUTDOWN_SECONDS * max(0.25, self.slowness)
        if self.spec.managed:  # a press that nobody listens to is lost
            wait_for(self._heeds_power_button, what=f"{self.name} to heed its power button", timeout=deadline)
        self._record("shutdown")
        self.libvirt.press_power_button(self.name)

        def off() -> None:
            if (state := self.libvirt.state(self.name)) != "off":
                raise NotYet(f"it is {state}")

        wait_for(off, what=f"{self.name} to power itself off", timeout=deadline, interval=0.2)

    def _heeds_power_button(self) -> None:
        state = self.run(["systemctl", "is-active", "systemd-logind"], check=False).stdout.strip()
        if state != "active":
            raise NotYet(f"systemd-logind is {state}")

    def reset(self) -> None:
        """Press the reset button."""
        self._record("reset")
        self.libvirt.reset(self.name)

    def hold_reset(self) -> None:
        """Press the reset button while it stands still: so it stays where a reset leaves it."""
        self.pause()
        self._record("hold reset")
        self.libvirt.monitor(self.name, "system_reset", {})

    def pause(self) -> None:
        """Let it stand still; one that is off, or stands still already, is left so."""
        if self.libvirt.state(self.name) == "running":
            self._record("pause")
            self.libvirt.suspend(self.name)

    def reboot(self) -> None:
        """Ask the guest to restart itself; returns when it was asked."""
        self._expect_managed("is not asked to restart")
        self._record("reboot")
        self.run(["systemctl", "--no-block", "reboot"])

    def crash(self) -> None:
        """Make the guest's kernel panic, and wait until the hypervisor has seen it."""
        self._expect_managed("is not made to panic")
        self._record("crash")
        self.libvirt.panic(self.name)
        self._wait_panicked()

    def send_nmi(self) -> None:
        """Send an NMI (QMP, inject-nmi), at which the kernel panics (Linux, admin-guide/sysctl/kernel).

        Waits until the hypervisor has seen it.
        """
        self._expect_managed("is not made to panic")
        self.run(["sysctl", "-q", "-w", "kernel.unknown_nmi_panic=1"])
        self._record("NMI")
        self.libvirt.monitor(self.name, "inject-nmi", {})
        self._wait_panicked()

    def _wait_panicked(self) -> None:
        def panicked() -> None:
            if (state := self.libvirt.state(self.name)) != "crashed":
                raise NotYet(f"it is {state}")

        wait_for(panicked, what=f"the kernel of {self.name} to panic", timeout=30 * max(1.0, self.slowness))

    def lacks_steal(self) -> str | None:
        """Return that this host has nothing that shares CPU time out, or None."""
        return None if cpu.controller() else "this host has no cpu controller of cgroups that can be written to"

    def steal(self, key: str, share: float) -> None:
        """Take a share of its CPU time from it."""
        controller = cpu.controller()
        assert controller is not None, "`lacks_steal` tells before"
        self._record(f"{share:.0%} of its CPU stolen")
        controller.limit(self._process, cpu.group_name(self.plan.instance, key), self.spec.cpu * (1 - share))

    def give_back(self, key: str) -> None:
        """Undo that."""
        if controller := cpu.controller():
            controller.free(cpu.group_name(self.plan.instance, key))

    def throttled(self, key: str) -> int:
        """Return how often what `steal` did with this key kept CPU time from it."""
        found = cpu.controller()
        return found.throttled(cpu.group_name(self.plan.instance, key)) if found else 0

    def cpu_seconds(self) -> float:
        """Return how much CPU time its QEMU has had."""
        return cpu.seconds(self._process)

    def cpu_waited(self) -> float:
        """Return for how long its QEMU was ready to run, and had no CPU."""
        return cpu.waited(self._process)

    @property
    def _process(self) -> int:
        return int(self.plan.context.process_file(self.name).read_text())

    def set_link(self, interface: str, *, up: bool) -> None:
        """Plug or unplug the cable of a NIC."""
        self.libvirt.set_link(self.name, self._port(interface).tap, up=up)

    def link_is_up(self, interface: str) -> bool:
        """Return whether the cable of a NIC is plugged in."""
        return self.libvirt.link_is_up(self.name, self._port(interface).tap)

    def disk(self, name: str) -> LiveDisk:
        """Return its data disk (`data`) or a volume. Raises InputError: it has none of that name, or is not ours."""
        self._expect_managed("cannot say what it finds on its disks")
        context = self.plan.context
        serial, block, why = self._block(name)
        return LiveDisk(
            name=name,
            serial=serial,
            block=block,
            why=why,
            run=self.run,
            folder=context.run_directory / STRUCK,
            process_file=context.process_file(self.name),
            slowness=self.slowness,
        )

    def beneath(self) -> tuple[str, ...]:
        """Return what faults have left beneath its disks, and a disk that an upgrade has left."""
        return (*blocks.of_faults(self.libvirt, self.name), *plugging.plugged(self.libvirt, self.name))

    def _block(self, name: str) -> tuple[str, Block | None, str]:
        """Return the serial number of a disk, what QEMU has of it, and else why it is not struck."""
        context = self.plan.context
        if name == "root":
            return name, None, "what would find out is on its root disk"
        if name == "data":
            return name, self._virtio("vdb", context.data_disk(self.name), "qcow2"), ""
        volumes = (volume for volume in self.spec.hardware.volumes if volume.kind != "folder")
        for volume, disk in zip(volumes, disks_of(self.spec, context), strict=True):
            if volume.name == name and disk.bus == "virtio" and disk.target is not None:
                return disk.serial, self._virtio(disk.target, disk.file, disk.format), ""
            if volume.name == name:
                return disk.serial, None, f"disk {name} is on {disk.bus}, and only virtio disks are struck"
        names = ", ".join(("data", *(volume.name for volume in self.spec.hardware.volumes)))
        raise InputError(f"{self.name} has no disk {name}", hint=f"it has {names}")

    def _virtio(self, target: str, file: Path, form: str) -> Block:
        return Block(libvirt=self.libvirt, domain=self.name, target=target, file=file, format=form)

    def reimage(self, release: str) -> None:
        """Give the powered-off server a fresh root disk of `release`; its data disk is kept."""
        self._expect_managed("has no release")
        if self.power() is not Power.OFF:
            raise InputError(f"{self.name} is running", hint="power it off before reimaging")
        image = IMAGES[release]
        context = self.plan.context
        self._record(f"reimage {release}")
        disks.create_overlay(
            Overlay(
                server=self.name,
                path=str(context.root_disk(self.name)),
                backing=str(image.root(context.cache_dir)),
                image=image.name,
            )
        )
        # what it starts by is not on its disk
        flash = firmware.flash_of(self.libvirt.xml(self.name))
        self.libvirt.define(firmware.flashed(domain_xml(self.spec, release, context), flash))

    def flash(self, release: str) -> None:
        """Have the powered-off server start by the firmware of `release`."""
        self._expect_managed("cannot say what it starts by")
        if self.power() is not Power.OFF:
            raise InputError(f"{self.name} is running", hint="power it off before flashing")
        files = self._firmware(release)
        self._record(f"flash {release}")
        variables = self.plan.context.nvram(self.name)
        if files.variables is not None:
            firmware.keep_variables(variables, Path(files.variables))
        flash = Flash(code=files.code, variables=str(variables) if files.variables is not None else None)
        self.libvirt.define(firmware.flashed(self.libvirt.xml(self.name), flash))
        if flash.variables is None:
            variables.unlink(missing_ok=True)

    def firmware(self) -> Firmware:
        """Return what it has started by."""
        said = self.run(["sh", "-s"], stdin=_ASK_FIRMWARE).stdout
        told = {name: value.strip() for name, _, value in (line.partition("=") for line in said.splitlines())}
        return Firmware(
            vendor=told.get("vendor", ""),
            version=told.get("version", ""),
            uefi="uefi" in told,
            digest=firmware.executed(self._process),
        )

    def firmware_of(self, release: str) -> str:
        """Return the SHA-256 of the firmware of a release."""
        return hashlib.sha256(Path(self._firmware(release).code).read_bytes()).hexdigest()

    def _firmware(self, name: str) -> Flash:
        release = find_release(name)
        wanted = next((each for part in release.components if (each := release.unpacked(part)) is not None), None)
        folder = self.unpack(wanted) / packages.ROOT if wanted is not None and release.firmware is not None else Path()
        return firmware.in_release(name, folder)

    def renew(self) -> None:
        """Give the powered-off server a fresh root disk of its release, and an empty data disk; it may be cut off."""
        self.reimage(self.release)
        path = self.plan.context.data_disk(self.name)
        path.unlink(missing_ok=True)
        disks.create_data_disk(DataDisk(server=self.name, path=str(path), size=self.spec.data))

    def insert(self, release: str) -> None:
        """Plug the root disk of a release in, to be read."""
        self._expect_managed("has no use for the disk of a release")
        file = IMAGES[release].root(self.plan.context.cache_dir)
        plugging.plug(self.libvirt, self.name, file, slowness=self.slowness)

    def eject(self) -> None:
        """Pull it out again."""
        plugging.unplug(self.libvirt, self.name, slowness=self.slowness)

    def clock(self) -> float:
        """Return the time of its wall clock, which its agent tells without starting a process."""
        self._expect_managed("has no agent to tell the time")
        return int(self.libvirt.agent(self.name, "guest-get-time")) / 1e9

    def versions(self) -> Mapping[str, str]:
        """Return what runs there."""
        said = self.run(["sh", "-s"], stdin=_ASK_VERSIONS).stdout
        pairs = (line.partition("=") for line in said.splitlines())
        return {name: version for name, _, version in pairs if version}

    def _ask_kernel(self) -> str:
        return "".join(f"ip -j -{version} route show proto bird\n" for version in self.plan.topology.versions)

    def _port(self, interface: str) -> ServerPort:
        for port in self.spec.ports:
            if port.interface == interface:
                return port
        names = ", ".join(port.interface for port in self.spec.ports)
        raise InputError(f"{self.name} has no interface {interface}", hint=f"it has {names}")

    def _record(self, action: str) -> None:
        self.recorder.record("power", "harness", server=self.name, action=action)


def session_states(protocols: str, bfd: Mapping[str, str]) -> tuple[SessionState, ...]:
    """Return session states from what BIRD prints for `show protocols all`, and the BFD states by neighbour."""
    return tuple(
        SessionState(name=each.name, peer=ip_address(each.neighbor), bgp=each.state, bfd=bfd.get(each.neighbor))
        for each in bird.parse_protocols(protocols)
    )


def parse_routes(text: str) -> Routes:
    """Return prefix to next hops from the output of `ip -j route show proto bird`; routes without are left out.

    The output of several calls, one for each family, may follow one another.
    """
    routes: dict[Prefix, frozenset[Address]] = {}
    for route in _json_items(text):
        hops = [route, *route.get("nexthops", ())]
        gateways = {ip_address(hop["gateway"]) for hop in hops if "gateway" in hop}
        # an IPv4 route over a neighbour of which only an IPv6 address is known (RFC 8950)
        strangers = {ip_address(hop["via"]["host"]) for hop in hops if "via" in hop}
        if gateways or strangers:
            default = "::/0" if any(gateway.version == 6 for gateway in gateways) else "0.0.0.0/0"
            prefix = default if route["dst"] == "default" else route["dst"]
            routes[ip_network(prefix)] = frozenset(gateways | strangers)
    return routes


def _json_items(text: str) -> Iterator[dict[str, Any]]:
    """Yield the items of the JSON lists that follow one another in a text."""
    decoder = json.JSONDecoder()
    rest = text.strip()
    while rest:
        items, end = decoder.raw_decode(rest)
        yield from items
        rest = rest[end:].lstrip()
