"""Faults of what a cluster relies on: certificates that have expired, registries of images that are gone."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from vdc.cluster.certificates import shown_until
from vdc.cluster.clients import client_of
from vdc.cluster.etcd_config import CLIENT_PORT
from vdc.cluster.kubernetes.cluster import KUBELET_PORT
from vdc.cluster.kubernetes.paths import ETCD, certificate
from vdc.cluster.kubernetes.spec import API_PORT
from vdc.cluster.pki import Authority
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.faults.inside import Inside, OfUnit
from vdc.wait import NotYet

_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A certificate that a service shows to clients: where it is, who signs it, and whether it is read only once."""

    port: int
    path: str
    authority: str
    once: bool = False


_SHOWN: Final[Mapping[str, _Shown]] = MappingProxyType(
    {
        "etcd": _Shown(port=CLIENT_PORT, path=f"{ETCD}/member.crt", authority="kubernetes/etcd"),
        "kube-apiserver": _Shown(port=API_PORT, path=certificate("apiserver"), authority="kubernetes/kubernetes"),
        "kubelet": _Shown(
            port=KUBELET_PORT, path=certificate("kubelet-server"), authority="kubernetes/kubernetes", once=True
        ),
        "vdc-etcd": _Shown(port=CLIENT_PORT, path="/etc/vdc-etcd/member.crt", authority="etcd"),
    }
)


@dataclass(frozen=True, slots=True)
class CertificateExpired(OfUnit):
    """The certificate that a service shows has expired: nobody sets out to renew it, and who verifies it gives up.

    The key stays. etcd and API servers read it anew; a kubelet reads it only once, and is started again.
    """

    needs = f"a server of a cluster of ours that runs one of {', '.join(_SHOWN)}"
    bite_seconds = 180.0
    heal_seconds = 240.0

    @property
    def name(self) -> str:
        """`certificate of SERVICE of SERVER expired`."""
        return f"certificate of {self.service} of {self.server} expired"

    @property
    def kind(self) -> str:
        """One word."""
        return "expired"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such service, or that its authority is not ours."""
        if self.service not in _SHOWN:
            return f"certificates of {', '.join(_SHOWN)} expire, not that of {self.service}"
        lacks = OfUnit.missing(self, dc)
        if lacks is None and not (self._authority(dc) / "ca.key").exists():
            return f"{dc.name} has no authority that signs for {self.service}"
        return lacks

    def begins(self, dc: DataCenter) -> str:
        """Put another one in its place, and keep the old one beside it."""
        path = _SHOWN[self.service].path
        now = dc.servers[self.server].run(["cat", path]).stdout
        expired = Authority.load_or_create(self._authority(dc)).expired(now)
        kept = self._kept
        return (
            f"[ -e {kept} ] || cp --preserve=all {path} {kept}.old\n"
            f"[ -e {kept} ] || mv {kept}.old {kept}\n"
            f"printf %s {shlex.quote(expired)} > {kept}.new\n"
            f"chmod --reference={path} {kept}.new; chown --reference={path} {kept}.new\n"
            f"mv {kept}.new {path}{self._again}"
        )

    def ends(self) -> str:
        """Put the old one back, if it is not there yet."""
        kept = self._kept
        return (
            f"if [ -e {kept} ]; then\nmv {kept} {_SHOWN[self.service].path}{self._again}\nfi\n"
            f"rm -f {kept}.old {kept}.new"
        )

    def heal(self, dc: DataCenter) -> None:
        """End it, also where the server has started anew since, and forgotten that it began."""
        OfUnit.heal(self, dc)
        self._run(dc, f"{self.ends()}\n")

    def asks(self, dc: DataCenter) -> str:
        """Return nothing: those who connect are asked."""
        del dc
        return ":"

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """A client outside is shown one that has ended, or one that has not."""
        host = str(dc.topology.server(self.server).node.ip)
        try:
            until = shown_until(client_of(dc), host, _SHOWN[self.service].port, timeout=_SECONDS)
        except ClusterError as error:
            raise NotYet(error.message) from error
        if (until < time.time()) is not broken:
            raise NotYet(f"the certificate of {self.service} of {self.server} is {'still ' if broken else 'not '}good")

    @property
    def _kept(self) -> str:
        """Where the old one is meanwhile: on the same file system, so that nobody ever finds half of one."""
        return f"{_SHOWN[self.service].path}.vdc-{self.key}"

    @property
    def _again(self) -> str:
        return f"\nsystemctl restart --no-block {self.quoted}" if _SHOWN[self.service].once else ""

    def _authority(self, dc: DataCenter) -> Path:
        return dc.run_directory / _SHOWN[self.service].authority


@dataclass(frozen=True, slots=True)
class RegistryGone(Inside):
    """A server no longer reaches the registries that it has images from: connections to them are refused."""

    needs = "`registry_mirrors` in the section `kubernetes` of the topology, and a registry that answers there"

    @property
    def name(self) -> str:
        """`registries gone for SERVER`."""
        return f"registries gone for {self.server}"

    @property
    def kind(self) -> str:
        """One word."""
        return "registry"

    def missing(self, dc: DataCenter) -> str | None:
        """Return that there is no such server, or that it has no registry anyway."""
        lacks = Inside.missing(self, dc)
        if lacks is None and not _mirrors(dc):
            return f"{dc.topology.name} has no registry mirrors: all images are on the nodes"
        if lacks is None:
            try:
                self.healed(dc)
            except NotYet as error:
                return str(error)
        return lacks

    def begins(self, dc: DataCenter) -> str:
        """Refuse what it sends there (nft(8)); addresses that a name has now are those that count."""
        rules = "\n".join(
            f"for address in $(getent ahosts {shlex.quote(host)} | cut -d' ' -f1 | sort -u); do\n"
            "  case $address in *:*) family=ip6;; *) family=ip;; esac\n"
            f"  nft add rule inet {self._table} refuse $family daddr $address tcp dport {port} reject with tcp reset\n"
            "done"
            for host, port in _mirrors(dc)
        )
        chain = "{ type filter hook output priority -300 ; }"
        return f"nft add table inet {self._table}\nnft 'add chain inet {self._table} refuse {chain}'\n{rules}"

    def ends(self) -> str:
        """Forget the rules."""
        return f"nft delete table inet {self._table} 2>/dev/null"

    def asks(self, dc: DataCenter) -> str:
        """Whether each takes a connection."""
        return "\n".join(
            f"timeout 10 bash -c 'exec 3<>/dev/tcp/$0/$1' {shlex.quote(host)} {port} 2>/dev/null"
            f' && echo "registry{number}=yes" || echo "registry{number}=no"'
            for number, (host, port) in enumerate(_mirrors(dc))
        )

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """None does, or all do."""
        for number, (host, port) in enumerate(_mirrors(dc)):
            if seen.get(f"registry{number}") != ("no" if broken else "yes"):
                raise NotYet(f"{host}:{port} {'still answers' if broken else 'does not answer'} {self.server}")

    @property
    def _table(self) -> str:
        return f"vdc-fault-{self.key}"


def _mirrors(dc: DataCenter) -> tuple[tuple[str, int], ...]:
    settings = dc.topology.kubernetes
    return tuple(_places(url for _, url in settings.registry_mirrors)) if settings else ()


def _places(urls: Iterator[str]) -> Iterator[tuple[str, int]]:
    for url in urls:
        parts = urlsplit(url)
        yield str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
