"""The authorities of a cluster and the credentials they issue, kept in the run directory.

Three authorities (https://kubernetes.io/docs/setup/best-practices/certificates/): of etcd, of Kubernetes, and of the
front proxy (the API server towards extension API servers). Their private keys never leave the harness. What a component
may do follows from its certificate: the common name is its user, organisations are its groups.

Rotation. Leaf credentials: `rotate`, then deploy again. An authority, or a key that all share, in three rounds with a
deployment after each: `introduce` a successor, which everybody knows from then on beside the old one; `succeed`, from
when on it is the one in use; `retire` the old one. Nothing is refused in between. `phase` tells how far that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from vdc.cluster.etcd_config import addresses
from vdc.cluster.kubernetes.keys import Phase, encryption_keys, named_secret, public_key, signing_keys
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.pki import Authority, Credential, Subject, Usage, write_text
from vdc.host.locks import exclusive

AUTHORITIES: Final = ("kubernetes", "etcd", "front-proxy")
SERVICE_ACCOUNTS: Final = "service-accounts"
"""The key that signs the tokens of service accounts."""
SECRETS: Final = "secrets"
"""The key that encrypts secrets at rest."""
KEYS: Final = (SERVICE_ACCOUNTS, SECRETS)
ADMINISTRATORS: Final = "system:masters"
"""The group that may do all, whatever RBAC says (https://kubernetes.io/docs/reference/access-authn-authz/rbac/)."""
AGENTS: Final = "vdc:agents"
"""The group of the agents of the nodes."""
ALLOCATORS: Final = "vdc:load-balancers"
"""The group of those agents that give load balancers their addresses: of control-plane nodes."""
API_SERVER_TO_KUBELET: Final = "kube-apiserver-kubelet-client"
"""The user that API servers are to kubelets."""

_CLIENT: Final = (Usage.CLIENT,)
_SERVER: Final = (Usage.SERVER,)
_LOOPBACK: Final = ("127.0.0.1",)
_SUCCESSOR, _PREDECESSOR = "next", "previous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A credential of a node: `authority` issues it."""

    name: str
    authority: str
    subject: Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCredentials:
    """All that a node gets, as PEM texts; `trusted` are the certificates of each authority.

    What follows is the cluster's, and empty for a worker. `service_account_public` are the keys that tokens may be
    signed with. Of `encryption_keys`, each a name and 32 bytes, the first one encrypts, and all decrypt.
    """

    trusted: Mapping[str, str]
    leaves: Mapping[str, Credential]
    service_account_key: str = ""
    service_account_public: str = ""
    encryption_keys: tuple[tuple[str, bytes], ...] = ()


def leaves(cluster: ClusterSpec, node: Node) -> tuple[Leaf, ...]:
    """Return the credentials that a node has, by the roles it plays."""
    return (*_worker_leaves(node), *(_control_leaves(cluster, node) if node.control_plane else ()))


def _worker_leaves(node: Node) -> Iterable[Leaf]:
    user = f"system:node:{node.name}"
    own = tuple(interface.ip for interface in node.server.nodes)
    yield _kubernetes("kubelet", Subject(common_name=user, organisations=("system:nodes",), usages=_CLIENT))
    serving = Subject(
        common_name=user,
        organisations=("system:nodes",),
        addresses=(*own, *_LOOPBACK),
        names=(node.name, "localhost"),
        usages=_SERVER,
    )
    yield _kubernetes("kubelet-server", serving)
    yield _kubernetes("kube-proxy", Subject(common_name="system:kube-proxy", usages=_CLIENT))
    # asks API servers whether they are ready, which every user may
    yield _kubernetes("api-proxy", Subject(common_name="vdc:api-proxy", usages=_CLIENT))
    groups = (AGENTS, ALLOCATORS) if node.control_plane else (AGENTS,)
    yield _kubernetes("agent", Subject(common_name=f"vdc:agent:{node.name}", organisations=groups, usages=_CLIENT))


def _control_leaves(cluster: ClusterSpec, node: Node) -> Iterable[Leaf]:
    for component in ("controller-manager", "scheduler"):
        own = f"system:kube-{component}"
        yield _kubernetes(component, Subject(common_name=own, addresses=_LOOPBACK, names=("localhost",)))
    yield _kubernetes("apiserver", _api_server(cluster, node))
    to_kubelet = Subject(common_name=API_SERVER_TO_KUBELET, usages=_CLIENT)
    yield _kubernetes("apiserver-kubelet-client", to_kubelet)
    to_etcd = Subject(common_name="kube-apiserver-etcd-client", usages=_CLIENT)
    yield Leaf(name="apiserver-etcd-client", authority="etcd", subject=to_etcd)
    member = Subject(common_name=node.name, addresses=addresses(node.server), names=(node.name, "localhost"))
    yield Leaf(name="etcd-member", authority="etcd", subject=member)
    front_proxy = Subject(common_name="front-proxy-client", usages=_CLIENT)
    yield Leaf(name="front-proxy-client", authority="front-proxy", subject=front_proxy)


def _api_server(cluster: ClusterSpec, node: Node) -> Subject:
    service = f"kubernetes.default.svc.{cluster.settings.domain}"
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", service, "localhost", node.name)
    own = tuple(interface.ip for interface in node.server.nodes)
    ports = tuple(each.ip for port in node.server.ports for each in port.addresses)
    services = tuple(pool[1] for pool in cluster.settings.services)
    return Subject(
        common_name="kube-apiserver", addresses=(*own, *ports, *services, *_LOOPBACK), names=names, usages=_SERVER
    )


def _kubernetes(name: str, subject: Subject) -> Leaf:
    return Leaf(name=name, authority="kubernetes", subject=subject)


class Pki:
    """The authorities and keys of one cluster, in a directory; what is missing there is made."""

    def __init__(self, directory: Path, *, name: str) -> None:
        self._directory = directory
        self._name = name
        self._keys = {SERVICE_ACCOUNTS: signing_keys(directory), SECRETS: encryption_keys(directory)}
        # made here, since nodes may be asked for at the same time, and once, though several processes may come first
        with _locked(directory):
            for each in AUTHORITIES:
                _finish_succession(directory / each)
            self._authorities = {
                each: Authority.load_or_create(directory / each, name=f"{name} {each}") for each in AUTHORITIES
            }
            for keys in self._keys.values():
                keys.ensure()

    @property
    def ca_path(self) -> Path:
        """The file with the certificates of all authorities whom the API servers' certificates may be of."""
        return self.trusted_path("kubernetes")

    def trusted_path(self, authority: str) -> Path:
        """Return the file with what `trusted` returns."""
        path = self._directory / authority / "trusted.crt"
        write_text(path, self.trusted(authority), mode=0o644)
        return path

    def trusted(self, authority: str) -> str:
        """Return the certificates of an authority, the one that issues first, as PEM text."""
        folder = self._directory / authority
        others = [folder / f"{name}.crt" for name in (_SUCCESSOR, _PREDECESSOR)]
        return "".join(
            [self._authorities[authority].cert_pem, *(path.read_text("ascii") for path in others if path.exists())]
        )

    def admin(self) -> Credential:
        """Return the administrator's credential; its files are `admin.crt` and `admin.key` below `kubernetes`."""
        leaf = _kubernetes("admin", Subject(common_name="vdc:admin", organisations=(ADMINISTRATORS,), usages=_CLIENT))
        return self._credential(self._directory / "kubernetes", leaf)

    def etcd_client(self) -> Credential:
        """Return a credential with which the harness may ask etcd's members and change who they are."""
        subject = Subject(common_name="vdc:etcd-client", usages=_CLIENT)
        return self._credential(self._directory / "etcd", Leaf(name="client", authority="etcd", subject=subject))

    def of(self, cluster: ClusterSpec, node: Node) -> NodeCredentials:
        """Return what a node gets; credentials are issued where they are missing, or don't say what they should."""
        folder = self._directory / "nodes" / node.name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        own = {leaf.name: self._credential(folder, leaf) for leaf in leaves(cluster, node)}
        trusted = {each: self.trusted(each) for each in AUTHORITIES}
        if not node.control_plane:
            return NodeCredentials(trusted=trusted, leaves=MappingProxyType(own))
        private = self._keys[SERVICE_ACCOUNTS].texts
        return NodeCredentials(
            trusted=trusted,
            leaves=MappingProxyType(own),
            service_account_key=private[0],
            service_account_public="".join(map(public_key, private)),
            encryption_keys=tuple(map(named_secret, self._keys[SECRETS].texts)),
        )

    def rotate(self, node: Node, names: Iterable[str] | None = None) -> None:
        """Forget credentials of a node (by default all), so that the next deployment issues new ones."""
        folder = self._directory / "nodes" / node.name
        for name in names if names is not None else {path.stem for path in folder.glob("*.crt")}:
            (folder / f"{name}.crt").unlink(missing_ok=True)

    def phase(self, what: str) -> Phase:
        """Return how far the succession of an authority, or of a key, is."""
        if what in self._keys:
            return self._keys[what].phase
        folder = self._directory / what
        if (folder / f"{_SUCCESSOR}.crt").exists():
            return Phase.INTRODUCED
        return Phase.SUCCEEDED if (folder / f"{_PREDECESSOR}.crt").exists() else Phase.SETTLED

    def introduce(self, what: str) -> None:
        """Make a successor of an authority or key: from the next deployment on everybody knows both."""
        if what in self._keys:
            self._keys[what].introduce()
        elif self.phase(what) is Phase.SETTLED:
            Authority.create(f"{self._name} {what}").credential.save(self._directory / what, _SUCCESSOR)

    def succeed(self, what: str) -> None:
        """Let the successor be the one in use, from the next deployment on; both are known.

        Raises FileNotFoundError: there is none.
        """
        if what in self._keys:
            self._keys[what].succeed()
            return
        folder = self._directory / what
        Credential.load(folder, _SUCCESSOR)
        self._authorities[what].credential.save(folder, _PREDECESSOR)
        _finish_succession(folder)
        self._authorities[what] = Authority.load_or_create(folder)

    def retire(self, what: str) -> None:
        """Know the predecessor no longer, from the next deployment on."""
        if what in self._keys:
            self._keys[what].retire()
        else:
            _remove(self._directory / what, _PREDECESSOR)

    def _credential(self, folder: Path, leaf: Leaf) -> Credential:
        authority = self._authorities[leaf.authority]
        # of two who find none, the second one would else replace what the first one shows already
        with _locked(folder):
            try:
                kept = Credential.load(folder, leaf.name)
                if authority.has_issued(kept, leaf.subject):
                    return kept
            except (FileNotFoundError, ValueError):
                pass
            issued = authority.issue_to(leaf.subject)
            issued.save(folder, leaf.name)
            return issued


def _locked(folder: Path) -> AbstractContextManager[None]:
    """Return what keeps other processes and threads out of a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return exclusive(folder / ".lock")


def _finish_succession(folder: Path) -> None:
    """Put the successor in its predecessor's place, which is kept beside it already; another process may be at it."""
    if (folder / f"{_PREDECESSOR}.crt").exists():
        with suppress(FileNotFoundError):
            Credential.load(folder, _SUCCESSOR).save(folder, "ca")
            _remove(folder, _SUCCESSOR)


def _remove(folder: Path, name: str) -> None:
    for path in (folder / f"{name}.crt", folder / f"{name}.key"):
        path.unlink(missing_ok=True)
