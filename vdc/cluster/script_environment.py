"""What the user's own commands find in their environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from vdc.datacenter.api import DataCenter
from vdc.inventory import Access, Form, doorway, inventory
from vdc.model.topology import Server

_FILES: Final[Mapping[Form, tuple[str, str]]] = MappingProxyType(
    {
        "json": ("inventory.json", "VDC_INVENTORY"),
        "ansible": ("inventory.yml", "VDC_ANSIBLE_INVENTORY"),
        "ssh-config": ("ssh_config", "VDC_SSH_CONFIG"),
        "hosts": ("hosts", "VDC_HOSTS"),
    }
)
"""The inventory in each of its forms: the name of the file, and of the variable that has its path."""

_STATE: Final = "state"


def prepare(dc: DataCenter, directory: Path) -> None:
    """Write the inventory in all its forms, and make the folder in which commands keep what they like."""
    (directory / _STATE).mkdir(parents=True, exist_ok=True, mode=0o700)
    for form, (name, _) in _FILES.items():
        part = directory / f".{name}.part"
        part.write_text(inventory(dc.topology, _access(dc), form), encoding="utf-8")
        part.rename(directory / name)


def environment(dc: DataCenter, server: Server | None) -> Mapping[str, str]:
    """Return the variables of a command that is run for a server, or once for all.

    `VDC_STATE` is a folder that checkpoints and forks of the data centre keep; `VDC_NETNS` the namespace of this host
    from which servers are reached, as users outside do; `VDC_SLOWNESS` how slow this host is.
    """
    directory = dc.run_directory / "script"
    cluster = {
        "VDC_INSTANCE": dc.name,
        "VDC_TOPOLOGY": dc.topology.name,
        "VDC_STATE": str(directory / _STATE),
        "VDC_NETNS": doorway(dc.topology, _access(dc)),
        "VDC_SLOWNESS": f"{dc.slowness:g}",
        **{variable: str(directory / name) for name, variable in _FILES.values()},
    }
    return cluster if server is None else {**cluster, **_of_server(server)}


def _of_server(server: Server) -> Mapping[str, str]:
    return {
        "VDC_SERVER": server.name,
        "VDC_ROLE": server.role,
        "VDC_RACK": "" if server.rack is None else str(server.rack),
        "VDC_ADDRESS": str(server.address or ""),
        "VDC_ADDRESSES": " ".join(str(each.ip) for each in server.nodes),
    }


def _access(dc: DataCenter) -> Access:
    return Access(
        instance=dc.name,
        netns=f"vdc-{dc.name}",
        secrets=str(dc.run_directory / "secrets"),
        relay=(sys.executable, "-m", "vdc.host.relay"),
    )
