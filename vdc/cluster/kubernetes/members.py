"""The members of the etcd below a cluster, asked through the gateway that each has (etcd.io, "Why gRPC gateway")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from vdc.cluster.etcd_config import CLIENT_PORT, PEER_PORT
from vdc.cluster.kubernetes.outside import Trust, ask
from vdc.cluster.kubernetes.paths import url_host
from vdc.cluster.kubernetes.spec import Node
from vdc.errors import ClusterError

_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a member says of itself; the ids are decimal."""

    member: str
    leader: str
    version: str
    errors: tuple[str, ...]


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
            leader=said.get("leader", "0"),
            version=said.get("version", "?"),
            errors=tuple(said.get("errors", ())),
        )

    def ids(self, via: Sequence[Node]) -> Mapping[str, str]:
        """Return the members by the peer URL that each has; the first of `via` that answers is asked."""
        members = self._any(via, "cluster/member/list", {})["members"]
        return {url: each["ID"] for each in members for url in each.get("peerURLs", ())}

    def add(self, node: Node, via: Sequence[Node]) -> None:
        """Tell the members that there is to be one on `node`."""
        self._any(via, "cluster/member/add", {"peerURLs": [peer_url(node)]})

    def remove(self, member: str, via: Sequence[Node]) -> None:
        """Tell the members that one of them, by its id, is gone for good."""
        self._any(via, "cluster/member/remove", {"ID": member})

    def _any(self, via: Sequence[Node], path: str, question: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        errors = []
        for node in via:
            try:
                return self._ask(node, path, question)
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
