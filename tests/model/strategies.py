"""Topologies to test with: the small one, and any that the language can say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.spec import TopologySpec
from vdc.model.topology import Topology

FOLDER = Path(__file__).parents[2] / "topologies"
ROLES = ("boot", "cs", "ss")


def small() -> Topology:
    """What topologies/small.yml means."""
    return expand(load(FOLDER / "small.yml"))


_DISKS = {"name": "d", "kind": "empty", "size": "1GiB", "count": 2}

_few = st.integers(min_value=1, max_value=3)
_servers = st.dictionaries(st.sampled_from(ROLES), st.integers(min_value=0, max_value=3))


@st.composite
def _fabric(draw: st.DrawFn) -> dict[str, Any]:
    pods = draw(st.integers(min_value=1, max_value=2))
    return {
        "borders": draw(st.integers(min_value=0, max_value=2)),
        "pods": pods,
        "superspines": draw(_few) if pods > 1 else draw(st.integers(min_value=0, max_value=2)),
        "spines": draw(_few),
        "tors": draw(_few),
        "links": draw(st.sampled_from(["numbered", "unnumbered"])),
    }


@st.composite
def _racks(draw: st.DrawFn, pods: int) -> list[dict[str, Any]]:
    """At least as many as there are pods; some have ToRs of their own number, some a pod, some come in turns."""
    racks = draw(
        st.lists(
            st.fixed_dictionaries(
                {"count": st.integers(min_value=1, max_value=2), "servers": _servers},
                optional={"tors": _few, "pod": st.integers(min_value=0, max_value=pods - 1)},
            ),
            min_size=pods,
            max_size=3,
        )
    )
    return [{"repeat": 2, "racks": racks[:1]}, *racks[1:]] if draw(st.booleans()) else racks


def _outside(draw: st.DrawFn, *, borders: int, family: str) -> dict[str, Any]:
    if not borders:
        return {"external": {"clients": 0}}
    return {
        "external": {"clients": draw(st.integers(min_value=0, max_value=2))},
        "operation": {"clients": draw(st.integers(min_value=0, max_value=2))},
        "internet": {"nat": family != "ipv6" and draw(st.booleans())},
    }


@st.composite
def _beside(draw: st.DrawFn, fabric: dict[str, Any]) -> dict[str, Any]:
    """A firewall with a network behind it, a client and a guest on that, and any graph of further routers."""
    spine = "spine0" if fabric["pods"] == 1 else "pod0-spine0"
    known = [spine, "rack0-tor0", *(["border0"] if fabric["borders"] else [])]
    devices: dict[str, Any] = {}
    for name in ("firewall", "second", "third", "fourth")[: draw(st.integers(min_value=1, max_value=4))]:
        links = draw(st.lists(st.sampled_from(known), unique=True, min_size=1, max_size=3))
        devices[name] = {"kind": "router", "interfaces": [{"link": peer} for peer in links]}
        known.append(name)
    devices["firewall"]["interfaces"].append({"network": "lab"})
    devices["bench"] = {"kind": "client", "interfaces": [{"network": "lab"}, {"network": "oob"}]}
    devices["plain"] = {"kind": "server", "interfaces": [{"network": "lab"}, {"network": "bare"}]}
    first = devices["firewall"]["interfaces"][0]["link"]
    return {
        "networks": {"lab": {"prefixes": ["192.0.2.0/24", "fd00:c0::/64"]}, "bare": {}},
        "devices": devices,
        "links": [{"between": ["firewall", first], "mtu": 1400}, {"between": ["*", "lab"], "rate": "10Mbit"}],
    }


@st.composite
def _files(draw: st.DrawFn) -> dict[str, Any]:
    fabric = draw(_fabric())
    family = draw(st.sampled_from(["ipv4", "ipv6", "dual"]))
    exposed = fabric["borders"] > 0 and draw(st.booleans())
    return {
        "name": "any",
        "family": family,
        "fabric": fabric,
        "racks": draw(_racks(fabric["pods"])),
        "roles": {
            "boot": {"announces": ["bastion"], "smp": {"cores": 2}},
            "cs": {"pod_blocks": draw(st.integers(min_value=0, max_value=3))},
            "ss": {"announces": ["bastion", "egress"], "volumes": [_DISKS]},
        },
        "oob": {"servers": draw(st.booleans())},
        "routing": {"rack": draw(st.sampled_from(["ebgp", "ibgp"])), "exposed": exposed},
        "pools": {"bastion": "10.72.0.0/24", "egress": "10.73.0.0/24"},
        "pools6": {"bastion": "fd00:72::/64", "egress": "fd00:73::/64"},
        **_outside(draw, borders=fabric["borders"], family=family),
        **(draw(_beside(fabric)) if draw(st.booleans()) else {}),
        **({"overrides": _overrides(family)} if draw(st.booleans()) else {}),
    }


def _overrides(family: str) -> dict[str, Any]:
    """The first ToR has a loopback of its own, of each family that is routed."""
    own = {"ipv4": ["10.1.8.8"], "ipv6": ["fd00:0:0:2::8:8"], "dual": ["10.1.8.8", "fd00:0:0:2::8:8"]}
    return {"rack0-tor0": {"addresses": own[family]}}


def _plain(fabric: dict[str, Any], racks: list[dict[str, Any]], clients: int) -> dict[str, Any]:
    roles: dict[str, Any] = {role: {} for role in ROLES}
    return {"name": "any", "fabric": fabric, "racks": racks, "roles": roles, "external": {"clients": clients}}


_counts = st.fixed_dictionaries({"borders": _few, "spines": _few, "tors": _few})
_equal = st.lists(st.fixed_dictionaries({"count": _few, "servers": _servers}), min_size=1, max_size=3)

specs = _files().map(TopologySpec.model_validate)
topologies = specs.map(expand)
plain_specs = st.builds(_plain, _counts, _equal, st.integers(min_value=0, max_value=2)).map(TopologySpec.model_validate)
plain_topologies = plain_specs.map(expand)
"""Of three tiers, IPv4 alone, every session external."""
