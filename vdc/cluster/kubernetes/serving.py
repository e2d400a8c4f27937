"""Whether a cluster serves: what its members and nodes are asked, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from vdc.cluster.api import MemberState
from vdc.cluster.kubernetes import store
from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.client import NOT_FOUND, Api, RefusedError
from vdc.cluster.kubernetes.reading import condition
from vdc.cluster.kubernetes.spec import Node
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError, CommandError, WaitTimeout
from vdc.wait import NotYet, wait_for

_CHECK_KEY: Final = "vdc/serving/"
_UNKNOWN: Final = "?"
_TAIL_LINES: Final = 12
_JOURNALS: Final = 3
"""Of how many nodes the journal is shown with an error."""


def member_state(access: Access, node: Node) -> MemberState:
    """Return what a control-plane node reports of itself; one that does not answer is not healthy."""
    try:
        api = access.api([node])
        version = str(api.get("/version")["gitVersion"])
        api.request("GET", "/readyz")
        below = access.members.status(node)
    except ClusterError:
        return MemberState(server=node.name, version=_UNKNOWN, leader=False, healthy=False)
    healthy = below.leader != "0" and not below.errors
    return MemberState(server=node.name, version=version, leader=below.leader == below.member, healthy=healthy)


def expect_serving(access: Access, nodes: Sequence[Node]) -> None:
    """Pass if each API server is ready, takes a write and reads it, and the members of etcd have one leader.

    Raises NotYet; ClusterError where what was just written is not what is read.
    """
    with ThreadPoolExecutor(len(nodes)) as pool:
        leaders = set(pool.map(lambda node: _expect_member(access, node), nodes))
    if len(leaders) != 1 or "0" in leaders:
        raise NotYet(f"the members of etcd do not agree on one leader: {', '.join(sorted(leaders))}")
    key = f"{_CHECK_KEY}{'+'.join(node.name for node in nodes)}"
    for node in nodes:
        api = access.api([node])
        with _not_yet(node, "write"):
            store.write(api, key, node.name)
        with _not_yet(node, "read"):
            read = store.read(api, key)
        if read != node.name:
            raise ClusterError(f"{node.name}: read {read!r} where {node.name!r} was just written")


def wait_nodes_ready(dc: DataCenter, api: Api, names: Sequence[str], *, timeout: float) -> None:
    """Wait until nodes are Ready in the API, and their kubelets answer it: what is Ready there may be long dead.

    Raises WaitTimeout: with the last lines of the kubelets of those that are not, of a few at most.
    """
    lagging: list[str] = []

    def ready() -> None:
        lagging.clear()
        reasons = _not_ready(api, names)
        lagging.extend(reasons)
        if reasons:
            raise NotYet("; ".join(f"{name}: {reason}" for name, reason in reasons.items()))

    try:
        wait_for(ready, what=f"{', '.join(names)} to be Ready", timeout=timeout, interval=0.5)
    except WaitTimeout as error:
        raise with_journals(error, dc, (lagging or names)[:_JOURNALS], Component.KUBELET) from error


def with_journals(error: WaitTimeout, dc: DataCenter, servers: Sequence[str], component: Component) -> WaitTimeout:
    """Return an error with the last lines that a component has logged on servers."""
    log = "\n".join(f"the last lines of {component} on {name}:\n{_journal(dc, name, component)}" for name in servers)
    return WaitTimeout(error.what, deadline=error.deadline, last=error.last, log=log)


def _journal(dc: DataCenter, server: str, component: Component) -> str:
    argv = ["journalctl", "--unit", component, "--no-pager", "--output", "cat", "--lines", str(_TAIL_LINES)]
    try:
        return dc.servers[server].run(argv).stdout.strip() or "(nothing)"
    except (CommandError, WaitTimeout) as error:
        return f"(not to be had: {error.message})"


def _expect_member(access: Access, node: Node) -> str:
    with _not_yet(node, "API server"):
        access.api([node]).request("GET", "/readyz")
    with _not_yet(node, "etcd"):
        below = access.members.status(node)
    if below.errors:
        raise NotYet(f"{node.name}: etcd: {'; '.join(below.errors)}")
    return below.leader


def _not_ready(api: Api, names: Sequence[str]) -> dict[str, str]:
    """Return why nodes are not ready, by their names."""
    try:
        found = {each["metadata"]["name"]: each for each in api.get("/api/v1/nodes")["items"]}
    except ClusterError as error:
        return dict.fromkeys(names, error.message)
    reasons = {}
    for name in names:
        if name not in found:
            reasons[name] = "the API has no such node"
        elif (state := condition(found[name], "Ready"))["status"] != "True":
            reasons[name] = str(state.get("message", "not Ready"))
    return reasons or _silent(api, names)


def _silent(api: Api, names: Sequence[str]) -> dict[str, str]:
    """Return why kubelets don't answer the API server: asked all at once, since each takes a while after a wake."""

    def reason(name: str) -> str:
        try:
            api.request("GET", f"/api/v1/nodes/{name}/proxy/healthz")
        except ClusterError as error:
            return f"its kubelet does not answer: {error.message}"
        return ""

    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return {name: why for name, why in zip(names, pool.map(reason, names), strict=True) if why}


@contextmanager
def _not_yet(node: Node, what: str) -> Iterator[None]:
    """What a member does not answer in the body is not yet."""
    try:
        yield
    except ClusterError as error:
        raise NotYet(f"{node.name}: {what}: {error.message}") from error


def expect_gone(api: Api, path: str, uid: str) -> None:
    """Pass if the object at `path` is not the one with this uid: a StatefulSet makes another pod of that name at once.

    Raises NotYet with what keeps it, ClusterError.
    """
    try:
        found = api.get(path)["metadata"]
    except RefusedError as refused:
        if refused.status == NOT_FOUND:
            return
        raise
    if found["uid"] == uid:
        raise NotYet(f"it is still there, for {', '.join(found.get('finalizers', [])) or 'its grace period'}")
