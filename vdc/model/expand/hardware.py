"""A server's machine: what a role, a rack and a single server say, resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from vdc.model import addressing
from vdc.model.hardware import Hardware, IoLimits, Seed, Smbios, Smp, Volume
from vdc.model.spec import IoLimitsSpec, ServerSpec, SmbiosSpec, SmpSpec, VolumeSpec

DEFAULT_MEMORY: Final = 640 << 20
DEFAULT_DATA: Final = 1 << 30


def make_smp(spec: SmpSpec) -> Smp:
    """Return the CPU topology: sockets follow from the rest first, then cores; all CPUs there can be are there."""
    given = (spec.sockets or 1) * spec.dies * (spec.cores or 1) * spec.threads
    wanted = spec.maxcpus or spec.cpus or given
    sockets = spec.sockets or max(1, wanted // given)
    cores = spec.cores or max(1, wanted // (sockets * spec.dies * spec.threads))
    total = sockets * spec.dies * cores * spec.threads
    return Smp(
        cpus=spec.cpus or total, sockets=sockets, dies=spec.dies, cores=cores, threads=spec.threads, maxcpus=total
    )


def make_hardware(name: str, spec: ServerSpec, device_classes: Mapping[str, str]) -> Hardware:
    """Return what server `name` has beyond CPUs, memory and the data disk."""
    smbios = spec.smbios or SmbiosSpec()
    return Hardware(
        smp=make_smp(spec.smp) if spec.smp is not None else None,
        numa=spec.numa or 0,
        queues=spec.queues or 1,
        firmware="uefi" if spec.uefi else "bios",
        smbios=Smbios(
            manufacturer=smbios.manufacturer,
            product=smbios.product,
            serial=smbios.serial or addressing.serial(name),
        ),
        volumes=tuple(volume for each in spec.volumes or () for volume in _volumes(each, device_classes)),
    )


def _volumes(spec: VolumeSpec, device_classes: Mapping[str, str]) -> Iterator[Volume]:
    for number in range(spec.count):
        suffix = str(number) if spec.count > 1 else ""
        yield Volume(
            name=f"{spec.name}{suffix}",
            kind=spec.kind,
            bus=spec.bus,
            cache=spec.cache,
            size=spec.size or 0,
            source=spec.path if spec.kind == "folder" else spec.image,
            overlay=spec.overlay,
            writable=spec.writable,
            serial=spec.serial,
            limits=_limits(spec.limits or IoLimitsSpec()),
            directory=device_classes[spec.device_class] if spec.device_class else None,
        )


def _limits(spec: IoLimitsSpec) -> IoLimits:
    return IoLimits(
        read_bytes=spec.read or 0,
        write_bytes=spec.write or 0,
        read_iops=spec.read_iops or 0,
        write_iops=spec.write_iops or 0,
    )


def make_seed(spec: ServerSpec, texts: Mapping[str, str]) -> Seed:
    """Return what a guest configures itself from; `texts` holds the files that `spec` names."""
    return Seed(
        user_data=texts[spec.user_data] if spec.user_data else None,
        network_config=texts[spec.network_config] if spec.network_config else None,
        ignition=texts[spec.ignition] if spec.ignition else None,
    )
