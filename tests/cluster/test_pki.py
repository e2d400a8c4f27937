from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

from vdc.cluster.pki import Authority, Credential


@pytest.fixture
def authority() -> Authority:
    return Authority.create("test")


def certificate(credential: Credential) -> x509.Certificate:
    return x509.load_pem_x509_certificate(credential.cert_pem.encode())


def test_a_certificate_is_signed_by_the_authority(authority: Authority) -> None:
    issued = certificate(authority.issue("a"))
    issued.verify_directly_issued_by(certificate(authority.credential))


def test_a_certificate_is_not_signed_by_another_authority_of_the_same_name(authority: Authority) -> None:
    issued = certificate(authority.issue("a"))
    with pytest.raises(InvalidSignature):
        issued.verify_directly_issued_by(certificate(Authority.create("test").credential))


def test_a_certificate_serves_both_servers_and_clients(authority: Authority) -> None:
    usage = certificate(authority.issue("a")).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_a_certificate_names_its_addresses_and_names(authority: Authority) -> None:
    issued = certificate(authority.issue("a", addresses=["10.0.0.1"], names=["a", "localhost"]))
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.IPAddress) == [IPv4Address("10.0.0.1")]
    assert names.get_values_for_type(x509.DNSName) == ["a", "localhost"]


def test_a_client_that_names_nothing_may_come_from_anywhere(authority: Authority) -> None:
    issued = certificate(authority.issue("client"))
    with pytest.raises(x509.ExtensionNotFound):
        issued.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_guest_whose_clock_is_behind_accepts_the_certificate(authority: Authority) -> None:
    age = datetime.now(UTC) - certificate(authority.issue("a")).not_valid_before_utc
    assert age.total_seconds() > 23 * 3600


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    Authority.load_or_create(tmp_path).load_or_issue(tmp_path, "a")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.glob("*.key")}
    assert modes == {"ca.key": 0o600, "a.key": 0o600}


def test_authority_and_credentials_are_made_once_and_kept(tmp_path: Path) -> None:
    first = Authority.load_or_create(tmp_path / "pki")
    second = Authority.load_or_create(tmp_path / "pki")
    assert first == second
    assert first.load_or_issue(tmp_path, "a") == second.load_or_issue(tmp_path, "a")
