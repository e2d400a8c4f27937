from __future__ import annotations

import json
from pathlib import Path

import pytest

from vdc import shell
from vdc.cluster.deployers import DEPLOYERS
from vdc.cluster.etcd_config import install_script, member_config, member_files
from vdc.cluster.pki import Credential
from vdc.testing.loopback import LoopbackDataCenter

CREDENTIAL = Credential(cert_pem="CERT\n", key_pem="KEY\n")


@pytest.fixture
def lab_config(tmp_path: Path) -> str:
    lab = LoopbackDataCenter(run_directory=tmp_path, subnet=(9, 9))
    return member_config(lab.topology, "rack1-cs0", token="t", slowness=1.0)


def test_every_member_is_in_the_initial_cluster(lab_config: str) -> None:
    assert json.loads(lab_config)["initial-cluster"].split(",") == [
        "rack0-cs0=https://127.9.9.1:2380",
        "rack1-cs0=https://127.9.9.2:2380",
        "rack2-cs0=https://127.9.9.3:2380",
    ]


def test_a_member_listens_on_its_own_node_address(lab_config: str) -> None:
    config = json.loads(lab_config)
    assert config["listen-peer-urls"] == "https://127.9.9.2:2380"
    assert "https://127.9.9.2:2379" in config["listen-client-urls"].split(",")


def test_peers_and_clients_must_show_a_certificate(lab_config: str) -> None:
    config = json.loads(lab_config)
    for side in ("client-transport-security", "peer-transport-security"):
        assert config[side]["client-cert-auth"] is True


def test_data_is_kept_on_the_data_disk(lab_config: str) -> None:
    assert json.loads(lab_config)["data-dir"].startswith("/data/")


@pytest.mark.parametrize(("slowness", "heartbeat"), [(0.05, 100), (1.0, 500), (4.0, 2000), (100.0, 5000)])
def test_heartbeats_scale_with_the_host_within_what_etcd_allows(
    tmp_path: Path, slowness: float, heartbeat: int
) -> None:
    lab = LoopbackDataCenter(run_directory=tmp_path, subnet=(9, 9))
    config = json.loads(member_config(lab.topology, "rack0-cs0", token="t", slowness=slowness))
    assert (config["heartbeat-interval"], config["election-timeout"]) == (heartbeat, 10 * heartbeat)


def test_the_script_is_valid_shell_whatever_the_files_hold() -> None:
    script = install_script({"/etc/it's": "quotes ' and \" and $(false) and \\ and %s\n"})
    shell.run(["sh", "-n"], stdin=script, timeout=10)


def test_the_script_differs_when_any_file_does() -> None:
    files = member_files("config", authority_pem="CA\n", credential=CREDENTIAL)
    other = member_files("another", authority_pem="CA\n", credential=CREDENTIAL)
    digests = {install_script(each).splitlines()[2] for each in (files, other)}
    assert len(digests) == 2


def test_every_file_is_written_before_the_member_is_started() -> None:
    files = member_files("config", authority_pem="CA\n", credential=CREDENTIAL)
    lines = install_script(files).splitlines()
    started = next(number for number, line in enumerate(lines) if line.startswith("systemctl restart"))
    for path in files:
        assert any(f">{path}" in line for line in "\n".join(lines[:started]).split("printf")), path


def test_every_deployer_is_named() -> None:
    assert {"etcd", "kubernetes", "script"} == set(DEPLOYERS)
