"""A server: a libvirt domain with its disks, its taps, and the files that make an image this server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from vdc.model.topology import Server, Topology
from vdc.plan.bird import server_config
from vdc.plan.context import PlanContext
from vdc.plan.emulation import (
    CMDLINE_EMULATED,
    CPU_MODEL,
    CPU_WITHOUT,
    FIRMWARE,
    KERNEL_WITHOUT_CX16,
    NEEDS_CX16,
    SEEN_IN_PARTS,
)
from vdc.plan.images import IMAGES
from vdc.plan.impairments import plan_tap
from vdc.plan.render import render
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk, DataDisk, IgnitionFile, Nvram, Overlay, SeedDisk
from vdc.plan.resources.network import Tap
from vdc.plan.resources.processes import Domain
from vdc.plan.volumes import disks, plan_volumes, shares

NETWORK: Final = "/etc/vdc/network"
"""Where a guest has its links and addresses, for `ip -batch`."""

_BEFORE_AGENT: Final = "/etc/systemd/system/qemu-guest-agent.service.d/scsi.conf"
_LOAD_SCSI: Final = """\
[Service]
ExecStartPre=modprobe -a virtio_scsi sd_mod
ExecStartPre=sh -c 'until [ -b /dev/{last} ]; do sleep 0.1; done'
"""
"""Our images do not look for devices when they boot, since few servers have other disks than virtio's. A server that
answers has its disks."""


def plan_server(server: Server, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    """Yield what a server is made of; the bridges that its taps sit on belong to segments."""
    for port in server.ports:
        yield Tap(
            netns=context.netns,
            name=port.tap,
            bridge=port.segment,
            mtu=port.mtu,
            queues=server.hardware.queues,
        )
        yield from plan_tap(port, context)
    own = (
        *(_disks(server, topology, context) if server.managed else _user_disks(server, topology, context)),
        *plan_volumes(server, topology, context),
        *_firmware(server, context),
    )
    yield from own
    yield Domain(
        server=server.name,
        uuid=str(context.uuid(server.name)),
        xml=domain_xml(server, topology.release, context),
        cpu=server.cpu,
        memory=server.memory,
        console=str(context.console(server.name)),
        console_log=str(context.console_log(server.name)),
        taps=tuple(port.tap for port in server.ports),
        after=tuple(each.id for each in own),
    )


def _disks(server: Server, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    image = IMAGES[topology.release]
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


def _user_disks(server: Server, topology: Topology, context: PlanContext) -> Iterator[Resource]:
    (image,) = (each for each in topology.images if each.name == server.image)
    yield Overlay(
        server=server.name,
        path=str(context.root_disk(server.name)),
        backing=str(context.user_image(image)),
        image=image.name,
    )
    if server.seed.user_data is not None:
        yield SeedDisk(server=server.name, path=str(context.seed_disk(server.name)), files=seed_files(server, context))
    if server.seed.ignition is not None:
        yield IgnitionFile(server=server.name, path=str(context.ignition(server.name)), text=server.seed.ignition)


def _firmware(server: Server, context: PlanContext) -> Iterator[Resource]:
    if server.hardware.firmware == "uefi":
        yield Nvram(server=server.name, path=str(context.nvram(server.name)), template=context.uefi.variables)


def seed_files(server: Server, context: PlanContext) -> Mapping[str, str]:
    """Return the files of a NoCloud seed (cloud-init, datasource NoCloud); the network is optional there."""
    meta = {"instance-id": str(context.uuid(server.name)), "local-hostname": server.name}
    network = server.seed.network_config
    return {
        "user-data": server.seed.user_data or "",
        "meta-data": json.dumps(meta, indent=1) + "\n",
        **({} if network is None else {"network-config": network}),
    }


def domain_xml(server: Server, release: str, context: PlanContext) -> str:
    """Return the libvirt domain XML of a server that boots `release`: another one after reimaging."""
    image = IMAGES[release]
    volumes = disks(server, context)
    cx16 = server.managed and not NEEDS_CX16.isdisjoint(image.packages)
    return render(
        "domain.xml.j2",
        server=server,
        hardware=server.hardware,
        cells=numa_cells(server),
        volumes=[disk for disk in volumes if disk.target],
        nvme=[disk for disk in volumes if not disk.target],
        shares=shares(server, context),
        instance=context.instance,
        uuid=context.uuid(server.name),
        accelerator=context.accelerator,
        cpu_model=CPU_MODEL,
        cpu_vendor=cpu_vendor(server),
        cpu_without=[each for each in CPU_WITHOUT if each != "cx16" or not cx16],
        firmware=FIRMWARE,
        uefi=context.uefi,
        nvram=context.nvram(server.name) if server.hardware.firmware == "uefi" else None,
        kernel=image.kernel(context.cache_dir),
        initrd=image.initrd(context.cache_dir),
        cmdline=image.cmdline + (_emulated_cmdline(cx16=cx16) if context.accelerator == "tcg" else ""),
        root=context.root_disk(server.name),
        data=context.data_disk(server.name),
        config=context.config_disk(server.name),
        seed=context.seed_disk(server.name) if server.seed.user_data is not None else None,
        ignition=context.ignition(server.name) if server.seed.ignition is not None else None,
        console=context.console(server.name),
        console_log=context.console_log(server.name),
    )


def _scsi(server: Server, context: PlanContext) -> Mapping[str, str]:
    names = [disk.target for disk in disks(server, context) if disk.bus == "scsi"]
    return {_BEFORE_AGENT: _LOAD_SCSI.format(last=names[-1])} if names else {}


def cpu_vendor(server: Server) -> str | None:
    """Return whose the emulated CPU says it is, if not what its model is: see `SEEN_IN_PARTS`."""
    smp = server.hardware.smp
    return SEEN_IN_PARTS if smp and (smp.threads > 1 or smp.dies > 1) else None


def _emulated_cmdline(*, cx16: bool) -> str:
    return CMDLINE_EMULATED + (KERNEL_WITHOUT_CX16 if cx16 else "")


def numa_cells(server: Server) -> tuple[tuple[str, int], ...]:
    """Return for each NUMA node its CPUs as libvirt writes them, also those not there yet, and its bytes of memory."""
    nodes, smp = server.hardware.numa, server.hardware.smp
    if not nodes:
        return ()
    cpus = (smp.maxcpus if smp else server.cpu) // nodes
    return tuple((f"{node * cpus}-{(node + 1) * cpus - 1}", server.memory // nodes) for node in range(nodes))


def guest_files(server: Server, topology: Topology, context: PlanContext) -> Mapping[str, str]:
    """Return the files of a server's config disk, but `vdc.plan.hosts`: absolute guest path to text."""
    return {
        "/etc/hostname": f"{server.name}\n",
        "/etc/machine-id": f"{context.uuid(server.name).hex}\n",
        "/etc/bird/bird.conf": server_config(server, topology, context),
        NETWORK: render("guest-network.j2", server=server, rack_only=topology.kubernetes is not None and server.member),
        "/etc/sysctl.d/90-vdc.conf": render("guest-sysctl.conf.j2"),
        **_scsi(server, context),
    }
