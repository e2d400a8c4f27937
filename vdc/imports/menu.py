"""A menu of placemat-menu as a topology: its racks, roles, pools, AS numbers and routing policy.

What stands at the same place has another name here, since everything is numbered from 0: `core` is `border0`, `spine1`
is `spine0`, `rack0-tor1` is `rack0-tor0`, `boot-0` is `rack0-boot0` and `rack0-cs1` is `rack0-cs0`.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import PurePosixPath
from typing import Final

from vdc.imports.documents import Source
from vdc.imports.draft import Draft, Imported, Options, check_releases
from vdc.imports.formats import Resource
from vdc.imports.images import put_device_classes, put_images
from vdc.imports.menu_format import TORS, Menu, Node, RackSpec, Read, read_menu
from vdc.imports.menu_nodes import FIELDS, role
from vdc.imports.menu_pools import POOL_FIELDS, Pools
from vdc.imports.units import plain_name
from vdc.model.checks.names import INSTANCE_LENGTH

NAMES: Final = (
    "From here on everything is numbered from 0: core is border0, spine1 is spine0, rack0-tor1 is rack0-tor0, "
    "boot-0 is rack0-boot0, rack0-cs1 is rack0-cs0."
)

BFD_INTERVAL: Final = "400ms"
"""Between all routers, in every configuration that placemat-menu makes."""

_CORE, _SPINE = -3, -1
"""AS numbers, counted from that of the first rack."""


def import_menu(source: Source, read: Read, options: Options | None = None) -> Imported:
    """Return the topology that a menu means; `read` gives files beside it. Raises InputError with every mistake."""
    options = options or Options()
    menu = read_menu(source, read)
    check_releases(options, [image.spec.name for image in menu.images])
    draft = Draft(options)
    inventory, network = menu.inventory.spec.spec, menu.network.spec.spec
    draft.put("name", _name(menu, source, options))
    draft.put("release", options.release or ())
    draft.put("fabric", {"borders": 1, "spines": inventory.spine, "tors": TORS}, comment=NAMES)
    draft.put("racks", _racks(inventory.rack))
    draft.put("roles", {kind: _role(draft, menu, node) for kind, node in menu.nodes.items()})
    put_device_classes(draft, menu.device_classes)
    put_images(draft, menu.images)
    draft.put("external", {"clients": 1}, comment="The users, the tester's place, and the way to the internet.")
    draft.put("operation", {"clients": 1})
    draft.put("internet", {"nat": True})
    draft.put("oob", {"servers": True}, comment="The management network, in which the BMCs were.")
    _put_routing(draft, menu)
    pools = Pools(menu)
    draft.put("pools", pools.data)
    draft.comments |= {("pools", name): text for name, text in pools.comments.items()}
    for field, how in pools.differences:
        draft.differs(menu.network.document, ("spec", *field), how)
    base = network.asn_base
    draft.put("asn", {"border": base + _CORE, "spine": base + _SPINE, "tor": base}, comment="One AS number per rack.")
    _trace(draft, menu)
    _tell_the_rest(draft, menu)
    return draft.finish(f"Imported from placemat-menu: {source.file}")


def _name(menu: Menu, source: Source, options: Options) -> str:
    wanted = menu.inventory.spec.spec.cluster_id or PurePosixPath(source.file).stem
    return options.name or plain_name(wanted, (), longest=INSTANCE_LENGTH)


def _role(draft: Draft, menu: Menu, node: Resource[Node]) -> dict[str, object]:
    """Return a role; a boot server that is ours to configure announces a bastion address."""
    made = role(draft, node)
    announces = node.spec.type == "boot" and "image" not in made and menu.network.spec.spec.exposed.bastion is not None
    return made | ({"announces": ["bastion"]} if announces else {})


def _racks(racks: tuple[RackSpec, ...]) -> list[dict[str, object]]:
    """Return the racks, equal ones that follow each other as one entry; every rack has a boot server."""
    made: list[dict[str, object]] = []
    for rack, alike in groupby(racks):
        servers = {"boot": 1} | {kind: count for kind, count in (("cs", rack.cs), ("ss", rack.ss)) if count}
        count = len(list(alike))
        made.append(({"count": count} if count > 1 else {}) | {"servers": servers})
    return made


def _put_routing(draft: Draft, menu: Menu) -> None:
    exposed = menu.network.spec.spec.exposed
    policy: dict[str, object] = {"rack": "ibgp", "bfd": {"interval": BFD_INTERVAL}}
    if exposed.loadbalancer or exposed.bastion or exposed.egress or exposed.global_:
        policy["exposed"] = True
    text = (
        "ToRs reflect the routes of their rack, and the border learns exposed prefixes only. BFD towards servers "
        "follows from the host's speed: server_bfd would set it."
    )
    draft.put("routing", policy, comment=text)


def _trace(draft: Draft, menu: Menu) -> None:
    """Remember where the parts of the topology come from."""
    network, inventory = menu.network.document, menu.inventory.document
    draft.comes_from(("name",), inventory, ("spec", "cluster-id"))
    draft.comes_from(("fabric",), inventory, ("spec", "spine"))
    draft.comes_from(("racks",), inventory, ("spec", "rack"))
    draft.comes_from(("pools",), network, ("spec",))
    draft.comes_from(("asn",), network, ("spec", "asn-base"))
    draft.comes_from(("routing",), network, ("spec", "exposed"))
    for pool, place in POOL_FIELDS.items():
        draft.comes_from(("pools", pool), network, ("spec", *place))
    for kind, node in menu.nodes.items():
        draft.comes_from(("roles", kind), node.document, ("spec",))
        for key, field in FIELDS.items():
            draft.comes_from(("roles", kind, key), node.document, ("spec", field))


def _tell_the_rest(draft: Draft, menu: Menu) -> None:
    """Tell what of the network has no equivalent."""
    spec, document = menu.network.spec.spec, menu.network.document
    if spec.proxy:
        draft.lost(document, ("spec", "proxy"), ": no proxy (squid) is started; internet.nat needs none")
    if spec.ntp:
        draft.lost(document, ("spec", "ntp"), ": no NTP server (chrony) is started; guests have the host's time")
    if spec.exposed.ingress:
        draft.lost(document, ("spec", "exposed", "ingress"), ": exposed are load_balancer, bastion, egress and global")
    why = " yet: a BMC is not built yet; every server has a NIC in its network, and spines have none"
    draft.notices.append(menu.ipam.document.notice(("bmc-ipv4-pool",), f"has no equivalent{why}"))
    if spec.exposed.bastion:
        how = f"addresses differ: rack0-boot0 announces the first one, boot-0 had {spec.exposed.bastion[0]}"
        if _has_own_image(draft, "boot"):
            how = "boot servers have an image of the user's, which must announce its bastion address itself"
        draft.differs(document, ("spec", "exposed", "bastion"), how)


def _has_own_image(draft: Draft, role: str) -> bool:
    roles = draft.data["roles"]
    assert isinstance(roles, dict)
    return "image" in roles[role]
