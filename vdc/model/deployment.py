"""What is to be deployed on the servers of a data centre, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vdc.model.ip import Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubernetes:
    """The Kubernetes that is to be deployed: `control_planes` are names of servers, in the topology's order.

    `pods`, `services` and `load_balancers` are the pools that addresses of the cluster come from; those of load
    balancers are announced by the servers as the cluster wants it, so no routing model knows them.
    `registry_mirrors` are pairs of a registry's host and the URL of its mirror.
    """

    control_planes: tuple[str, ...]
    pods: tuple[Prefix, ...]
    services: tuple[Prefix, ...]
    load_balancers: tuple[Prefix, ...] = ()
    proxy: Literal["iptables", "ipvs"] = "iptables"
    registry_mirrors: tuple[tuple[str, str], ...] = ()
    domain: str = "cluster.local"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptStep:
    """A command of a deployment: run for each server of `roles` (none: of all), or `once`."""

    run: tuple[str, ...]
    roles: tuple[str, ...] = ()
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The commands that deploy a cluster, ask whether a member serves, and write and read; those not given are empty.

    `timeout` in seconds, on a host of slowness 1, is that of a step, and of the wait until all serve.
    """

    deploy: tuple[ScriptStep, ...]
    serving: tuple[str, ...]
    write: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    list: tuple[str, ...] = ()
    timeout: float = 600.0

    @property
    def commands(self) -> tuple[tuple[str, ...], ...]:
        """All commands that are given."""
        every = (*(step.run for step in self.deploy), self.serving, self.write, self.read, self.list)
        return tuple(command for command in every if command)
