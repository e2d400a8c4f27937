"""The ways to a cluster: from a client outside, over the fabric, with the credentials in the run directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import RLock

from vdc.cluster.clients import client_of
from vdc.cluster.etcd_config import CLIENT_PORT
from vdc.cluster.kubernetes.api import Answer, Caller
from vdc.cluster.kubernetes.client import Api
from vdc.cluster.kubernetes.members import Members
from vdc.cluster.kubernetes.outside import ask
from vdc.cluster.kubernetes.paths import url_host
from vdc.cluster.kubernetes.pki import Pki
from vdc.cluster.kubernetes.record import Record, directory
from vdc.cluster.kubernetes.spec import API_NAME, API_PORT, PROXY_PORT, Node
from vdc.cluster.kubernetes.timers import timers
from vdc.cluster.kubernetes.trust import Trust
from vdc.datacenter.api import DataCenter, Spawner
from vdc.datacenter.router import LiveClient
from vdc.host.forward import Forward, Target

_KUBELET_CLIENT = "apiserver-kubelet-client"


def call_timeout(slowness: float) -> float:
    """Return how long one call may take, in seconds: an idle control plane takes most of an emulated core."""
    return 20.0 * max(0.5, slowness)


@dataclass(kw_only=True)
class Access:
    """Asks a cluster's servers. `netns` is the namespace of the client, None for this process's own.

    `timeout` is of one call, in seconds; for a change an API server has `patience` seconds (`Api`).

    One may be used by several threads.
    """

    pki: Pki
    folder: Path
    netns: str | None
    timeout: float
    patience: float = 60.0
    _forwards: dict[tuple[Target, ...], tuple[Forward, Api]] = field(default_factory=dict)
    # a forward that is made twice is closed under whoever has the first, and so are credentials changed under him
    _making: RLock = field(default_factory=RLock, repr=False)

    @classmethod
    def of(cls, dc: DataCenter, *, name: str) -> Access:
        """Return the ways to the cluster `name` on a data centre; makes credentials that are missing.

        Raises HostError: no client reaches it.
        """
        folder = directory(dc)
        return cls(
            pki=Pki(folder, name=name),
            folder=folder,
            netns=namespace(client_of(dc)),
            timeout=call_timeout(dc.slowness),
            patience=timers(Record.load(dc).pace(dc)).api_request,
        )

    @property
    def trust(self) -> Trust:
        """The administrator's, with API servers."""
        with self._making:
            return self._admin

    @cached_property
    def _admin(self) -> Trust:
        self.pki.admin()
        return _shown(self.pki.ca_path, self.folder / "kubernetes", "admin")

    @cached_property
    def _foreign(self) -> Trust:
        """A certificate and its key for the administrator, issued by nobody that the cluster knows."""
        folder = self.folder / "foreign"
        Pki(folder, name="foreign").admin()
        return _shown(self.pki.ca_path, folder / "kubernetes", "admin")

    @cached_property
    def members(self) -> Members:
        """The etcd below."""
        self.pki.etcd_client()
        folder = self.folder / "etcd"
        trust = _shown(self.pki.trusted_path("etcd"), folder, "client")
        return Members(trust=trust, netns=self.netns, timeout=self.timeout)

    def api(self, nodes: Sequence[Node]) -> Api:
        """Return the API as the first of these nodes' API servers that answers."""
        targets = targets_of(nodes)
        with self._making:
            if targets not in self._forwards:
                self._forwards[targets] = self._forwarded(targets)
            return self._forwards[targets][1]

    def _forwarded(self, targets: tuple[Target, ...]) -> tuple[Forward, Api]:
        forward = Forward(targets, netns=self.netns)
        trust = self.trust
        assert trust.cert is not None
        assert trust.key is not None
        return forward, Api(
            forward.port, ca=trust.ca, cert=trust.cert, key=trust.key, timeout=self.timeout, patience=self.patience
        )

    def ask(self, node: Node, port: int, path: str, *, caller: Caller, planes: Sequence[Node]) -> Answer:
        """Get a path from an API server or a proxy; `planes` have the API servers. Raises ClusterError."""
        trust = self.trust if caller is Caller.ADMIN else self._other(caller, planes)
        # a proxy passes TLS through: the certificate is that of the API server it chose, which knows no other node
        name = API_NAME if port == PROXY_PORT else None
        return ask(_url(node, port, path), netns=self.netns, timeout=self.timeout, trust=trust, server_name=name)

    def ask_kubelet(self, node: Node, port: int, path: str, *, caller: Caller, plane: Node) -> Answer:
        """Get a path from a kubelet; the administrator is the API server of `plane` to it. Raises ClusterError."""
        own = _shown(self.pki.ca_path, self.folder / "nodes" / plane.name, _KUBELET_CLIENT)
        trust = own if caller is Caller.ADMIN else self._other(caller, [plane])
        return ask(_url(node, port, path), netns=self.netns, timeout=self.timeout, trust=trust)

    def ask_etcd(self, node: Node, *, caller: Caller) -> Answer:
        """Get the health of a member of etcd. Raises ClusterError."""
        own = self.members.trust
        trust = own if caller is Caller.ADMIN else replace(self._other(caller, [node]), ca=own.ca)
        return ask(_url(node, CLIENT_PORT, "/health"), netns=self.netns, timeout=self.timeout, trust=trust)

    def _other(self, caller: Caller, planes: Sequence[Node]) -> Trust:
        """Return what somebody who is not the administrator shows; one of `planes` gives pods their tokens."""
        match caller:
            case Caller.STRANGER:
                return self._foreign
            case Caller.POD:
                return Trust(ca=self.pki.ca_path, token=account_token(self.api(planes)))
        return Trust(ca=self.pki.ca_path)


def account_token(api: Api) -> str:
    """Return what a kubelet mounts into pods of the default namespace: a token of their account, for ten minutes.

    https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-request-v1/
    """
    wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    said = api.request("POST", f"{api.path('ServiceAccount', 'default', 'default')}/token", body=wanted)
    return str(json.loads(said)["status"]["token"])


def targets_of(nodes: Sequence[Node]) -> tuple[Target, ...]:
    """Return where the API servers of nodes answer."""
    return tuple((str(node.address), API_PORT) for node in nodes)


def checked_targets_of(nodes: Sequence[Node]) -> tuple[Target, ...]:
    """Return ways to the API that lead past a server that hangs: the proxies of these nodes, then as `targets_of`."""
    proxies = ((str(node.address), PROXY_PORT) for node in nodes) if len(nodes) > 1 else ()
    return (*proxies, *targets_of(nodes))


def namespace(client: Spawner) -> str | None:
    """Return the namespace of a client, or None for one that is this process itself."""
    return client.netns if isinstance(client, LiveClient) else None


def _url(node: Node, port: int, path: str) -> str:
    return f"https://{url_host(node.address)}:{port}{path}"


def _shown(ca: Path, folder: Path, name: str) -> Trust:
    """Return the trust in an authority of one who shows a certificate."""
    return Trust(ca=ca, cert=folder / f"{name}.crt", key=folder / f"{name}.key")
