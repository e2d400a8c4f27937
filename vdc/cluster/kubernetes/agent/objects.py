"""What the agent needs to know of the API's objects (Kubernetes API reference: Service v1, EndpointSlice v1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

Json = Mapping[str, Any]

BALANCER_CLASS = "vdc.local/bgp"
"""The class of load balancers that are ours; a service without a class is ours, too."""

_SERVICE_LABEL = "kubernetes.io/service-name"
_NODE_TOPOLOGY = "kubernetes.io/hostname"
_HEADLESS = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service. `cluster_ip` is None where it has none; a `headless` one stands for its endpoints by name.

    `balanced` is one that is to be reached from outside: `wanted` is the address that it asks for, and `ingress` those
    it has. `version` is the object's resource version, `created` when it was made, as the API writes it.
    """

    namespace: str
    name: str
    uid: str
    version: str
    created: str
    cluster_ip: IPv4Address | None = None
    headless: bool = False
    balanced: bool = False
    wanted: IPv4Address | None = None
    ingress: tuple[IPv4Address, ...] = ()

    @property
    def key(self) -> str:
        """Its namespace and name."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What is behind a service. `node` is empty where it is on none, `hostname` where it has no name of its own."""

    address: IPv4Address
    ready: bool
    node: str = ""
    hostname: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some of the endpoints of a service, which is named by its namespace and name."""

    service: str
    endpoints: tuple[Endpoint, ...]


def read_service(said: Json) -> Service:
    """Return the Service that an object is; its IPv6 addresses are left out. Raises KeyError: it is none."""
    meta, spec = said["metadata"], said.get("spec", {})
    status = said.get("status", {}).get("loadBalancer") or {}
    balancer_class = spec.get("loadBalancerClass") or BALANCER_CLASS
    cluster_ip = spec.get("clusterIP", "")
    return Service(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        version=meta.get("resourceVersion", ""),
        created=meta.get("creationTimestamp") or "",
        cluster_ip=_address(cluster_ip),
        headless=cluster_ip == _HEADLESS,
        balanced=spec.get("type") == "LoadBalancer" and balancer_class == BALANCER_CLASS,
        wanted=_address(spec.get("loadBalancerIP", "")),
        ingress=tuple(_addresses(each.get("ip", "") for each in status.get("ingress") or ())),
    )


def read_slice(said: Json) -> Slice:
    """Return the EndpointSlice that an object is; one of IPv6 addresses is empty. Raises KeyError: it is none."""
    meta = said["metadata"]
    name = (meta.get("labels") or {}).get(_SERVICE_LABEL, "")
    found = (endpoint for each in said.get("endpoints") or () for endpoint in _endpoints(each))
    return Slice(service=f"{meta['namespace']}/{name}", endpoints=tuple(found))


def _endpoints(said: Json) -> Iterator[Endpoint]:
    """Yield an endpoint for each of its addresses; what is not known of its readiness counts as ready."""
    ready = (said.get("conditions") or {}).get("ready")
    # v1beta1 has the node among the labels of its topology
    node = said.get("nodeName") or (said.get("topology") or {}).get(_NODE_TOPOLOGY) or ""
    for address in _addresses(said.get("addresses") or ()):
        yield Endpoint(address=address, ready=ready is not False, node=node, hostname=said.get("hostname") or "")


def _addresses(texts: Iterator[str] | list[str] | tuple[()]) -> Iterator[IPv4Address]:
    return (address for address in map(_address, texts) if address is not None)


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None
