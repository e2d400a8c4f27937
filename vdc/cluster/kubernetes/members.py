"""The members of the etcd below a cluster, asked through the gateway that each has (etcd.io, "Why gRPC gateway")."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vdc.cluster.etcd_config import CLIENT_PORT, PEER_PORT
from vdc.cluster.kubernetes.outside import ask
from vdc.cluster.kubernetes.paths import url_host
from vdc.cluster.kubernetes.spec import Node
from vdc.cluster.kubernetes.trust import Trust
from vdc.errors import ClusterError

NO_LEADER: Final = "0"
"""The leader that a member has which knows of none."""

_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a member says of itself; the ids are decimal."""

    member: str
    leader: str
    version: str
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member as the others know it; it has no name before it has first started. A learner has no vote."""

    id: str
    url: str
    name: str
    learner: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """Asks members from the namespace of a client; each call raises ClusterError. `timeout` in seconds."""

    trust: Trust
    netns: str | None
    timeout: float

    def status(self, node: Node) -> Status:
        """Return what the member on a node says of itself."""
        said = self._ask(node, "maintenance/status", {})
        return Status(
            member=said["header"]["member_id"],
            leader=said.get("leader", NO_LEADER),
            version=said.get("version", "?"),
            errors=tuple(said.get("errors", ())),
        )

    def list(self, via: Sequence[Node]) -> tuple[Member, ...]:
        """Return the members that there are, as the first of `via` that knows a leader has them."""
        said = self._ask(self._leading(via), "cluster/member/list", {})
        return tuple(
            Member(
                id=each["ID"],
                url=each["peerURLs"][0],
                name=each.get("name", ""),
                learner=each.get("isLearner", False),
            )
            for each in said["members"]
        )

    def add_learner(self, node: Node, via: Sequence[Node]) -> None:
        """Tell the members that there is to be one on `node`, without a vote until it is promoted.

        https://etcd.io/docs/v3.4/learning/design-learner/
        """
        self._change(via, "cluster/member/add", {"peerURLs": [peer_url(node)], "isLearner": True})

    def promote(self, member: str, via: Sequence[Node]) -> None:
        """Give a learner, by its id, a vote. Raises ClusterError, too, while it lacks much of what the others have."""
        self._change(via, "cluster/member/promote", {"ID": member})

    def remove(self, member: str, via: Sequence[Node]) -> None:
        """Tell the members that one of them, by its id, is gone for good."""
        self._change(via, "cluster/member/remove", {"ID": member})

    def move_leader(self, leader: Node, member: str) -> None:
        """Let the leader, which is on a node, hand over to another member, by its id."""
        self._ask(leader, "maintenance/transfer-leadership", {"targetID": member})

    def read(self, node: Node) -> None:
        """Read linearizably through the member on a node: it has all that the others have by then."""
        self._ask(node, "kv/range", {"key": base64.b64encode(b"vdc").decode()})

    def _change(self, via: Sequence[Node], path: str, question: Mapping[str, Any]) -> None:
        """Ask once: who asks for a change again must first see whether it was made."""
        self._ask(self._leading(via), path, question)

    def _leading(self, via: Sequence[Node]) -> Node:
        """Return the first of nodes whose member knows a leader."""
        errors = []
        for node in via:
            try:
                if self.status(node).leader != NO_LEADER:
                    return node
                errors.append(f"etcd on {node.name} knows no leader")
            except ClusterError as error:
                errors.append(error.message)
        raise ClusterError(f"no member of etcd answers: {'; '.join(errors) or 'there is none'}")

    def _ask(self, node: Node, path: str, question: Mapping[str, Any]) -> Any:  # noqa: ANN401
        url = f"https://{url_host(node.address)}:{CLIENT_PORT}/v3/{path}"
        answer = ask(url, netns=self.netns, timeout=self.timeout, trust=self.trust, body=json.dumps(question))
        if answer.status != _OK:
            raise ClusterError(f"etcd on {node.name}: {path}: {answer.status}: {answer.body.strip()[:300]}")
        return json.loads(answer.body)


def peer_url(node: Node) -> str:
    """Return where the other members reach the member on a node."""
    return f"https://{url_host(node.address)}:{PEER_PORT}"
