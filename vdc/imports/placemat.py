"""placemat v2 resources as a topology: flat networks, guests and namespaces beside a fabric of at most a border.

Where two namespaces that run BIRD share a network with nobody else, that network becomes a link between routers. The
network on which the host does NAT becomes the external one: its border stands where the host was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_interface
from pathlib import PurePosixPath

from vdc.imports.documents import Document, Source
from vdc.imports.draft import Draft, Imported, Options, check_releases
from vdc.imports.formats import Resource, refuse
from vdc.imports.images import put_device_classes, put_images
from vdc.imports.placemat_format import (
    DeviceClass,
    Image,
    NamespaceInterface,
    Network,
    NetworkNamespace,
    Node,
    read_placemat,
)
from vdc.imports.placemat_nodes import Guest, put_roles, read_guests, trace
from vdc.imports.placemat_site import Site, is_bird, runs_bird
from vdc.imports.pools import OUT_OF_THE_WAY, moved, moved6
from vdc.imports.units import plain_name
from vdc.model.checks.names import INSTANCE_LENGTH
from vdc.model.ip import Prefix
from vdc.model.yamltree import Path


def import_placemat(sources: Iterable[Source], options: Options | None = None) -> Imported:
    """Return the topology that files of placemat v2 mean. Raises InputError with every mistake in them."""
    sources, options = tuple(sources), options or Options()
    found = read_placemat(sources)
    refuse(found.problems)
    check_releases(options, [image.spec.name for image in found.of(Image)])
    draft = Draft(options)
    site = Site.of(found, draft)
    draft.put("name", options.name or plain_name(PurePosixPath(sources[0].file).stem, (), longest=INSTANCE_LENGTH))
    draft.put("release", options.release or ())
    draft.put("family", "dual" if 6 in site.versions else ())
    _put_fabric(draft, site)
    _put_pools(draft, site)
    put_device_classes(draft, found.of(DeviceClass))
    put_images(draft, found.of(Image))
    guests = read_guests(draft, found.of(Node))
    put_roles(draft, guests)
    _put_networks(draft, site)
    namespaces = {site.name_of(each.spec.name): _namespace(draft, site, each) for each in site.namespaces}
    # namespaces first: they have addresses of their own, which servers then keep clear of
    draft.put("devices", namespaces | _servers(draft, site, guests))
    return draft.finish(f"Imported from placemat: {', '.join(source.file for source in sources)}")


def _put_fabric(draft: Draft, site: Site) -> None:
    """Add a border if something is behind NAT: it stands where the host was, and the client where its users were."""
    if site.outside is None:
        return
    text = f"Everything stands beside the fabric. Its border has the host's address on {site.outside}, and does NAT."
    draft.put("fabric", {"borders": 1, "spines": 0, "tors": 0}, comment=text)
    draft.put("external", {"clients": 1})
    draft.put("internet", {"nat": True})


def _put_pools(draft: Draft, site: Site) -> None:
    chosen: dict[str, Prefix] = {}
    if site.outside is not None:
        chosen["external"] = next(prefix for prefix in site.prefixes(site.outside) if prefix.version == 4)
        draft.comments["pools", "external"] = f"was {site.outside}"
    if site.link_pool is not None:
        chosen["link"] = site.link_pool
    taken = {*site.all_prefixes, *chosen.values()}
    others = moved(taken, chosen=chosen)
    draft.put("pools", {name: str(prefix) for name, prefix in chosen.items()} | dict(others))
    draft.comments |= {("pools", name): OUT_OF_THE_WAY for name in others}
    draft.put("pools6", moved6(taken))


def _put_networks(draft: Draft, site: Site) -> None:
    networks: dict[str, object] = {}
    for each in site.found.of(Network):
        spec, document = each.spec, each.document
        if spec.name == site.outside:
            draft.differs(document, (), "is the network external here: border0 has the host's address, and does NAT")
            continue
        if spec.type == "bmc":
            draft.lost(document, ("type",), " yet: a BMC is not built yet; this is a network like any other")
        if spec.address:
            draft.lost(document, ("address",), ": the host has no address on a network; its prefix is kept")
        if spec.use_nat:
            draft.lost(document, ("use-nat",), " for a flat network: NAT is at a border (internet: {nat: true})")
        if spec.name not in site.wires:
            prefixes = [str(prefix) for prefix in site.prefixes(spec.name)]
            networks[site.networks[spec.name]] = {"prefixes": prefixes} if prefixes else {}
    draft.put("networks", networks)


def _servers(draft: Draft, site: Site, guests: Sequence[Guest]) -> dict[str, object]:
    """Return guests as devices; one that configures itself takes no addresses of ours."""
    devices: dict[str, object] = {}
    for guest in guests:
        name = site.devices["Node", guest.node.spec.name]
        trace(draft, ("devices", name, "server"), guest.node.document)
        devices[name] = guest.device(
            [
                {"network": site.networks[network]}
                | ({} if guest.configured or not site.prefixes(network) else {"addresses": []})
                for network in guest.node.spec.interfaces
            ]
        )
    return devices


def _namespace(draft: Draft, site: Site, namespace: Resource[NetworkNamespace]) -> dict[str, object]:
    """Return a namespace as a device, and tell what of it is lost."""
    spec, document = namespace.spec, namespace.document
    name, interfaces = site.name_of(spec.name), list[dict[str, object]]()
    for number, interface in enumerate(spec.interfaces):
        path: Path = ("interfaces", number)
        wire = site.wires.get(interface.network)
        draft.comes_from(("devices", name, "interfaces", len(interfaces)), document, path)
        if wire is None:
            addresses = _kept(draft, document, path, interface, site.prefixes(interface.network))
            plugged: dict[str, object] = {"network": site.networks[interface.network]}
            unlike = addresses or site.prefixes(interface.network)
            interfaces.append(plugged | ({"addresses": addresses} if unlike else {}))
        elif wire.late == spec.name:
            link = {"link": site.name_of(wire.early)}
            interfaces.append(link | _link_addresses(draft, document, path, interface, site.link_pool))
    _tell_processes(draft, namespace)
    kind = {"kind": "router" if runs_bird(spec) else "client"}
    return kind | ({"interfaces": interfaces} if interfaces else {})


def _kept(
    draft: Draft, document: Document, path: Path, interface: NamespaceInterface, prefixes: Sequence[Prefix]
) -> list[str]:
    """Return the addresses of an interface that are of its network's prefixes; tell of the others."""
    kept: list[str] = []
    for number, text in enumerate(interface.addresses):
        if ip_interface(text).network in prefixes:
            kept.append(text)
        else:
            shown = ", ".join(map(str, prefixes)) or "none"
            why = f": a network has one prefix of each family, of more than two addresses; this one's are: {shown}"
            draft.lost(document, (*path, "addresses", number), why)
    return kept


def _link_addresses(
    draft: Draft, document: Document, path: Path, interface: NamespaceInterface, pool: Prefix | None
) -> dict[str, object]:
    """Return a router's own address on a link; the other end has the one beside it."""
    addresses = [ip_interface(text) for text in interface.addresses]
    if not addresses:
        return {}
    if len(addresses) == 1 and pool is not None and addresses[0].ip in pool and addresses[0].network.prefixlen >= 30:
        return {"addresses": [str(addresses[0])]}
    draft.differs(document, (*path, "addresses"), "addresses of this link come from the pool link here")
    return {}


def _tell_processes(draft: Draft, namespace: Resource[NetworkNamespace]) -> None:
    for number, app in enumerate(namespace.spec.apps):
        if is_bird(app):
            how = "BIRD's configuration is not read: sessions follow from links, AS numbers from asn.device"
            draft.differs(namespace.document, ("apps", number), how)
        else:
            draft.lost(namespace.document, ("apps", number), f" yet: `{app.command[0]}` is not started")
    if namespace.spec.init_scripts:
        why = " yet: they are not run; where they set a default route, give the device `gateways`"
        draft.lost(namespace.document, ("init-scripts",), why)
