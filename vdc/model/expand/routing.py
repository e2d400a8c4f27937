"""How the fabric routes, resolved from the file's section."""

from __future__ import annotations

from vdc.model.spec import BfdSpec, RoutingSpec
from vdc.model.topology import Bfd, Routing


def make_routing(spec: RoutingSpec) -> Routing:
    """Return how the fabric routes; hold times are whole seconds (RFC 4271, 4.2)."""
    return Routing(
        rack=spec.rack,
        ecmp=spec.ecmp,
        graceful_restart=spec.graceful_restart,
        bfd=_bfd(spec.bfd),
        hold=round(spec.hold),
        server_bfd=_bfd(spec.server_bfd),
        server_hold=round(spec.server_hold) if spec.server_hold is not None else None,
        exposed=spec.exposed,
    )


def _bfd(spec: BfdSpec) -> Bfd | None:
    return Bfd(interval=spec.interval, multiplier=spec.multiplier) if spec.enabled else None
