"""Who is a member of the etcd below a cluster: how one joins those that there are, and how one leaves them.

A member joins without a vote and gets one when it has what the others have. Until then all goes on without it, even
where there is only one other (https://etcd.io/docs/v3.4/learning/design-learner/). Each verb looks first, so that it
goes on where an earlier one was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from vdc.cluster.kubernetes import guest
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.flags import initial_members
from vdc.cluster.kubernetes.installing import Installer
from vdc.cluster.kubernetes.members import NO_LEADER, Member, Members, peer_url
from vdc.cluster.kubernetes.spec import Node
from vdc.datacenter.pace import deadline
from vdc.errors import ClusterError
from vdc.wait import NotYet, wait_for

T = TypeVar("T")

ETCD_SECONDS: Final = 120.0
"""For one member that starts alone: those that start together may have to share the cores of a small host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Changes who is a member; `there` are the nodes whose members can be asked."""

    installer: Installer
    there: tuple[Node, ...]

    def wait_members(self) -> tuple[Member, ...]:
        """Return the members that there are, as soon as one of them knows a leader. Raises WaitTimeout."""
        names = ", ".join(node.name for node in self.there)
        return self._wait(self._list, f"a member of etcd on {names} to know a leader")

    def admit(self, node: Node, *, data: bool) -> None:
        """Make the etcd of a node a member with a vote, and wait until it is healthy. `data`: it keeps something.

        Raises WaitTimeout: with the last lines of its journal.
        """
        self._enlist(node, data=data)
        installer = self.installer
        installer.start([node], [Component.ETCD])
        what = "to have what the others have"
        installer.wait(lambda: self._promote(node), node, Component.ETCD, what=what, seconds=ETCD_SECONDS)
        wait_healthy(installer, node)

    def dismiss(self, node: Node) -> None:
        """Let the others go on without the member on a node, if there is one; its leadership goes to one of them.

        Raises:
            WaitTimeout: the others know no leader, so that nothing can be changed.
            ClusterError: too few others are well.
        """
        members = self.wait_members()
        if (member := _of(node, members)) is not None:
            self._hand_over(node, members)
            self._members.remove(member.id, self.there)

    def _enlist(self, node: Node, *, data: bool) -> None:
        """Let the others know of a node's member, and let it know of them.

        One that has begun once and has lost what it kept must not come back: it may have voted.
        """
        known = _of(node, self.wait_members())
        if known is not None and data:
            return
        if known is not None and known.name:
            self._members.remove(known.id, self.there)
            known = None
        if known is None:
            self.installer.run(node, guest.FORGET_ETCD, what="forget an earlier etcd")
            self._wait(lambda: self._add(node), f"etcd to take {node.name} as a member")
        first = self._first(self.wait_members())
        self.installer.run(node, guest.members_script(first), what="tell etcd whom it joins")

    def _first(self, members: tuple[Member, ...]) -> Mapping[str, str]:
        """Return what a member is told that joins these: just these, by names of our own."""
        cluster = self.installer.cluster
        names = {peer_url(node): node.name for node in cluster.control_planes}
        said = ",".join(f"{names.get(each.url, each.name)}={each.url}" for each in members)
        return {**initial_members(cluster, joining=True), "ETCD_INITIAL_CLUSTER": said}

    def _add(self, node: Node) -> None:
        if _of(node, self._list()) is None:
            # while others have not been well for some seconds, none is added
            _not_yet_unless(lambda: self._members.add_learner(node, self.there))

    def _promote(self, node: Node) -> None:
        member = _of(node, self._list())
        if member is None:
            raise ClusterError(f"etcd on {node.name} is no member any more: somebody else has removed it")
        if member.learner:
            _not_yet_unless(lambda: self._members.promote(member.id, self.there))

    def _hand_over(self, node: Node, members: tuple[Member, ...]) -> None:
        """Spare the others an election, where the node's member answers and is the leader."""
        urls = {peer_url(other) for other in self.there}
        with suppress(ClusterError):
            said = self._members.status(node)
            heirs = [each.id for each in members if each.url in urls and not each.learner]
            if said.leader == said.member and heirs:
                self._members.move_leader(node, heirs[0])

    def _list(self) -> tuple[Member, ...]:
        return _not_yet_unless(lambda: self._members.list(self.there))

    def _wait(self, check: Callable[[], T], what: str) -> T:
        return wait_for(check, what=what, timeout=deadline(self.installer.dc, ETCD_SECONDS), interval=0.5)

    @property
    def _members(self) -> Members:
        return self.installer.access.members


def wait_healthy(installer: Installer, node: Node, *, seconds: float = ETCD_SECONDS) -> None:
    """Wait until the member on a node knows a leader, and all that the others know. Raises WaitTimeout."""
    members = installer.access.members

    def healthy() -> None:
        if _not_yet_unless(lambda: members.status(node)).leader == NO_LEADER:
            raise NotYet("it knows no leader")
        _not_yet_unless(lambda: members.read(node))

    installer.wait(healthy, node, Component.ETCD, what="to be healthy", seconds=seconds)


def _of(node: Node, members: tuple[Member, ...]) -> Member | None:
    return next((each for each in members if each.url == peer_url(node)), None)


def _not_yet_unless(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except ClusterError as error:
        raise NotYet(error.message) from error
