"""Booted templates: servers without an identity, booted once per image and shape, and kept frozen in the cache.

A template is a checkpoint of a data centre of one server and no fabric. It is known by a digest of all that goes into
it; a damaged one is made again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from vdc.datacenter import checkpoint, checkpoint_stores
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.ownership import create, down
from vdc.errors import DamagedError
from vdc.host import accelerator, disks, engine, firmware
from vdc.host.engine import Build
from vdc.host.locks import exclusive
from vdc.model.topology import STANDARD_MTU, End, Segment, SegmentKind, Server, ServerPort, Topology
from vdc.plan.hosts import HOSTS, hosts
from vdc.plan.identity import SETTLE
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan, make_plan
from vdc.plan.resources import Resource
from vdc.plan.resources.disks import ConfigDisk, DataDisk
from vdc.plan.resources.processes import Domain
from vdc.plan.servers import NETWORK
from vdc.plan.volumes import blank as blank_volumes
from vdc.settings import Settings
from vdc.steps import Steps

Templates = Mapping[str, Checkpoint]
"""The template of each server, by the server's name."""

NAME: Final = "template"
ROOT: Final = f"{NAME}-root.qcow2"
"""The only server of a template, and its root disk."""

_IN_ALL: Final = re.compile(r"link (add|set eth\d+ name) ")
"""Lines of a server's network that are the same in all clones; `identity.sh` leaves them out."""

_KEPT: Final = 8
_BOOT_SECONDS: Final = 120.0
_NOWHERE: Final = IPv4Interface("192.0.2.1/32")  # RFC 5737: for documentation


def ensure(plan: Plan, settings: Settings, steps: Steps) -> Templates:
    """Return a whole template for every server of a plan that can be a clone, made if the cache has none.

    Raises:
        BuildError, WaitTimeout: one could not be booted.
        HostError: there is no room for it.
    """
    found: dict[str, Checkpoint] = {}
    templates: dict[str, str] = {}
    for server in filter(clonable, plan.topology.servers):
        blank = _blank(server)
        digest = _digest(blank, plan)
        if digest not in found:
            found[digest] = _ensure(digest, blank, plan, settings, steps)
        templates[server.name] = digest
    return {name: found[digest] for name, digest in templates.items()}


def clonable(server: Server) -> bool:
    """Return whether a server can start as a clone: it is ours, and its template would have volumes as empty as its."""
    return server.managed and blank_volumes(server.hardware.volumes)


def _ensure(digest: str, blank: Server, plan: Plan, settings: Settings, steps: Steps) -> Checkpoint:
    folder = checkpoint_stores.template_store(settings)
    folder.mkdir(parents=True, exist_ok=True)
    directory = folder / digest
    with exclusive(folder / f".{digest}.lock"):
        try:
            if (known := checkpoint.load(directory)) is not None:
                checkpoint.verify(known)
                return known
            why = f"{directory} is not whole"
        except DamagedError as error:
            why = error.message
        if directory.exists():
            with steps.step(f"discard a template: {why}"):
                checkpoint.discard(directory)
        release = plan.topology.release
        with steps.step(f"boot a template of {release}, {blank.cpu} CPU, {blank.memory >> 20} MiB"):
            made = _make(directory, _template_plan(f"{NAME}-{digest[:6]}", blank, plan), settings)
    checkpoint.prune(folder, _KEPT)
    return made


def _make(directory: Path, plan: Plan, settings: Settings) -> Checkpoint:
    steps = Steps()
    dc = create(plan, settings, steps, _boot, tied=True)
    try:
        return checkpoint.write(dc, directory)
    finally:
        down(plan.instance, settings, steps)


def _boot(dc: LiveDataCenter) -> dict[str, float]:
    """Boot the only server to the end, with an empty data disk, and a config disk that has no secrets."""
    build = Build(plan=dc.plan, settings=dc.settings, secrets=dc.secrets)
    engine.apply(build, only=lambda resource: not isinstance(resource, ConfigDisk | DataDisk | Domain))
    for resource in dc.plan.resources:
        match resource:
            case ConfigDisk():
                disks.create_config_disk(resource, {HOSTS: (hosts(dc.topology)[resource.server], 0o644)})
            case DataDisk(path=path, size=size):
                disks.create_blank(Path(path), size)
            case _:
                pass
    engine.apply(build, only=lambda resource: isinstance(resource, Domain))
    server = dc.servers[NAME]
    server.wait_answering()
    server.run(["systemctl", "is-system-running", "--wait"], timeout=_BOOT_SECONDS)
    server.run(["sh", "-s"], stdin=SETTLE)
    return {}


def _blank(server: Server) -> Server:
    """Return a server of the same shape that is nobody."""
    ports = tuple(
        ServerPort(
            interface=port.interface,
            tap=f"{NAME}.{number}",
            mac=f"52:54:00:00:00:{number:02x}",
            segment=NAME,
            tor=NAME,
            addresses=(_NOWHERE,),
            mtu=port.mtu,
        )
        for number, port in enumerate(server.ports)
    )
    hardware = replace(
        server.hardware,
        smbios=replace(server.hardware.smbios, serial=server.hardware.smbios.serial and NAME),
        volumes=tuple(replace(volume, directory=None) for volume in server.hardware.volumes),
    )
    return replace(
        server,
        name=NAME,
        role=NAME,
        rack=0,
        index=0,
        asn=1,
        router_id=_NOWHERE.ip,
        nodes=(_NOWHERE,),
        ports=ports,
        sessions=(),
        hardware=hardware,
        announces=(),
        pods=(),
        gateways=(),
    )


def _template_plan(name: str, blank: Server, plan: Plan) -> Plan:
    topology = _topology(blank, plan.topology.release)
    made = make_plan(topology, replace(plan.context, instance=name, identity=None))
    return replace(made, resources=tuple(map(_without_addresses, made.resources)))


def _topology(blank: Server, release: str) -> Topology:
    ports = tuple(End(device=NAME, interface=port.tap, addresses=(_NOWHERE,)) for port in blank.ports)
    return Topology(
        name=NAME,
        release=release,
        boot="cold",
        routers=(),
        servers=(blank,),
        externals=(),
        links=(),
        segments=(
            Segment(name=NAME, kind=SegmentKind.SERVERS, prefixes=(_NOWHERE.network,), ports=ports, mtu=_mtu(blank)),
        ),
    )


def _mtu(blank: Server) -> int:
    return max((port.mtu for port in blank.ports), default=STANDARD_MTU)


def _without_addresses(resource: Resource) -> Resource:
    if isinstance(resource, ConfigDisk):
        links = [line for line in resource.files[NETWORK].splitlines(keepends=True) if _IN_ALL.match(line)]
        return replace(resource, files={**resource.files, NETWORK: "".join(links)})
    return resource


def _digest(blank: Server, plan: Plan) -> str:
    """Return the digest of all that goes into a template: the image, the hardware, what boots it, and on which CPU."""
    context = replace(plan.context, state_dir=Path("/"), cache_dir=Path("/"), slowness=1.0)
    anywhere = _template_plan(NAME, blank, replace(plan, context=context))
    parts = {
        "plan": anywhere.to_json(),
        "image": IMAGES[plan.topology.release].manifest(plan.context.cache_dir).read_text(encoding="utf-8"),
        "settle": SETTLE,
        "format": checkpoint.FORMAT,
        **accelerator.hardware(plan.context.accelerator),
        **firmware.build(anywhere),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
