"""The scripts for guests, run by a real shell with a systemctl that only notes what it is told."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest

from vdc.cluster.kubernetes import guest
from vdc.cluster.kubernetes.api import Component
from vdc.cluster.kubernetes.paths import FIRST_MEMBERS
from vdc.errors import CommandError
from vdc.shell import run


class Guest:
    """A folder that scripts take for the root of a guest."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        self.bin.mkdir()
        self.states = root / "states"
        self.states.write_text("active\n")
        # `is-active` says what there is in a file, and fails as systemctl does
        self.program("systemctl", f'echo "$@" >>{root}/calls; [ $1 != is-active ] || {{ cat {self.states}; exit 3; }}')
        for name in ("mountpoint", "sysctl", "sync"):
            self.program(name, f'echo "{name} $@" >>{root}/calls')

    def program(self, name: str, body: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def run(self, script: str) -> str:
        moved = re.sub(r"(?<![\w./])/(etc|usr/local/bin|var/lib/vdc)(?=[/;])", rf"{self.root}/\1", script)
        moved = moved.replace("tar -xz -C /", f"tar -xz -C {self.root}")
        (self.root / "calls").write_text("")
        path = f"{self.bin}:/usr/bin:/bin"
        return run(["/bin/sh", "-s"], stdin=moved, timeout=10, env={"PATH": path}).stdout

    def calls(self) -> list[str]:
        return [line for line in (self.root / "calls").read_text().splitlines() if not line.startswith("is-active")]


@pytest.fixture
def node(tmp_path: Path) -> Guest:
    made = Guest(tmp_path)
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    (tmp_path / "usr/local/bin/kubelet").write_text("")
    (tmp_path / "usr/local/bin/kubelet").chmod(0o755)
    (tmp_path / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    return made


FILES = {"/etc/kubernetes/a.key": "it's\nsecret\n", "/etc/systemd/system/x.service": "[Unit]\n"}


def install(node: Guest, files: dict[str, str]) -> list[str]:
    node.run(guest.install_script(files, private=["/etc/kubernetes/a.key"], settings="/etc/s.conf"))
    return node.calls()


def test_files_are_put_in_place_and_those_with_keys_are_for_root_alone(node: Guest) -> None:
    assert "daemon-reload" in install(node, FILES)
    for path, text in FILES.items():
        assert Path(f"{node.root}{path}").read_text() == text
    assert (node.root / "etc/kubernetes/a.key").stat().st_mode & 0o777 == 0o600
    assert (node.root / "etc/systemd/system/x.service").stat().st_mode & 0o777 == 0o644


def test_the_same_files_are_not_put_twice_and_others_are(node: Guest) -> None:
    install(node, FILES)
    assert install(node, FILES) == []
    assert "daemon-reload" in install(node, {**FILES, "/etc/kubernetes/a.key": "new\n"})
    assert (node.root / "etc/kubernetes/a.key").read_text() == "new\n"


def test_nothing_is_installed_where_data_would_not_survive(node: Guest) -> None:
    node.program("mountpoint", "exit 1")
    with pytest.raises(CommandError, match="/data is not mounted"):
        install(node, FILES)
    assert not (node.root / "etc/kubernetes/a.key").exists()


def test_a_component_starts_once_and_again_with_other_files(node: Guest) -> None:
    (node.root / "etc/kubernetes/.vdc").mkdir(parents=True)
    start = {Component.KUBELET: "one", Component.API_PROXY: "two"}
    node.run(guest.start_script(start))
    assert node.calls() == ["restart --no-block kubelet", "reload-or-restart --no-block haproxy"]
    assert (node.root / "etc/systemd/system/multi-user.target.wants/kubelet.service").is_symlink()
    node.run(guest.start_script(start))
    assert node.calls() == []
    node.run(guest.start_script({**start, Component.KUBELET: "three"}))
    assert node.calls() == ["restart --no-block kubelet"]


def test_a_component_that_does_not_run_is_started_whatever_its_files(node: Guest) -> None:
    (node.root / "etc/kubernetes/.vdc").mkdir(parents=True)
    node.run(guest.start_script({Component.KUBELET: "one"}))
    node.states.write_text("failed\n")
    node.run(guest.start_script({Component.KUBELET: "one"}))
    assert node.calls() == ["restart --no-block kubelet"]


def test_a_look_tells_the_state_and_the_mark_of_each_unit(node: Guest) -> None:
    (node.root / "etc/kubernetes/.vdc").mkdir(parents=True)
    (node.root / "etc/kubernetes/.vdc/kubelet").write_text("one")
    node.states.write_text("active\ninactive\n")
    assert node.run(guest.look_script((Component.KUBELET, Component.ETCD))) == "kubelet active one\netcd inactive \n"


def test_kernel_settings_are_read_for_every_interface(node: Guest) -> None:
    said = node.run(guest.sysctls_script(["net.ipv4.conf.*.rp_filter", "net.ipv4.ip_forward", "no.such"]))
    names = [line.split("=")[0] for line in said.splitlines()]
    assert "net/ipv4/conf/lo/rp_filter" in names
    assert "net/ipv4/ip_forward" in names
    assert not any("such" in name for name in names)


def test_what_the_kernel_had_before_the_first_component_is_kept(node: Guest) -> None:
    install(node, FILES)
    first = node.run(guest.first_sysctls_script())
    names = [line.split("=")[0] for line in first.splitlines()]
    assert {f"net/ipv4/conf/lo/{name}" for name in ("arp_ignore", "arp_announce", "rp_filter")} <= set(names)
    kept = next(node.root.rglob("var/lib/vdc/sysctls"))
    kept.write_text("net/ipv4/conf/lo/rp_filter=7\n")
    install(node, {**FILES, "/etc/kubernetes/a.key": "new\n"})
    assert node.run(guest.first_sysctls_script()) == "net/ipv4/conf/lo/rp_filter=7\n"


def test_files_that_were_half_replaced_are_put_again(node: Guest) -> None:
    install(node, FILES)
    node.program("base64", "exit 1")
    with suppress(CommandError):
        install(node, {**FILES, "/etc/kubernetes/a.key": "new\n"})
    (node.root / "etc/kubernetes/a.key").write_text("half")
    (node.bin / "base64").unlink()
    install(node, FILES)
    assert (node.root / "etc/kubernetes/a.key").read_text() == "it's\nsecret\n"


def test_whom_a_member_of_etcd_joins_is_no_reason_to_put_all_files_again(node: Guest) -> None:
    install(node, {**FILES, FIRST_MEMBERS: "new"})
    assert install(node, {**FILES, FIRST_MEMBERS: "existing"}) == []
    node.run(guest.members_script({"ETCD_INITIAL_CLUSTER_STATE": "existing"}))
    assert Path(f"{node.root}{FIRST_MEMBERS}").read_text() == "ETCD_INITIAL_CLUSTER_STATE=existing\n"


def test_what_answers_after_a_start_of_an_api_server_is_the_new_one(node: Guest) -> None:
    (node.root / "etc/kubernetes/.vdc").mkdir(parents=True)
    node.run(guest.start_script({Component.API_SERVER: "one"}))
    assert node.calls() == ["stop kube-apiserver", "start --no-block kube-apiserver"]


def test_what_was_stopped_is_started_again_with_the_same_files(node: Guest) -> None:
    (node.root / "etc/kubernetes/.vdc").mkdir(parents=True)
    node.run(guest.start_script({Component.SCHEDULER: "one"}))
    node.run(guest.stop_script([Component.SCHEDULER]))
    assert node.calls() == ["stop kube-scheduler"]
    node.run(guest.start_script({Component.SCHEDULER: "one"}))
    assert node.calls() == ["stop kube-scheduler", "start --no-block kube-scheduler"]


def test_what_is_being_taken_back_looks_whole_no_longer_and_data_that_stays_is_told() -> None:
    lines = guest.teardown_script((Component.KUBELET, Component.ETCD), ["/etc/kubernetes/a.key"]).splitlines()
    assert lines[:2] == ["rm -rf /etc/kubernetes/.vdc", "sync"]
    assert lines[-1].startswith("[ ! -e /data/etcd/member ] || { echo ")
    assert lines[-1].endswith("exit 1; }")
