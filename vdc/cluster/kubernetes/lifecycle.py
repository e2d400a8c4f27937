"""Nodes that come, go, are lost, or get more to do.

Each verb first notes what is to become of a node, and then makes the whole cluster what the notes say. So one that was
cut off is finished by the same verb, or by a deployment: which makes a node again of one that was to go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from vdc.cluster.kubernetes.access import Access, namespace
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.client import Api
from vdc.cluster.kubernetes.draining import drain
from vdc.cluster.kubernetes.installing import Installer
from vdc.cluster.kubernetes.membership import Membership
from vdc.cluster.kubernetes.record import Record
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.kubernetes.steps import CHANGES, perform, work_on
from vdc.datacenter.api import DataCenter, Machine, Power
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError, WaitTimeout

_DRAIN_SECONDS: Final = 180.0
_SERVING: Final = (Component.API_SERVER, Component.CONTROLLER_MANAGER, Component.SCHEDULER)
"""What rests on the member of etcd beside it."""


def join(dc: DataCenter, access: Access, machine: Machine) -> None:
    """Make a server a node, or a node again, and let the others know. Does not wait until it is Ready.

    Raises ClusterError: it does not run, or cannot be installed. WaitTimeout: etcd or an API server does not come up.
    """
    record = Record.load(dc).beginning(machine.name)
    _node(record.cluster(dc), machine.name)
    _expect_running(dc, machine)
    record.save(dc)
    _change(dc, access)


def promote(dc: DataCenter, access: Access, name: str) -> None:
    """Make a worker a control-plane node; returns when its API server is ready. Raises as `join`."""
    record = Record.load(dc)
    _node(record.cluster(dc), name)
    if name not in record.joined:
        raise ClusterError(f"{name} is no node yet", hint=f"vdc node {dc.name} add {name}")
    _expect_running(dc, dc.servers[name])
    replace(record.beginning(name), promoted=record.promoted | {name}).save(dc)
    _change(dc, access)


def remove(dc: DataCenter, access: Access, name: str) -> None:
    """Take a node out of the cluster, and all that it was given off its server.

    Where the server is off, nothing can be taken off it: it gets a new root disk, and is no node when it comes back.

    Raises:
        ClusterError: it is the only control-plane node, or is none at all.
        WaitTimeout: pods do not leave it; or too many other members of etcd are lost.
    """
    record = Record.load(dc)
    before = record.cluster(dc)
    node = _node(before, name)
    others = _others(record.without(name).cluster(dc), node, "without it there is no cluster")
    record.beginning(name).save(dc)
    installer = Installer(dc=dc, cluster=before, access=access)
    machine = dc.servers[name]
    if machine.power() is Power.OFF:
        strike_off(installer, node, others)
        with dc.steps.step(f"reimage {name}"):
            machine.reimage(machine.release)
    else:
        _empty(installer, node, _api(installer, others))
        if node.control_plane:
            # the proxies of all nodes move to others before it answers nobody any more
            installer.stop(node, _SERVING)
            _membership(installer, others).dismiss(node)
        with dc.steps.step(f"stop all on {name}"):
            installer.tear_down([node])
        _api(installer, others).delete("Node", name)
    Record.load(dc).without(name).save(dc)
    _change(dc, access)


def replace_node(dc: DataCenter, access: Access, name: str) -> None:
    """Give a node whose server is lost a new root disk, and make it a node again. Does not wait until it is Ready.

    What is on its data disk stays, but for what its etcd kept: that is of a member that is no more.

    Raises as `remove` and `join`.
    """
    record = Record.load(dc)
    cluster = record.cluster(dc)
    node = _node(cluster, name)
    others = _others(cluster, node, "nobody has what it knew")
    machine = dc.servers[name]
    release = machine.release
    record.beginning(name).save(dc)
    installer = Installer(dc=dc, cluster=cluster, access=access)
    if node.control_plane:
        _membership(installer, others).dismiss(node)
    with dc.steps.step(f"reimage {name}"):
        machine.power_off()
        _api(installer, others).delete("Node", name)
        machine.reimage(release)
        machine.power_on()
        machine.wait_answering()
    _change(dc, access)


def strike_off(installer: Installer, node: Node, others: Sequence[Node]) -> None:
    """Let what is left of a cluster forget a node, and its member of etcd. Raises ClusterError, WaitTimeout."""
    dismiss(installer, node, others)
    forget(installer, node, others)


def dismiss(installer: Installer, node: Node, others: Sequence[Node]) -> None:
    """Let others go on without a node's member of etcd, if it has one. Raises ClusterError, WaitTimeout."""
    if node.control_plane:
        _membership(installer, others).dismiss(node)


def forget(installer: Installer, node: Node, others: Sequence[Node]) -> None:
    """Let others forget a node whose kubelet has ended: one that runs makes it again. Raises ClusterError."""
    _api(installer, others).delete("Node", node.name)


def netns_of(dc: DataCenter, client: str) -> str | None:
    """Return the namespace of a client outside. Raises ClusterError."""
    try:
        return namespace(dc.externals[client])
    except KeyError:
        there = ", ".join(dc.externals)
        raise ClusterError(f"no client {client!r} outside; there is {there or 'none'}") from None


def _change(dc: DataCenter, access: Access) -> None:
    """Make all nodes whose servers run what the record says."""
    record = Record.load(dc)
    installer = Installer(dc=dc, cluster=record.cluster(dc), access=access)
    ours = record.joined | record.changing
    work = work_on(installer, record, _running(dc, [node for node in installer.cluster.nodes if node.name in ours]))
    perform(work, CHANGES)
    Record.load(dc).with_joined(node.name for node in work.nodes).save(dc)


def _empty(installer: Installer, node: Node, api: Api) -> None:
    """Drain a node, unless its kubelet has ended: then nobody is there who would end its pods."""
    if Component.KUBELET not in installer.look([node])[node.name].alive or not api.exists("Node", node.name):
        return
    dc, version = installer.dc, installer.cluster.version
    with dc.steps.step(f"drain {node.name}"):
        try:
            drain(api, node.name, version=version, timeout=deadline(dc, _DRAIN_SECONDS))
        except (WaitTimeout, ClusterError) as error:
            error.add_note(f"no pods come to {node.name} until `vdc node {dc.name} add {node.name}`")
            raise


def _expect_running(dc: DataCenter, machine: Machine) -> None:
    if machine.power() is not Power.ON:
        raise ClusterError(f"{machine.name} does not run", hint=f"vdc power {dc.name} {machine.name} on")


def _others(cluster: ClusterSpec, node: Node, else_: str) -> tuple[Node, ...]:
    """Return the control-plane nodes besides one. Raises ClusterError: there are none, which is told."""
    found = tuple(each for each in cluster.control_planes if each.name != node.name)
    if not found:
        raise ClusterError(f"{node.name} is the only control-plane node: {else_}")
    return found


def _membership(installer: Installer, nodes: Sequence[Node]) -> Membership:
    return Membership(installer=installer, there=_planes(installer, nodes))


def _api(installer: Installer, nodes: Sequence[Node]) -> Api:
    return installer.access.api(_planes(installer, nodes))


def _planes(installer: Installer, nodes: Sequence[Node]) -> tuple[Node, ...]:
    planes = [node for node in nodes if node.control_plane]
    if not (found := _running(installer.dc, planes)):
        raise ClusterError(f"no server of the control plane runs: {', '.join(node.name for node in planes)}")
    return found


def _running(dc: DataCenter, nodes: Sequence[Node]) -> tuple[Node, ...]:
    return tuple(node for node in nodes if dc.servers[node.name].power() is Power.ON)


def _node(cluster: ClusterSpec, name: str) -> Node:
    try:
        return cluster.node(name)
    except KeyError as error:
        raise ClusterError(str(error.args[0])) from None
