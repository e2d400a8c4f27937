"""The authorities of a cluster and the credentials they issue, kept in the run directory.

Three authorities (https://kubernetes.io/docs/setup/best-practices/certificates/): of etcd, of Kubernetes, and of the
front proxy (the API server towards extension API servers). Their private keys never leave the harness. What a component
may do follows from its certificate: the common name is its user, organisations are its groups.

Rotation. Leaf credentials: `rotate`, then deploy again. An authority, in three rounds with a deployment after each:
`introduce` a successor, which everybody trusts from then on beside the old one; `succeed`, from when on it issues
everybody's credentials; `retire` the old one. Nothing is refused in between.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vdc.cluster.etcd_config import addresses
from vdc.cluster.kubernetes.spec import ClusterSpec, Node
from vdc.cluster.pki import Authority, Credential, Subject, Usage, write_text

AUTHORITIES: Final = ("kubernetes", "etcd", "front-proxy")
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

    `encryption_key` (32 bytes) and the key pair of service accounts are those of the cluster, and empty for a worker.
    """

    trusted: Mapping[str, str]
    leaves: Mapping[str, Credential]
    service_account_key: str = ""
    service_account_public: str = ""
    encryption_key: bytes = b""


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
        self._authorities = {
            each: Authority.load_or_create(directory / each, name=f"{name} {each}") for each in AUTHORITIES
        }
        self._name = name
        # made here, since nodes may be asked for at the same time
        self._service_accounts = _service_accounts(directory / "sa.key")
        self._encryption_key = _encryption_key(directory / "encryption.key")

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
        private, public = self._service_accounts
        return NodeCredentials(
            trusted=trusted,
            leaves=MappingProxyType(own),
            service_account_key=private,
            service_account_public=public,
            encryption_key=self._encryption_key,
        )

    def rotate(self, node: Node, names: Iterable[str] | None = None) -> None:
        """Forget credentials of a node (by default all), so that the next deployment issues new ones."""
        folder = self._directory / "nodes" / node.name
        for name in names if names is not None else {path.stem for path in folder.glob("*.crt")}:
            (folder / f"{name}.crt").unlink(missing_ok=True)

    def introduce(self, authority: str) -> None:
        """Make a successor of an authority: from the next deployment on everybody trusts both."""
        folder = self._directory / authority
        if not (folder / f"{_SUCCESSOR}.crt").exists():
            Authority.create(f"{self._name} {authority}").credential.save(folder, _SUCCESSOR)

    def succeed(self, authority: str) -> None:
        """Let the successor of an authority issue everybody's credentials at the next deployment; both are trusted.

        Raises FileNotFoundError: it has none.
        """
        folder = self._directory / authority
        new = Credential.load(folder, _SUCCESSOR)
        self._authorities[authority].credential.save(folder, _PREDECESSOR)
        self._authorities[authority] = Authority(credential=new)
        new.save(folder, "ca")
        _remove(folder, _SUCCESSOR)

    def retire(self, authority: str) -> None:
        """Trust the predecessor of an authority no longer, from the next deployment on."""
        _remove(self._directory / authority, _PREDECESSOR)

    def _credential(self, folder: Path, leaf: Leaf) -> Credential:
        authority = self._authorities[leaf.authority]
        try:
            kept = Credential.load(folder, leaf.name)
            if authority.has_issued(kept, leaf.subject):
                return kept
        except (FileNotFoundError, ValueError):
            pass
        issued = authority.issue_to(leaf.subject)
        issued.save(folder, leaf.name)
        return issued


def _service_accounts(path: Path) -> tuple[str, str]:
    """Return the key pair that signs the tokens of service accounts."""
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        write_text(path, key.private_bytes(encoding, form, serialization.NoEncryption()).decode(), mode=0o600)
    private = path.read_text("ascii")
    public = serialization.load_pem_private_key(private.encode(), password=None).public_key()
    text = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, text.decode()


def _encryption_key(path: Path) -> bytes:
    """Return the key that secrets are encrypted with in etcd."""
    if not path.exists():
        write_text(path, secrets.token_hex(32), mode=0o600)
    return bytes.fromhex(path.read_text("ascii"))


def _remove(folder: Path, name: str) -> None:
    for path in (folder / f"{name}.crt", folder / f"{name}.key"):
        path.unlink(missing_ok=True)
