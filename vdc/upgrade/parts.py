"""The parts of a release that are put in place and restarted each by itself, and in which order on a whole cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from vdc.cluster import etcd_config
from vdc.cluster.kubernetes.api import Component
from vdc.errors import InputError
from vdc.model.release import KUBERNETES
from vdc.upgrade.path import UpgradePath

_BIN: Final = "/usr/local/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What of a `component` of a release is restarted at once: its systemd `units`, and the `programs` that they run.

    `leads` are the leases (coordination.k8s.io/v1) under which one of all of its kind works, where there are several;
    `ports` are those of TCP that listen once they are at work.
    """

    component: str
    units: tuple[str, ...]
    programs: tuple[str, ...]
    leads: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What people call it: its component, or the programs where that has more than these."""
        names = [program.rpartition("/")[2] for program in self.programs]
        return " and ".join(names) if self.component == KUBERNETES else self.component

    @property
    def label(self) -> str:
        """The same in one word, for scripts."""
        return ",".join(self.name.split(" and "))


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The parts that nodes get in one go, node after node, before any gets those of the next; `voters`: only these do.

    `name` is empty where all is done in one. `shared`: other rounds have other parts of the same component; this one is
    the last of them on the way forward (`ends`), or back (`begins`).
    """

    parts: tuple[Part, ...]
    name: str = ""
    voters: bool = False
    shared: bool = False
    begins: bool = False
    ends: bool = False


def _of_kubernetes(*components: Component, leads: bool = False, ports: tuple[int, ...] = ()) -> Part:
    return Part(
        component=KUBERNETES,
        units=tuple(f"{each}.service" for each in components),
        programs=tuple(f"{_BIN}/{each}" for each in components),
        leads=components if leads else (),
        ports=ports,
    )


API_SERVER: Final = _of_kubernetes(Component.API_SERVER)
_CONTROLLERS: Final = _of_kubernetes(
    # https://kubernetes.io/docs/reference/networking/ports-and-protocols/
    Component.CONTROLLER_MANAGER,
    Component.SCHEDULER,
    leads=True,
    ports=(10257, 10259),
)
_ON_NODES: Final = _of_kubernetes(Component.KUBELET, Component.KUBE_PROXY)
ETCD: Final = Part(component="etcd", units=(etcd_config.UNIT,), programs=("/usr/bin/etcd",))
RUNTIME: Final = Part(
    component="containerd", units=(f"{Component.RUNTIME}.service",), programs=("/usr/bin/containerd",)
)

_KNOWN: Final[Mapping[str, Mapping[str, tuple[Part, ...]]]] = MappingProxyType(
    {
        "etcd": MappingProxyType({"etcd": (ETCD,)}),
        "kubernetes": MappingProxyType({"containerd": (RUNTIME,), KUBERNETES: (API_SERVER, _CONTROLLERS, _ON_NODES)}),
    }
)
"""Kind of cluster and component to its parts."""


def rounds_of(path: UpgradePath) -> tuple[Round, ...]:
    """Return what nodes get on a path in place, in this order.

    Of Kubernetes all API servers are new before any controller is, and these before any kubelet: none may be newer than
    an API server that it talks to (https://kubernetes.io/releases/version-skew-policy/#supported-component-upgrade-order).

    Raises InputError: there is a component that nobody knows how to restart.
    """
    known = _KNOWN.get(path.cluster, {})
    for change in path.changes:
        if change.component not in known:
            raise InputError(
                f"{path.name}: nobody knows how to restart {change.component} of {path.cluster}",
                hint=f"there is {', '.join(known) or 'nothing for such a cluster'}; a row may have `upgrade:` hooks",
            )
    changing = [change.component for change in path.changes]
    below = tuple(part for each in changing if each != KUBERNETES for part in known[each])
    found = [Round(parts=below, name="below" if KUBERNETES in changing else "")] if below else []
    if KUBERNETES in changing:
        found += [
            Round(parts=(API_SERVER,), name="API server", voters=True, shared=True, begins=True),
            Round(parts=(_CONTROLLERS,), name="controllers", voters=True, shared=True),
            Round(parts=(_ON_NODES,), name="kubelet and kube-proxy", shared=True, ends=True),
        ]
    return tuple(found)


def programs_of(path: UpgradePath) -> frozenset[str]:
    """Return the programs that a path in place renews, where it is one by parts that are known."""
    known = _KNOWN.get(path.cluster, {})
    parts: Iterable[Part] = (part for change in path.changes for part in known.get(change.component, ()))
    return frozenset(program for part in parts for program in part.programs)
