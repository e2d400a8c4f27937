"""New certificates and keys: at any moment all that runs accepts each other, and what was killed is finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.kubernetes.live import Bench, Killed, Machine, Reached
from vdc.cluster.kubernetes import rotation
from vdc.cluster.kubernetes.keys import Phase, public_key
from vdc.cluster.kubernetes.paths import CONFIG, PKI, certificate, key
from vdc.cluster.kubernetes.pki import AUTHORITIES, KEYS, Pki
from vdc.cluster.kubernetes.record import directory

TOKEN = "/api/v1/namespaces/default/secrets/token"
OTHER = "/api/v1/namespaces/default/secrets/other"


class Loaded:
    """The keys that API servers have read when they started last: whom each believes, and as what each shows itself."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.keys: dict[str, tuple[str, str, str, tuple[str, ...]]] = {}
        self.restarts: list[str] = []
        for machine in bench.lab.servers.values():
            machine.starting = self._noting(machine)
            if "kube-apiserver" in machine.marks:
                self.read(machine)

    def read(self, machine: Machine) -> None:
        files = machine.files
        (resource,) = json.loads(files[f"{CONFIG}/encryption.json"])["resources"]
        secrets = tuple(each["secret"] for each in resource["providers"][0]["secretbox"]["keys"])
        signs = public_key(files[key("sa")])
        self.keys[machine.name] = (signs, files[f"{PKI}/sa.pub"], secrets[0], secrets)

    def expect_agreement(self) -> None:
        for signs, _, encrypts, _ in self.keys.values():
            assert all(signs in known for _, known, _, _ in self.keys.values())
            assert all(encrypts in known for _, _, _, known in self.keys.values())

    def _noting(self, machine: Machine) -> Callable[[str], None]:
        def note(component: str) -> None:
            if component == "kube-apiserver":
                self.read(machine)
                self.restarts.append(machine.name)
                self.expect_agreement()

        return note


def deployed(bench: Bench) -> Loaded:
    bench.deploy()
    names = {"token": "kubernetes.io/service-account-token", "other": "Opaque"}
    for name, kind in names.items():
        metadata = {"namespace": "default", "name": name}
        path = f"/api/v1/namespaces/default/secrets/{name}"
        bench.kept.secrets[path] = {"metadata": metadata, "type": kind, "data": {"token": "signed"}}
    return Loaded(bench)


def shared(bench: Bench, what: str) -> str:
    """What a succession replaces, as it is on a control-plane node."""
    files = bench.machine("rack0-cp0").files
    match what:
        case "service-accounts":
            return files[key("sa")]
        case "secrets":
            return files[f"{CONFIG}/encryption.json"]
        case "etcd":
            return files[f"{CONFIG}/etcd/ca.crt"]
        case "front-proxy":
            return files[certificate("front-proxy-ca")]
    return files[certificate("ca")]


@pytest.mark.parametrize("what", [*AUTHORITIES, *KEYS])
def test_what_all_share_is_replaced_in_rounds_while_every_api_server_accepts_every_other(
    what: str, large: Bench
) -> None:
    loaded, before = deployed(large), shared(large, what)
    rotation.rotate(large.dc, what)
    large.expect_whole()
    after = shared(large, what)
    assert after != before
    assert after.count("BEGIN") == before.count("BEGIN")
    assert Pki(directory(large.dc), name="lab").phase(what) is Phase.SETTLED
    # one after the other, in each of the rounds
    assert set(loaded.restarts) == {"rack0-cp0", "rack1-cp0", "rack2-cp0"}
    assert loaded.restarts == sorted(loaded.restarts[:3]) * 3


def test_tokens_are_signed_anew_before_the_old_key_is_forgotten_and_secrets_are_written_by_the_new_one(
    small: Bench,
) -> None:
    deployed(small)
    rotation.rotate(small.dc, "service-accounts")
    assert small.kept.secrets[TOKEN]["data"]["token"] == "signed anew"
    assert small.kept.secrets[OTHER]["data"]["token"] == "signed"
    assert small.kept.written == []
    rotation.rotate(small.dc, "secrets")
    assert small.kept.written == [TOKEN, OTHER]


@pytest.mark.parametrize("what", ["kubernetes", "secrets"])
def test_what_was_killed_is_finished_by_the_next_call_and_not_done_twice(
    what: str, small: Bench, tmp_path: Path
) -> None:
    deployed(small)
    started = shared(small, what)
    for moment in small.moments(lambda bench: rotation.rotate(bench.dc, what), tmp_path / "whole", most=4):
        first = small.copy(tmp_path / f"{moment}")
        loaded = Loaded(first)
        first.lab.fuse.left = moment
        with pytest.raises(Killed):
            rotation.rotate(first.dc, what)
        introduced = {*first.lab.run_directory.rglob("*.next.*")}
        rotation.rotate(first.dc, what)
        first.expect_whole()
        loaded.expect_agreement()
        assert shared(first, what) != started
        assert Pki(directory(first.dc), name="lab").phase(what) is Phase.SETTLED
        assert [path for path in introduced if path.exists()] == []


def test_renewed_certificates_start_api_servers_one_after_the_other(large: Bench) -> None:
    loaded = deployed(large)
    before = {name: machine.files[certificate("kubelet")] for name, machine in large.lab.servers.items()}
    rotation.rotate_certificates(large.dc, ["rack0-cp0", "rack1-cp0"])
    after = {name: machine.files[certificate("kubelet")] for name, machine in large.lab.servers.items()}
    assert {name for name in after if after[name] != before[name]} == {"rack0-cp0", "rack1-cp0"}
    assert loaded.restarts == ["rack0-cp0", "rack1-cp0"]
    large.expect_whole()


def test_a_killed_succession_of_an_authority_never_leaves_a_certificate_with_another_key(
    small: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of an authority are two, and the harness may be killed between them."""
    small.deploy()
    folder = directory(small.dc)
    Pki(folder, name="lab").introduce("kubernetes")
    pki = Pki(folder, name="lab")

    def killed(path: Path, text: str, *, mode: int) -> None:
        if path.name == "ca.crt":
            raise Killed
        path.write_text(text, encoding="ascii")

    with monkeypatch.context() as patch:
        patch.setattr("vdc.cluster.pki.write_text", killed)
        with pytest.raises(Killed):
            pki.succeed("kubernetes")
    again = Pki(folder, name="lab")
    assert again.phase("kubernetes") is Phase.SUCCEEDED
    node = small.record.cluster(small.dc).nodes[0]
    assert again.of(small.record.cluster(small.dc), node).leaves["kubelet"].cert_pem


def test_access_is_by_the_authority_in_use(small: Bench) -> None:
    deployed(small)
    before = Reached(small, name="lab").pki.admin()
    rotation.rotate(small.dc, "kubernetes")
    assert Reached(small, name="lab").pki.admin() != before


def test_tokens_are_left_alone_where_nobody_would_sign_them(small: Bench) -> None:
    small.lab.slowness = 1.0
    deployed(small)
    rotation.rotate(small.dc, "service-accounts")
    assert small.kept.secrets[TOKEN]["data"]["token"] == "signed"
