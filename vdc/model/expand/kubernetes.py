"""The Kubernetes of a topology: which servers are its control plane, and where its addresses come from."""

from __future__ import annotations

from collections.abc import Iterable

from vdc.model.deployment import Kubernetes
from vdc.model.expand.shape import Shape
from vdc.model.topology import Server


def make_kubernetes(shape: Shape, servers: Iterable[Server]) -> Kubernetes | None:
    """Return the Kubernetes that the file asks for, if it does."""
    spec = shape.spec.kubernetes
    if spec is None:
        return None
    return Kubernetes(
        control_planes=tuple(each.name for each in servers if each.role == spec.control_plane and each.member),
        pods=tuple(pools.pod for pools in shape.pools),
        services=tuple(pools.service for pools in shape.pools),
        load_balancers=tuple(pools.load_balancer for pools in shape.pools if pools.load_balancer is not None),
        proxy=spec.proxy,
        registry_mirrors=tuple(spec.registry_mirrors.items()),
        domain=spec.domain,
    )
