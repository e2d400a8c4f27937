"""The devices of a data centre as other programs want them: JSON, an Ansible inventory, ssh_config(5), hosts(5).

Pure: all is known before a data centre is up. Servers are reached over a network namespace of the host, which is why
an SSH client needs a `ProxyCommand`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from vdc.model.hardware import Hardware
from vdc.model.ip import Interface
from vdc.model.topology import End, External, Impairment, Link, Router, Segment, Server, ServerPort, Tier, Topology

Form = Literal["json", "ansible", "ssh-config", "hosts"]
Tree = Mapping[str, object]
"""What JSON and YAML hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How this host reaches an instance: its namespaces begin with `netns`, its keys are in `secrets`.

    `relay` is the command that, with an address and a port after it, joins its input and output with a TCP connection.
    """

    instance: str
    netns: str
    secrets: str
    relay: tuple[str, ...]


def inventory(topology: Topology, access: Access, form: Form) -> str:
    """Return the devices of a data centre as `form` has them."""
    return FORMS[form](topology, access)


def as_json(topology: Topology, access: Access) -> str:
    """Return every device, network and link with its addresses, AS number and hardware; sizes in bytes."""
    tree = {
        "instance": access.instance,
        "topology": topology.name,
        "release": topology.release,
        "family": topology.family,
        "routers": [_router(router, access) for router in topology.routers],
        "servers": [_server(server) for server in topology.servers],
        "clients": [_client(client, access) for client in topology.externals],
        "networks": [_network(segment) for segment in topology.segments],
        "links": [_link(link) for link in topology.links],
    }
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def as_hosts(topology: Topology, access: Access) -> str:
    """Return a line for each address that a device is known by: those of clients, routers, then servers."""
    del access
    named = (
        *((client.name, client_addresses(client)) for client in topology.externals),
        *((router.name, router.loopbacks) for router in topology.routers),
        *((server.name, known_addresses(server)) for server in topology.servers),
    )
    return "".join(f"{address.ip} {name}\n" for name, addresses in named for address in addresses)


def as_ssh_config(topology: Topology, access: Access) -> str:
    """Return a block for each server, for `ssh -F`; root's, since only root enters namespaces and reads the keys."""
    proxy = proxy_command(topology, access)
    hosts = (_ssh_host(server, access, proxy) for server in topology.servers if known_addresses(server))
    return f"# Servers of {access.instance}. As root: ssh -F FILE SERVER\n" + "".join(hosts)


def as_ansible(topology: Topology, access: Access) -> str:
    """Return an inventory in YAML with groups by kind, role, tier, rack and pod.

    Only servers speak SSH. Of routers and clients it tells the namespace, in which `ip netns exec` runs a command.
    """
    tree: Tree = {
        "all": {
            "vars": {"vdc_instance": access.instance, "vdc_topology": topology.name},
            "children": {
                "servers": {
                    "vars": _ansible_ssh(topology, access),
                    "hosts": {server.name: _ansible_server(server) for server in topology.servers},
                },
                "routers": {"hosts": {router.name: _ansible_router(router, access) for router in topology.routers}},
                "clients": {"hosts": {client.name: _ansible_client(client, access) for client in topology.externals}},
                **{group: {"hosts": {name: {} for name in names}} for group, names in _groups(topology).items()},
            },
        }
    }
    return "---\n" + "".join(f"{line}\n" for line in _yaml(tree))


FORMS: Final[Mapping[Form, Callable[[Topology, Access], str]]] = MappingProxyType(
    {"json": as_json, "ansible": as_ansible, "ssh-config": as_ssh_config, "hosts": as_hosts}
)


def known_addresses(server: Server) -> tuple[Interface, ...]:
    """Return the addresses that a server is known by: its node addresses, or where it announces none those of its NICs.

    A guest of a user's image and one beside the fabric announce none.
    """
    return server.nodes or tuple(address for port in server.ports for address in port.addresses)


def client_addresses(client: External) -> tuple[Interface, ...]:
    """Return the addresses that a client is known by: those of its first interface that has any."""
    return next((each for each in (client.addresses, *(end.addresses for end in client.further)) if each), ())


def doorway(topology: Topology, access: Access) -> str:
    """Return the namespace from which servers are reached: that of a client, of a border or of any router.

    A data centre without any of them has only its own.
    """
    outside = [client.name for client in topology.externals] + [router.name for router in topology.tier(Tier.BORDER)]
    first = next(iter([*outside, *(router.name for router in topology.routers)]), None)
    return f"{access.netns}.{first}" if first else access.netns


def proxy_command(topology: Topology, access: Access) -> str:
    """Return what connects ssh(1) to a server: `%h` and `%p` are the address and port."""
    return shlex.join(["nsenter", f"--net=/run/netns/{doorway(topology, access)}", "--", *access.relay]) + " %h %p"


def _ssh_host(server: Server, access: Access, proxy: str) -> str:
    block = f"\nHost {server.name}\n  HostName {known_addresses(server)[0].ip}\n  ProxyCommand {proxy}\n"
    if not server.managed:  # it is the user's to say who logs in, and as whom
        return block
    return block + (
        "  User root\n"
        "  IdentitiesOnly yes\n"
        f"  IdentityFile {access.secrets}/id_ed25519\n"
        f"  UserKnownHostsFile {access.secrets}/known_hosts\n"
        "  StrictHostKeyChecking yes\n"
    )


def _ansible_ssh(topology: Topology, access: Access) -> Tree:
    options = (
        "IdentitiesOnly=yes",
        f"UserKnownHostsFile={access.secrets}/known_hosts",
        "StrictHostKeyChecking=yes",
        f"ProxyCommand={proxy_command(topology, access)}",
    )
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": f"{access.secrets}/id_ed25519",
        "ansible_ssh_common_args": " ".join(f"-o {shlex.quote(option)}" for option in options),
    }


def _ansible_server(server: Server) -> Tree:
    known = known_addresses(server)
    return {
        **({"ansible_host": str(known[0].ip)} if known else {}),
        "vdc_role": server.role,
        **_somewhere(rack=server.rack),
        "vdc_asn": server.asn,
        "vdc_addresses": [str(address.ip) for address in known],
        "vdc_macs": [port.mac for port in server.ports],
    }


def _ansible_router(router: Router, access: Access) -> Tree:
    return {
        "vdc_netns": f"{access.netns}.{router.name}",
        "vdc_tier": str(router.tier),
        **_somewhere(pod=router.pod, rack=router.rack),
        "vdc_asn": router.asn,
        "vdc_addresses": [str(loopback.ip) for loopback in router.loopbacks],
    }


def _ansible_client(client: External, access: Access) -> Tree:
    return {
        "vdc_netns": f"{access.netns}.{client.name}",
        "vdc_addresses": [str(address.ip) for address in client_addresses(client)],
    }


def _somewhere(**places: int | None) -> Tree:
    return {f"vdc_{what}": number for what, number in places.items() if number is not None}


def _groups(topology: Topology) -> Mapping[str, Iterable[str]]:
    """Return the names of devices by group; prefixes keep a role from being taken for a tier."""
    found: dict[str, list[str]] = {}
    for server in topology.servers:
        found.setdefault(f"role_{server.role}", []).append(server.name)
    for router in topology.routers:
        found.setdefault(f"tier_{router.tier}", []).append(router.name)
        if router.pod is not None:
            found.setdefault(f"pod{router.pod}", []).append(router.name)
    for rack, name in [(each.rack, each.name) for each in topology.routers] + [
        (each.rack, each.name) for each in topology.servers
    ]:
        if rack is not None:
            found.setdefault(f"rack{rack}", []).append(name)
    return found


def _yaml(tree: Tree, depth: int = 0) -> Iterator[str]:
    """Yield lines of block mappings; scalars and lists are written as JSON, which YAML 1.2 contains."""
    for key, value in tree.items():
        name = f"{'  ' * depth}{key}:"
        if isinstance(value, Mapping) and value:
            yield name
            yield from _yaml(value, depth + 1)
        else:
            yield f"{name} {json.dumps(value, ensure_ascii=False)}"


def _router(router: Router, access: Access) -> Tree:
    return {
        "name": router.name,
        "tier": str(router.tier),
        "pod": router.pod,
        "rack": router.rack,
        "asn": router.asn,
        "router_id": str(router.router_id),
        "addresses": _by_family(router.loopbacks),
        "announces": _texts(router.originates),
        "namespace": f"{access.netns}.{router.name}",
        "interfaces": [_end(end) for end in router.interfaces],
    }


def _server(server: Server) -> Tree:
    return {
        "name": server.name,
        "role": server.role,
        "rack": server.rack,
        "asn": server.asn,
        "addresses": _by_family(known_addresses(server)),
        "announces": _texts((*server.announces, *server.pods)),
        "interfaces": [_port(port) for port in server.ports],
        "image": server.image,
        "hardware": {
            "cpu": server.cpu,
            "memory": server.memory,
            "data": server.data,
            **_hardware(server.hardware),
        },
    }


def _hardware(hardware: Hardware) -> Tree:
    return {
        "firmware": hardware.firmware,
        "numa": hardware.numa,
        "queues": hardware.queues,
        "serial": hardware.smbios.serial,
        "volumes": [
            {"name": volume.name, "kind": volume.kind, "bus": volume.bus, "size": volume.size, "serial": volume.serial}
            for volume in hardware.volumes
        ],
    }


def _client(client: External, access: Access) -> Tree:
    return {
        "name": client.name,
        "network": client.segment,
        "addresses": _by_family(client_addresses(client)),
        "gateways": _texts(client.gateways),
        "namespace": f"{access.netns}.{client.name}",
        "interfaces": [
            {"name": client.interface, "addresses": _texts(client.addresses)},
            *(_end(end) for end in client.further),
        ],
    }


def _network(segment: Segment) -> Tree:
    return {
        "name": segment.name,
        "kind": str(segment.kind),
        "prefixes": _texts(segment.prefixes),
        "mtu": segment.mtu,
        "ports": [{"device": end.device, **_end(end)} for end in segment.ports],
    }


def _link(link: Link) -> Tree:
    return {
        "a": {"device": link.a.device, **_end(link.a)},
        "b": {"device": link.b.device, **_end(link.b)},
        "mtu": link.mtu,
        "to_a": _impairment(link.to_a),
        "to_b": _impairment(link.to_b),
    }


def _impairment(what: Impairment | None) -> Tree | None:
    if what is None:
        return None
    return {"delay": what.delay, "jitter": what.jitter, "loss": what.loss, "rate": what.rate}


def _end(end: End) -> Tree:
    link_local = {"link_local": str(end.link_local)} if end.link_local is not None else {}
    return {"name": end.interface, "mac": end.mac, "addresses": _texts(end.addresses), **link_local}


def _port(port: ServerPort) -> Tree:
    return {
        "name": port.interface,
        "mac": port.mac,
        "network": port.segment,
        "tor": port.tor,
        "addresses": _texts(port.addresses),
        "mtu": port.mtu,
    }


def _by_family(addresses: Iterable[Interface]) -> Tree:
    """Return the addresses without their lengths, by the name of their family."""
    every = tuple(addresses)
    versions = {"ipv4": 4, "ipv6": 6}
    return {family: [str(each.ip) for each in every if each.version == version] for family, version in versions.items()}


def _texts(values: Iterable[object]) -> list[str]:
    return [str(value) for value in values]
