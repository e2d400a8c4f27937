"""The names of services: "Kubernetes DNS-Based Service Discovery", version 1.1.0, as lines of hosts(5).

dnsmasq answers with every address that a name has, and for an address with the first name of its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from .objects import Endpoint, Service, Slice


def hosts_text(services: Iterable[Service], slices: Iterable[Slice], domain: str) -> str:
    """Return a line for each address of a service, always in the same order.

    A headless service has those of its ready endpoints, each of which has a name below the service's: its hostname, or
    one made of its address. A service without an address, or whose endpoints are elsewhere, has no line.
    """
    behind = endpoints_of(slices)
    lines = (line for service in services for line in _lines(service, behind.get(service.key, ()), domain))
    return "".join(f"{line}\n" for line in sorted(lines))


def endpoints_of(slices: Iterable[Slice]) -> Mapping[str, tuple[Endpoint, ...]]:
    """Return the endpoints of each service, each address once: it is ready if any slice says so."""
    found: dict[str, dict[str, Endpoint]] = {}
    for each in slices:
        known = found.setdefault(each.service, {})
        for endpoint in each.endpoints:
            name = f"{endpoint.hostname} {endpoint.address}"
            if name not in known or endpoint.ready:
                known[name] = endpoint
    return {service: tuple(known.values()) for service, known in found.items()}


def _lines(service: Service, endpoints: tuple[Endpoint, ...], domain: str) -> Iterator[str]:
    name = f"{service.name}.{service.namespace}.svc.{domain}"
    if service.cluster_ip is not None:
        yield f"{service.cluster_ip} {name}"
    elif service.headless:
        for endpoint in endpoints:
            if endpoint.ready:
                own = endpoint.hostname or str(endpoint.address).replace(".", "-")
                yield f"{endpoint.address} {own}.{name} {name}"
