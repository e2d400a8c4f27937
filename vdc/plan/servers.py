"""A server: a libvirt domain with its disks, its taps, and the files that make an image this server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from vdc.model.topology import Server, Topology
from vdc.plan.context import PlanContext
from vdc.plan.emulation import CMDLINE_EMULATED, CPU_MODEL, CPU_WITHOUT, FIRMWARE
from vdc.plan.images import IMAGES
from vdc.plan.render import render
from vdc.plan.resources import ConfigDisk, DataDisk, Domain, Overlay, Resource, Tap
from vdc.plan.timers import BFD_MULTIPLIER, to_servers

NETWORK: Final = "/etc/vdc/network"
"""Where a guest has its links and addresses, for `ip -batch`."""


def plan_server(server: Server, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield what a server is made of; the bridges that its taps sit on belong to segments."""
    image = IMAGES[topology.release]
    for port in server.ports:
        yield Tap(netns=context.netns, name=port.tap, bridge=port.segment)
    yield Overlay(
        server=server.name,
        path=str(context.root_disk(server.name)),
        backing=str(image.root(context.cache_dir)),
        image=image.name,
    )
    yield DataDisk(server=server.name, path=str(context.data_disk(server.name)), size=server.data)
    yield ConfigDisk(
        server=server.name,
        path=str(context.config_disk(server.name)),
        files=guest_files(server, topology, context),
    )
    yield Domain(
        server=server.name,
        uuid=str(context.uuid(server.name)),
        xml=domain_xml(server, topology.release, context),
        cpu=server.cpu,
        memory=server.memory,
        console=str(context.console(server.name)),
        console_log=str(context.console_log(server.name)),
        taps=tuple(port.tap for port in server.ports),
    )


def domain_xml(server: Server, release: str, context: PlanContext) -> str:
    """Return the libvirt domain XML of a server that boots `release`: another one after reimaging."""
    image = IMAGES[release]
    return render(
        "domain.xml.j2",
        server=server,
        instance=context.instance,
        uuid=context.uuid(server.name),
        accelerator=context.accelerator,
        cpu_model=CPU_MODEL,
        cpu_without=CPU_WITHOUT,
        firmware=FIRMWARE,
        kernel=image.kernel(context.cache_dir),
        initrd=image.initrd(context.cache_dir),
        cmdline=image.cmdline + (CMDLINE_EMULATED if context.accelerator == "tcg" else ""),
        root=context.root_disk(server.name),
        data=context.data_disk(server.name),
        config=context.config_disk(server.name),
        console=context.console(server.name),
        console_log=context.console_log(server.name),
    )


def guest_files(server: Server, topology: Topology, context: PlanContext) -> Mapping[str, str]:
    """Return the files of a server's config disk: absolute guest path to text."""
    return {
        "/etc/hostname": f"{server.name}\n",
        "/etc/hosts": render("guest-hosts.j2", servers=topology.servers),
        "/etc/machine-id": f"{context.uuid(server.name).hex}\n",
        "/etc/bird/bird.conf": render(
            "bird-server.conf.j2",
            server=server,
            timers=to_servers(context.slowness),
            bfd_multiplier=BFD_MULTIPLIER,
        ),
        NETWORK: render("guest-network.j2", server=server),
        "/etc/sysctl.d/90-vdc.conf": render("guest-sysctl.conf.j2"),
    }
