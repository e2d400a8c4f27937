"""Nodes that come, go, are lost, or get more to do. Each verb goes on where an earlier one of its kind was cut off."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from vdc.cluster.kubernetes.access import Access, namespace
from vdc.cluster.kubernetes.agent_files import agent_manifests
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.client import Api
from vdc.cluster.kubernetes.draining import drain
from vdc.cluster.kubernetes.guest import FORGET_ETCD, HAS_ETCD
from vdc.cluster.kubernetes.installing import Installer
from vdc.cluster.kubernetes.members import peer_url
from vdc.cluster.kubernetes.record import Record
from vdc.cluster.kubernetes.registering import register
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.kubernetes.units import units
from vdc.datacenter.api import DataCenter, Machine, Power
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError

_DRAIN_SECONDS: Final = 180.0


def join(dc: DataCenter, access: Access, machine: Machine) -> None:
    """Make a server a node, or a node again. Does not wait for it."""
    record = Record.load(dc)
    record = replace(record, removed=record.removed - {machine.name})
    cluster = record.cluster(dc)
    node = _node(cluster, machine.name)
    _add(Installer(dc=dc, cluster=cluster, access=access), node, record)
    record.with_joined(node.name).save(dc)


def remove(dc: DataCenter, access: Access, name: str) -> None:
    """Take a node out of the cluster, and all that it was given off its server.

    Raises:
        ClusterError: it is the only control-plane node, or is none at all.
        WaitTimeout: pods do not leave it.
    """
    record = Record.load(dc)
    before = record.cluster(dc)
    node = _node(before, name)
    after = record.without(name)
    others = after.cluster(dc)
    if not others.control_planes:
        raise ClusterError(f"{name} is the only control-plane node: without it there is no cluster")
    api = access.api(others.control_planes)
    machine = dc.servers[name]
    if machine.power() is Power.ON and api.exists("Node", name):
        with dc.steps.step(f"drain {name}"):
            drain(api, name, version=before.version, timeout=deadline(dc, _DRAIN_SECONDS))
    if node.control_plane:
        _dismiss(access, node, others)
    if machine.power() is Power.ON:
        with dc.steps.step(f"stop all on {name}"):
            Installer(dc=dc, cluster=before, access=access).tear_down([node])
    api.delete("Node", name)
    after.save(dc)
    _tell_others(Installer(dc=dc, cluster=others, access=access), api)


def promote(dc: DataCenter, access: Access, name: str) -> None:
    """Make a worker a control-plane node. Does not wait for it."""
    record = Record.load(dc)
    _node(record.cluster(dc), name)
    promoted = replace(record, promoted=record.promoted | {name})
    cluster = promoted.cluster(dc)
    installer = Installer(dc=dc, cluster=cluster, access=access)
    node = cluster.node(name)
    promoted.save(dc)
    _add(installer, node, promoted)
    others = [each for each in cluster.control_planes if each is not node]
    _tell_others(installer, access.api(others or [node]))


def replace_node(dc: DataCenter, access: Access, name: str) -> None:
    """Give a node whose server is lost a new root disk, and make it a node again. Does not wait for that.

    What is on its data disk stays, but for what its etcd kept: that is of a member that is no more.
    """
    cluster = Record.load(dc).cluster(dc)
    node = _node(cluster, name)
    others = replace(cluster, nodes=tuple(each for each in cluster.nodes if each is not node))
    if not others.control_planes:
        raise ClusterError(f"{name} is the only control-plane node: nobody has what it knew")
    machine = dc.servers[name]
    strike_off(access, node, others)
    with dc.steps.step(f"reimage {name}"):
        machine.power_off()
        machine.reimage(dc.topology.release)
        machine.power_on()
        machine.wait_answering()
    join(dc, access, machine)


def netns_of(dc: DataCenter, client: str) -> str | None:
    """Return the namespace of a client outside. Raises ClusterError."""
    try:
        return namespace(dc.externals[client])
    except KeyError:
        there = ", ".join(dc.externals)
        raise ClusterError(f"no client {client!r} outside; there is {there or 'none'}") from None


def _add(installer: Installer, node: Node, record: Record) -> None:
    """Install a node and start all on it, beside those that are there already."""
    others = [each for each in installer.cluster.control_planes if each is not node and each.name in record.joined]
    joining = frozenset({node.name} if node.control_plane and others else ())
    if joining:
        enlist(installer, node, others)
    installer.install([node], joining=joining)
    if others:
        register(installer.access.api(others), installer.cluster, node)
    installer.start([node], units(node))


def enlist(installer: Installer, node: Node, others: list[Node]) -> None:
    """Make a node's etcd one of the members, unless it is one and has its data."""
    members, url = installer.access.members, peer_url(node)
    ids = members.ids(others)
    has_data = installer.run(node, HAS_ETCD, what="see what etcd keeps").strip() == "yes"
    if url in ids and has_data:
        return
    if url in ids:
        members.remove(ids[url], others)
    installer.run(node, FORGET_ETCD, what="forget an earlier etcd")
    members.add(node, others)


def strike_off(access: Access, node: Node, others: ClusterSpec) -> None:
    """Let what is left of a cluster forget a node, and its member of etcd. Raises ClusterError."""
    if node.control_plane:
        _dismiss(access, node, others)
    access.api(others.control_planes).delete("Node", node.name)


def _dismiss(access: Access, node: Node, others: ClusterSpec) -> None:
    ids = access.members.ids(others.control_planes)
    if (url := peer_url(node)) in ids:
        access.members.remove(ids[url], others.control_planes)


def _tell_others(installer: Installer, api: Api) -> None:
    """Let all nodes know who the API servers are now."""
    for manifest in agent_manifests():
        api.apply(manifest)
    for node in installer.cluster.nodes:
        register(api, installer.cluster, node)
    reachable = [each for each in installer.cluster.nodes if installer.dc.servers[each.name].power() is Power.ON]
    installer.install(reachable)
    installer.start(reachable, Component)


def _node(cluster: ClusterSpec, name: str) -> Node:
    try:
        return cluster.node(name)
    except KeyError as error:
        raise ClusterError(str(error.args[0])) from None
