"""Certificates that expire, registries that are gone: each bites, is undone, and is found out where it does neither."""

from __future__ import annotations

import dataclasses
import shlex
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from socket import create_server

import pytest
from cryptography import x509

from tests.conftest import Golden
from vdc.cluster.certificates import shown_until
from vdc.cluster.pki import Authority
from vdc.errors import ClusterError, CommandError, HarnessTimeout, HealError, HostError
from vdc.faults import CertificateExpired, Fault, RegistryGone, injected, trust
from vdc.faults.catalogue import from_record, to_record
from vdc.faults.inside import Unit
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.shell import Completed, run
from vdc.testing import FakeDataCenter, Lie

MakeDataCenter = Callable[..., FakeDataCenter]
GOLDEN = Path(__file__).parents[1] / "golden" / "faults"
TOPOLOGIES = Path(__file__).parents[2] / "topologies"

ETCD = CertificateExpired("rack0-cp0", Unit("vdc-etcd"))
KUBELET = CertificateExpired("rack0-cp0", Unit("kubelet.service"))
REGISTRY = RegistryGone("rack0-cp0")


@pytest.fixture
def make_dc(tmp_path: Path) -> MakeDataCenter:
    """Make data centres with a Kubernetes, a registry, and authorities."""

    def make(*lies: Lie) -> FakeDataCenter:
        topology = expand(load(TOPOLOGIES / "k8s.yml"))
        assert topology.kubernetes is not None
        mirrors = (("docker.io", "https://192.0.2.5:5000"),)
        kubernetes = dataclasses.replace(topology.kubernetes, registry_mirrors=mirrors)
        dc = FakeDataCenter(dataclasses.replace(topology, kubernetes=kubernetes), tmp_path, lies=lies)
        for folder in ("etcd", "kubernetes/kubernetes"):
            authority = Authority.load_or_create(tmp_path / folder)
        issued = authority.issue("rack0-cp0", addresses=["192.0.2.1"], names=["localhost"])
        dc.world.programs["cat"] = lambda _, argv: Completed(argv=argv, status=0, stdout=issued.cert_pem, stderr="")
        return dc

    return make


every_fault = pytest.mark.parametrize("fault", [ETCD, KUBELET, REGISTRY], ids=lambda fault: fault.name)


@every_fault
def test_a_fault_is_there_in_the_body_and_gone_after_it(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc()
    with injected(dc, fault):
        fault.bites(dc)
    fault.healed(dc)
    assert dc.dirty() is None
    assert from_record(to_record(fault), dc) == fault


@every_fault
def test_the_body_never_runs_where_a_fault_does_not_bite(make_dc: MakeDataCenter, fault: Fault) -> None:
    with (
        pytest.raises(HarnessTimeout, match=r"still (good|answers)"),
        injected(make_dc(Lie.FAULT_WITHOUT_EFFECT), fault),
    ):
        raise AssertionError("the body ran")


@every_fault
def test_a_fault_that_cannot_be_healed_makes_the_data_centre_dirty(make_dc: MakeDataCenter, fault: Fault) -> None:
    dc = make_dc(Lie.NEVER_HEALS)
    with pytest.raises(HealError, match=r"not good|does not answer"), injected(dc, fault):
        pass
    assert fault.name in (dc.dirty() or "")


def test_what_has_no_authority_of_ours_or_no_registry_is_not_struck(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    assert "expire, not that of ssh" in (CertificateExpired("rack0-cp0", Unit("ssh")).missing(dc) or "")
    (dc.run_directory / "etcd" / "ca.key").unlink()
    assert "no authority that signs for vdc-etcd" in (ETCD.missing(dc) or "")
    dc.world.inside.told["registry"] = ("registry0=no\n", "")
    with pytest.raises(HostError, match=r"192\.0\.2\.5:5000 does not answer rack0-cp0"), injected(dc, REGISTRY):
        raise AssertionError("the body ran")
    dc.world.topology = dataclasses.replace(dc.topology, kubernetes=None)
    assert "has no registry mirrors" in (REGISTRY.missing(dc) or "")


def test_the_scripts_are_as_they_were_read(make_dc: MakeDataCenter, golden: Golden, tmp_path: Path) -> None:
    dc = make_dc()
    text = "\n---\n".join((REGISTRY.begins(dc), REGISTRY.ends(), REGISTRY.asks(dc), ETCD.ends(), KUBELET.ends()))
    for fault in (REGISTRY, ETCD, KUBELET):
        text = text.replace(fault.key, "KEY")
    golden(GOLDEN / "trust.sh", text)
    for number, part in enumerate((REGISTRY.begins(dc), REGISTRY.asks(dc), ETCD.begins(dc), KUBELET.ends())):
        (tmp_path / f"{number}.sh").write_text(part)
        run(["sh", "-n", str(tmp_path / f"{number}.sh")], timeout=10)


@pytest.mark.parametrize("tries", [1, 2])
def test_a_certificate_is_put_back_where_the_server_forgot_that_it_was_replaced(
    make_dc: MakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    dc, file = make_dc(), tmp_path / "shown" / "member.crt"
    file.parent.mkdir()
    file.write_text("good")
    file.chmod(0o640)
    shown = dataclasses.replace(trust._SHOWN["vdc-etcd"], path=str(file))
    monkeypatch.setattr(trust, "_SHOWN", {"vdc-etcd": shown})
    for _ in range(tries):
        run(["sh", "-e", "-s"], stdin=ETCD.begins(dc), timeout=10)
        assert "BEGIN CERTIFICATE" in file.read_text()

    def in_the_guest(_: object, __: object, script: str) -> str:
        return "" if script.startswith(": vdc-fault") else run(["sh", "-s"], stdin=script, timeout=10).stdout

    monkeypatch.setattr("vdc.faults.inside.Inside._run", in_the_guest)
    ETCD.heal(dc)
    ETCD.heal(dc)
    assert file.read_text() == "good"
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_an_expired_certificate_is_as_before_but_for_its_time(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    before = authority.issue("member", addresses=["192.0.2.1"], names=["localhost"]).cert_pem
    old, new = (x509.load_pem_x509_certificate(pem.encode()) for pem in (before, authority.expired(before)))
    assert new.not_valid_after_utc < datetime.now(UTC) < old.not_valid_after_utc
    assert (new.subject, new.issuer, new.public_key()) == (old.subject, old.issuer, old.public_key())
    assert [each.value for each in new.extensions] == [each.value for each in old.extensions]
    new.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.cert_pem.encode()))
    again = x509.load_pem_x509_certificate(authority.expired(authority.expired(before)).encode())
    assert again.not_valid_before_utc < again.not_valid_after_utc


class Here:
    """A client that runs commands on this host."""

    name = "here"

    def run(
        self, argv: Sequence[str], *, timeout: float = 30.0, check: bool = True, stdin: str | None = None
    ) -> Completed:
        return run(argv, timeout=timeout, check=check, stdin=stdin, where=self.name)


def test_a_client_is_shown_a_certificate_that_it_would_not_believe(tmp_path: Path) -> None:
    authority = Authority.load_or_create(tmp_path)
    issued = authority.issue("member")
    dataclasses.replace(issued, cert_pem=authority.expired(issued.cert_pem)).save(tmp_path, "member")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "member.crt", tmp_path / "member.key")
    with create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, context.wrap_socket(connection, server_side=True):
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        until = shown_until(Here(), "127.0.0.1", listener.getsockname()[1], timeout=10.0)
        thread.join(10)
    assert 0 < datetime.now(UTC).timestamp() - until < 7200


def test_who_shows_no_certificate_is_told_apart(tmp_path: Path) -> None:
    assert shlex.split(sys.executable)
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ClusterError, match=f"127.0.0.1:{port} shows no certificate"):
        shown_until(Here(), "127.0.0.1", port, timeout=5.0)


def test_a_server_that_does_not_tell_is_asked_again(make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    dc = make_dc()

    def refuse(*_: object) -> str:
        raise CommandError("rack0-cp0", ["sh"], 1, "no memory")

    monkeypatch.setattr("vdc.faults.inside.Inside._run", refuse)
    assert REGISTRY.missing(dc) == "rack0-cp0 does not tell: no memory"
