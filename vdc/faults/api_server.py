"""Faults of the API of a Kubernetes."""

from __future__ import annotations

from dataclasses import dataclass, field

from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.cluster.kubernetes.spec import API_PORT
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.faults.base import Fault
from vdc.wait import NotYet

_TABLE = "inet vdc_api_server"
_OK = 200

REFUSE = (
    f"table {_TABLE} {{ chain input {{ type filter hook input priority -300; "
    "ip daddr 127.0.0.1 accept; ip6 daddr ::1 accept; "
    f"tcp dport {API_PORT} reject with tcp reset; }}; }}"
)
"""Rules of nft(8) by which nobody comes to an API server any more, not even from its own node: all ask it at the node's
address, but for itself. It would read everything anew, which costs an emulated guest more than the whole rest."""
ALLOW = f"add table {_TABLE}; delete table {_TABLE}"
"""Those that undo it: adding first makes that idempotent."""
CUT = (
    *("ss", "--kill", "--tcp", "--no-header", "state", "connected"),
    *("sport", "=", f":{API_PORT}", "and", "not", "src", "[::1]"),
    *("and", "not", "src", "127.0.0.1"),
)
"""What resets the connections that there are (ss(8)), but for its own."""


@dataclass(frozen=True, slots=True)
class ApiServerUnreachable(Fault):
    """The API server of a control-plane node is gone for all who ask it, as if it had died: every connection to it is
    reset, and new ones are refused. The process itself goes on, and is there again at once.
    """

    needs = "a Kubernetes of ours with an API server there"

    kubernetes: KubernetesCluster = field(repr=False, compare=False)
    server: str

    @property
    def name(self) -> str:
        """`API server of SERVER unreachable`."""
        return f"API server of {self.server} unreachable"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that it has no API server."""
        return None if self.server in self.kubernetes.members else f"{self.server} has no API server"

    def inject(self, dc: DataCenter) -> None:
        """Refuse new connections, then reset those there are."""
        dc.servers[self.server].run(["nft", REFUSE])
        dc.servers[self.server].run(CUT)

    def bites(self, dc: DataCenter) -> None:
        """It does not answer a client outside."""
        try:
            answer = self.kubernetes.ask_api("/readyz", via=self.server)
        except ClusterError:
            return
        raise NotYet(f"the API server of {self.server} still answers: {answer.status}")

    def heal(self, dc: DataCenter) -> None:
        """Let connections in again."""
        dc.servers[self.server].run(["nft", ALLOW])

    def healed(self, dc: DataCenter) -> None:
        """It says to a client outside that it is ready."""
        try:
            answer = self.kubernetes.ask_api("/readyz", via=self.server)
        except ClusterError as error:
            raise NotYet(f"the API server of {self.server} does not answer: {error.message}") from error
        if answer.status != _OK:
            raise NotYet(f"the API server of {self.server} is not ready: {answer.body.strip()[-200:]}")
