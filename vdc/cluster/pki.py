"""The certificate authority of one data centre, and the credentials it issues.

Keys are ECDSA P-256. A certificate is valid for server and for client authentication (RFC 5280 §4.2.1.12) unless asked
for one of both: etcd's JSON gateway dials its own gRPC server and shows the server's certificate there.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from threading import get_ident
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vdc.model.ip import Address

_AUTHORITY = "ca"
_LIFE = timedelta(days=3650)
# A guest's clock may be behind the host's: certificates must not be "from the future" there.
_BACKDATED = timedelta(days=1)
_RENEWED_BEFORE = timedelta(days=30)
_AGO = timedelta(hours=1)


class Usage(Enum):
    """What a certificate may be shown for (RFC 5280, 4.2.1.12)."""

    SERVER = ExtendedKeyUsageOID.SERVER_AUTH
    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a certificate says of its owner.

    Without addresses and names it carries no subject alternative names, and etcd then does not compare a client's
    address with its certificate. To Kubernetes `organisations` are groups of users.
    """

    common_name: str
    organisations: tuple[str, ...] = ()
    addresses: tuple[Address | str, ...] = ()
    names: tuple[str, ...] = ()
    usages: tuple[Usage, ...] = (Usage.SERVER, Usage.CLIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A certificate and its private key, as PEM text."""

    cert_pem: str
    key_pem: str

    def save(self, directory: Path, name: str) -> None:
        """Write `NAME.crt` and `NAME.key` (mode 0600) to `directory`; a reader never sees half a file."""
        write_text(directory / f"{name}.key", self.key_pem, mode=0o600)
        write_text(directory / f"{name}.crt", self.cert_pem, mode=0o644)

    @classmethod
    def load(cls, directory: Path, name: str) -> Self:
        """Read what `save` wrote; raises FileNotFoundError."""
        return cls(
            cert_pem=(directory / f"{name}.crt").read_text(encoding="ascii"),
            key_pem=(directory / f"{name}.key").read_text(encoding="ascii"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A certificate authority: signs the credentials of one data centre."""

    credential: Credential

    @classmethod
    def create(cls, name: str) -> Self:
        """Return a new authority with the common name `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _draft(_common_name(name), issuer=_common_name(name), public_key=key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(credential=_credential(certificate, key))

    @classmethod
    def load_or_create(cls, directory: Path, *, name: str = "vdc") -> Self:
        """Return the authority kept in `directory`, creating both where they are missing."""
        if not (directory / f"{_AUTHORITY}.crt").exists():
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            cls.create(name).credential.save(directory, _AUTHORITY)
        return cls(credential=Credential.load(directory, _AUTHORITY))

    @property
    def cert_pem(self) -> str:
        """The authority's own certificate: what the others trust."""
        return self.credential.cert_pem

    def issue(
        self, common_name: str, *, addresses: Sequence[Address | str] = (), names: Sequence[str] = ()
    ) -> Credential:
        """Return a new credential for `common_name`, valid for these addresses and DNS names."""
        return self.issue_to(Subject(common_name=common_name, addresses=tuple(addresses), names=tuple(names)))

    def issue_to(self, subject: Subject) -> Credential:
        """Return a new credential that says of its owner what `subject` has."""
        authority = x509.load_pem_x509_certificate(self.credential.cert_pem.encode())
        signer = _private_key(self.credential.key_pem)
        key = ec.generate_private_key(ec.SECP256R1())
        draft = (
            _draft(_name(subject), issuer=authority.subject, public_key=key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage.value for usage in subject.usages]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if valid_for := _alternative_names(subject):
            draft = draft.add_extension(x509.SubjectAlternativeName(valid_for), critical=False)
        return _credential(draft.sign(signer, hashes.SHA256()), key)

    def expired(self, cert_pem: str) -> str:
        """Return a certificate like another one of this authority, for the same key, that ended an hour ago."""
        like = x509.load_pem_x509_certificate(cert_pem.encode())
        draft = (
            x509.CertificateBuilder()
            .subject_name(like.subject)
            .issuer_name(like.issuer)
            .public_key(like.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(like.not_valid_before_utc, datetime.now(UTC) - 2 * _AGO))
            .not_valid_after(datetime.now(UTC) - _AGO)
        )
        for each in like.extensions:
            draft = draft.add_extension(each.value, critical=each.critical)
        made = draft.sign(_private_key(self.credential.key_pem), hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM).decode()

    def has_issued(self, credential: Credential, subject: Subject) -> bool:
        """Return whether a credential is of this authority, says of its owner just this, and lasts a month more."""
        issued = x509.load_pem_x509_certificate(credential.cert_pem.encode())
        try:
            issued.verify_directly_issued_by(x509.load_pem_x509_certificate(self.cert_pem.encode()))
        except (ValueError, InvalidSignature):
            return False
        paired = issued.public_key() == _private_key(credential.key_pem).public_key()
        return paired and _says(issued, subject) and issued.not_valid_after_utc > datetime.now(UTC) + _RENEWED_BEFORE

    def load_or_issue(
        self,
        directory: Path,
        common_name: str,
        *,
        addresses: Sequence[Address | str] = (),
        names: Sequence[str] = (),
    ) -> Credential:
        """Return the credential kept in `directory` under `common_name`, issued and saved the first time."""
        if not (directory / f"{common_name}.crt").exists():
            self.issue(common_name, addresses=addresses, names=names).save(directory, common_name)
        return Credential.load(directory, common_name)


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(subject: Subject) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in subject.organisations]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])


def _alternative_names(subject: Subject) -> list[x509.GeneralName]:
    addresses = [x509.IPAddress(ip_address(str(address))) for address in subject.addresses]
    return [*addresses, *(x509.DNSName(name) for name in subject.names)]


def _says(issued: x509.Certificate, subject: Subject) -> bool:
    usages = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    try:
        names = list(issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        names = []
    return (
        issued.subject == _name(subject)
        and names == _alternative_names(subject)
        and list(usages) == [usage.value for usage in subject.usages]
    )


def _draft(subject: x509.Name, *, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _credential(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Credential:
    return Credential(
        cert_pem=certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key_pem=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


def _private_key(pem: str) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"not an elliptic-curve key but {type(key).__name__}")
    return key


def write_text(path: Path, text: str, *, mode: int) -> None:
    """Write an ASCII file; a reader never sees half of it, and nobody reads a private one in between."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{get_ident()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text)
    draft.replace(path)
