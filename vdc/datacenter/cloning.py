"""Starting servers as clones of booted templates, each with its own identity from its first moment."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import uuid4

from vdc.datacenter.live import LiveDataCenter
from vdc.datacenter.machine import LiveMachine
from vdc.datacenter.templates import NAME, ROOT, Templates
from vdc.datacenter.waking import fresh_entropy
from vdc.host import disks, freezer
from vdc.plan.identity import identity_script
from vdc.plan.resources.processes import Domain

_WORKERS: Final = 3


def start(dc: LiveDataCenter, found: Templates) -> None:
    """Start every server that has a template, and whose disks but the root disk are there; all answer then.

    Raises BuildError, CommandError, WaitTimeout: naming the server.
    """
    (dc.run_directory / "consoles").mkdir(exist_ok=True)
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(lambda name: _start(dc, dc.servers[name], found), found))


def _start(dc: LiveDataCenter, server: LiveMachine, found: Templates) -> None:
    template = found[server.name]
    context = dc.plan.context
    disks.create_overlay_on(context.root_disk(server.name), template.disk(ROOT), "qcow2")
    if server.spec.hardware.firmware == "uefi":  # what the template's firmware remembers of its first boot
        shutil.copyfile(template.disk(context.nvram(NAME).name), context.nvram(server.name))
    domain = dc.plan.resource(f"domain:{server.name}")
    assert isinstance(domain, Domain)
    server.libvirt.define(domain.xml)
    freezer.wake(server.libvirt, server.name, domain.xml, template.frozen(NAME), context.process_file(server.name))
    server.libvirt.resume(server.name)
    server.run_first(
        lambda: identity_script(server.spec, context, now=time.time(), boot_id=uuid4(), entropy=fresh_entropy())
    )
    server.recorder.record("power", "harness", server=server.name, action="clone")
