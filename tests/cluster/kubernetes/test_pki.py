from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.kubernetes.examples import OLD, ROOT, cluster
from tests.conftest import Golden
from vdc.cluster.kubernetes.pki import AUTHORITIES, Pki
from vdc.cluster.kubernetes.spec import cluster_spec
from vdc.cluster.pki import Authority, Credential, Subject

SPEC = cluster("k8s.yml")
PLANE, WORKER = SPEC.node("rack0-cp0"), SPEC.node("rack0-cs0")


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path, name="test")


def certificate(credential: Credential) -> x509.Certificate:
    return x509.load_pem_x509_certificate(credential.cert_pem.encode())


def described(credential: Credential) -> str:
    read = certificate(credential)
    usages = read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    said = [f"  {read.subject.rfc4514_string()}, by {read.issuer.rfc4514_string()}"]
    said += [f"  {'server' if usage == ExtendedKeyUsageOID.SERVER_AUTH else 'client'}" for usage in usages]
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        said += [f"  {name.value}" for name in names]
    except x509.ExtensionNotFound:
        pass
    return "\n".join(said)


def test_everybody_is_who_kubernetes_takes_them_for(pki: Pki, golden: Golden) -> None:
    shown = [
        f"{node.name}: {name}\n{described(each)}"
        for node in (PLANE, WORKER)
        for name, each in pki.of(SPEC, node).leaves.items()
    ]
    shown += [
        f"{name}\n{described(each)}" for name, each in (("admin", pki.admin()), ("etcd client", pki.etcd_client()))
    ]
    golden(ROOT / "tests/golden/kubernetes/certificates.txt", "\n\n".join(shown) + "\n")


def test_a_second_look_finds_the_same(tmp_path: Path) -> None:
    first = Pki(tmp_path, name="test").of(SPEC, PLANE)
    assert Pki(tmp_path, name="test").of(SPEC, PLANE) == first


def test_nodes_asked_for_at_the_same_time_share_the_keys_of_the_cluster(pki: Pki) -> None:
    with ThreadPoolExecutor(3) as pool:
        every = list(pool.map(lambda node: pki.of(SPEC, node), SPEC.control_planes))
    assert len({(each.service_account_key, each.encryption_keys) for each in every}) == 1


def test_private_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    Pki(tmp_path, name="test").of(SPEC, PLANE)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.key")}
    assert modes == {0o600}


def test_a_certificate_that_no_longer_says_what_it_should_is_issued_again(tmp_path: Path) -> None:
    before = Pki(tmp_path, name="test").of(SPEC, PLANE)
    other = cluster("k8s.yml", kubernetes={"domain": "example.org"})
    after = Pki(tmp_path, name="test").of(other, PLANE)
    changed = {name for name in before.leaves if before.leaves[name] != after.leaves[name]}
    assert changed == {"apiserver"}


def test_a_worker_that_is_promoted_may_do_more(pki: Pki) -> None:
    promoted = cluster_spec(SPEC.topology, name="test", versions=OLD, slowness=1.0, promoted=frozenset({"rack0-cs0"}))
    before, after = pki.of(SPEC, WORKER), pki.of(promoted, promoted.node("rack0-cs0"))
    assert before.leaves["kubelet"] == after.leaves["kubelet"]
    assert "apiserver" in after.leaves
    groups = certificate(after.leaves["agent"]).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    assert [each.value for each in groups] == ["vdc:agents", "vdc:load-balancers"]


def test_half_a_credential_is_issued_again(pki: Pki, tmp_path: Path) -> None:
    before = pki.of(SPEC, WORKER).leaves["kubelet"]
    other = pki.of(SPEC, PLANE).leaves["kubelet"]
    (tmp_path / "nodes/rack0-cs0/kubelet.key").write_text(other.key_pem)
    after = pki.of(SPEC, WORKER).leaves["kubelet"]
    assert after.cert_pem != before.cert_pem
    key = serialization.load_pem_private_key(after.key_pem.encode(), password=None)
    assert certificate(after).public_key() == key.public_key()


def test_rotation_issues_new_credentials_of_the_same_authority(pki: Pki) -> None:
    before = pki.of(SPEC, PLANE)
    pki.rotate(PLANE, ["apiserver", "kubelet"])
    after = pki.of(SPEC, PLANE)
    assert {name for name in before.leaves if before.leaves[name] != after.leaves[name]} == {"apiserver", "kubelet"}
    assert before.trusted == after.trusted
    pki.rotate(PLANE)
    assert not [name for name in after.leaves if after.leaves[name] == pki.of(SPEC, PLANE).leaves[name]]


def accepts(trusted: str, credential: Credential) -> bool:
    """Whether somebody who trusts these authorities accepts the credential."""
    authorities = x509.load_pem_x509_certificates(trusted.encode())
    issuer = certificate(credential).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    own = [each.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest for each in authorities]
    return issuer.key_identifier in own


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_an_authority_is_succeeded_without_a_moment_in_which_anybody_is_refused(authority: str, tmp_path: Path) -> None:
    """A round is not everywhere at once: whoever has the files of one round accepts whoever has those of the next."""
    pki = Pki(tmp_path, name="test")
    rounds = [pki.of(SPEC, PLANE)]
    for step in (pki.introduce, pki.succeed, pki.retire):
        step(authority)
        rounds.append(Pki(tmp_path, name="test").of(SPEC, PLANE))
    leaf = {"kubernetes": "apiserver", "etcd": "etcd-member", "front-proxy": "front-proxy-client"}[authority]
    for one, other in pairwise(rounds):
        assert accepts(one.trusted[authority], other.leaves[leaf])
        assert accepts(other.trusted[authority], one.leaves[leaf])
    assert not accepts(rounds[-1].trusted[authority], rounds[0].leaves[leaf])
    assert not accepts(rounds[0].trusted[authority], rounds[-1].leaves[leaf])


def test_without_a_successor_there_is_no_succession(pki: Pki) -> None:
    with pytest.raises(FileNotFoundError):
        pki.succeed("etcd")


@pytest.mark.parametrize("authority", AUTHORITIES)
def test_the_file_for_clients_has_every_authority_that_is_trusted(authority: str, pki: Pki) -> None:
    assert pki.trusted_path(authority).read_text().count("BEGIN CERTIFICATE") == 1
    pki.introduce(authority)
    assert pki.trusted_path(authority).read_text().count("BEGIN CERTIFICATE") == 2


def test_of_two_who_ask_for_a_credential_at_once_both_get_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue, both = Authority.issue_to, threading.Barrier(2)

    def slowly(authority: Authority, subject: Subject) -> Credential:
        # the other one comes meanwhile, unless it is kept out
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return issue(authority, subject)

    first, second = Pki(tmp_path, name="a"), Pki(tmp_path, name="a")
    monkeypatch.setattr(Authority, "issue_to", slowly)
    with ThreadPoolExecutor(2) as pool:
        found = [each.result() for each in [pool.submit(first.admin), pool.submit(second.admin)]]
    assert found[0] == found[1]
