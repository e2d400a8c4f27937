"""What a server told is read as it was meant, and compared with what it told before."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.errors import DamagedError
from vdc.observe.verdict import Kind
from vdc.shell import run
from vdc.upgrade.compare import Difference, as_it_should_be, differences, readable, unexplained
from vdc.upgrade.looking import SCRIPT, Process, parse
from vdc.upgrade.path import Allowed
from vdc.upgrade.running import digests, nothing_old

GOLDEN = Path(__file__).parents[1] / "golden" / "upgrade"

OLD = """\
=== sysctl
kernel.pty.nr = 3
net.ipv4.ip_forward = 0
net.ipv4.tcp_rmem = 4096\t131072\t4430464
=== firewall
table inet filter {
	chain input {
		drop
		accept
	}

	chain output {
		accept
	}
}
=== route
default proto bird metric 32 \n\tnexthop via 10.2.0.2 dev eth1 weight 1 linkdown
\tnexthop via 10.2.0.1 dev eth0 weight 1
local 10.64.0.1 dev node0 table local proto kernel scope host src 10.64.0.1
fe80::/64 dev eth0 proto kernel metric 256 pref medium
=== unit
bird.service enabled enabled
getty@.service disabled enabled
nginx.service masked enabled
=== state
bird.service loaded active running BIRD
dev-vda.device loaded active plugged /dev/vda
=== mark
1 /usr/lib/systemd/systemd|
77 /usr/bin/etcd (deleted)|/usr/lib/libc.so.6
99 /usr/bin/gone|
=== digest
aaaa  1/exe
bbbb  77/exe
=== end
"""

NEW = OLD.replace("ip_forward = 0", "ip_forward = 1").replace("active running", "failed failed").replace("eth1", "eth2")


def test_a_look_is_read() -> None:
    look = parse(OLD)
    assert look.things == {
        "sysctl": {"net.ipv4.ip_forward": "0", "net.ipv4.tcp_rmem": "4096 131072 4430464"},
        "firewall": {
            "table inet filter": "there",
            "table inet filter chain input": "there",
            "table inet filter chain input 1": "drop",
            "table inet filter chain input 2": "accept",
            "table inet filter chain output": "there",
            "table inet filter chain output 1": "accept",
        },
        "route": {
            "unicast default table main": (
                "proto bird nexthop via 10.2.0.1 dev eth0 weight 1 nexthop via 10.2.0.2 dev eth1 weight 1"
            ),
            "local 10.64.0.1 table local node0": "dev node0 table local proto kernel scope host src 10.64.0.1",
            "unicast fe80::/64 table main eth0": "dev eth0 proto kernel pref medium",
        },
        "unit": {"bird.service": "enabled, active", "nginx.service": "masked, inactive"},
    }
    assert look.processes == (
        Process(pid=1, executable="/usr/lib/systemd/systemd", digest="aaaa"),
        Process(pid=77, executable="/usr/bin/etcd", digest="bbbb", deleted=True, libraries=("/usr/lib/libc.so.6",)),
    )


def test_a_look_that_was_cut_off_is_none() -> None:
    with pytest.raises(ValueError, match="it told no more than sysctl, firewall"):
        parse(OLD.partition("=== route")[0])


def test_the_order_of_rules_matters() -> None:
    turned = OLD.replace("\t\tdrop\n\t\taccept\n", "\t\taccept\n\t\tdrop\n")
    assert turned != OLD
    assert [each.kind for each in differences("a", "", parse(OLD).things, parse(turned).things)] == ["firewall"] * 2


SERVICES = """\
table ip nat {
\tchain KUBE-SERVICES {
\t\tip daddr 10.96.0.1 jump KUBE-SVC-A
\t\tip daddr 10.96.0.2 jump KUBE-SVC-B
\t}

\tchain KUBE-SVC-A {
\t\tmeta random & 2147483647 < 1073741824 counter jump KUBE-SEP-A1
\t\tcounter jump KUBE-SEP-A2
\t}
}
"""
TURNED = """\
table ip nat {
\tchain KUBE-SVC-A {
\t\tmeta random & 2147483647 < 1073741824 counter jump KUBE-SEP-A2
\t\tcounter jump KUBE-SEP-A1
\t}

\tchain KUBE-SERVICES {
\t\tip daddr 10.96.0.2 jump KUBE-SVC-B
\t\tip daddr 10.96.0.1 jump KUBE-SVC-A
\t}
}
"""


def firewall(rules: str) -> Mapping[str, Mapping[str, str]]:
    return parse(OLD.replace("=== firewall\n", f"=== firewall\n{rules}")).things


def test_the_order_in_which_kube_proxy_wrote_services_does_not_matter() -> None:
    assert differences("a", "", firewall(SERVICES), firewall(TURNED)) == ()


@pytest.mark.parametrize("gone", ["ip daddr 10.96.0.2 jump KUBE-SVC-B", "counter jump KUBE-SEP-A2"])
def test_a_service_or_a_pod_behind_it_that_is_missing_is_found(gone: str) -> None:
    less = SERVICES.replace(f"\t\t{gone}\n", "")
    assert less != SERVICES
    (found,) = differences("a", "", firewall(SERVICES), firewall(less))
    assert found.name.endswith(gone)


@pytest.mark.parametrize("kind", ["sysctl", "route"])
def test_a_command_that_tells_nothing_is_no_look(kind: str) -> None:
    head, _, rest = OLD.partition(f"=== {kind}\n")
    with pytest.raises(ValueError, match=f"it told of no {kind}"):
        parse(f"{head}=== {kind}\n=== {rest.partition('=== ')[2]}")


def test_this_host_can_be_looked_at() -> None:
    told = run(["sh", "-s"], timeout=60, stdin=SCRIPT).stdout
    head, _, rest = OLD.partition("=== mark\n")  # there may be no systemd here, and no sysctl
    look = parse(f"{head}=== mark\n{told.partition('=== mark')[2].lstrip()}")
    assert rest
    digests_of: dict[str, set[str]] = {}
    for process in look.processes:
        digests_of.setdefault(process.executable, set()).add(process.digest)
    (ours,) = [found for name, found in digests_of.items() if name == os.path.realpath(sys.executable)]
    assert ours == {hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest()}


def test_of_processes_that_execute_one_file_one_is_read() -> None:
    told = OLD.replace(
        "=== digest\naaaa  1/exe\nbbbb  77/exe\n",
        "=== same\n8:1 1/exe\n8:2 77/exe\n8:1 80/exe\n=== digest\naaaa  1/exe\nbbbb  77/exe\n",
    ).replace("=== mark\n", "=== mark\n80 /usr/lib/systemd/systemd|\n")
    assert {each.pid: each.digest for each in parse(told).processes} == {1: "aaaa", 77: "bbbb", 80: "aaaa"}


def test_differences_are_told_as_a_diff(golden: Golden) -> None:
    found = [each for name in ("a", "b") for each in compared(name)]
    golden(GOLDEN / "differences.txt", f"{readable(found)}\n")


def test_what_the_allow_list_names_is_no_mistake() -> None:
    allowed = [
        Allowed(kind="sysctl", pattern="net.ipv4.*", reason="r"),
        Allowed(kind="route", pattern="*", reason="r"),
        Allowed(kind="unit", pattern="bird.service", reason="r"),
    ]
    found = stopped()
    assert unexplained(found, allowed) == ()
    assert as_it_should_be(found, allowed, looked=9).kind is Kind.VALID
    assert [each.name for each in unexplained(found, allowed[1:])] == ["net.ipv4.ip_forward"]
    assert as_it_should_be(found, allowed[1:], looked=9).kind is Kind.INVALID
    assert as_it_should_be((), allowed, looked=0).kind is Kind.UNKNOWN


def test_what_may_be_unlike_before_may_not_be_unlike_a_fresh_install() -> None:
    found = stopped(fresh=True)
    everything = [Allowed(kind=kind, pattern="*", reason="r") for kind in ("sysctl", "route", "unit", "firewall")]
    assert unexplained(found, everything) == found != ()
    assert unexplained(found, [Allowed(kind=e.kind, pattern="*", reason="r", fresh=True) for e in everything]) == ()


def test_what_may_be_unlike_a_fresh_install_alone_may_not_be_unlike_before() -> None:
    allowed = [
        Allowed(kind=kind, pattern="*", reason="r", before=False, fresh=True)
        for kind in ("sysctl", "route", "unit", "firewall")
    ]
    assert unexplained(stopped(fresh=True), allowed) == ()
    assert unexplained(stopped(), allowed) == stopped() != ()


def test_that_a_unit_failed_is_explained_by_nothing() -> None:
    allowed = [Allowed(kind="unit", pattern="systemd-*", reason="r", fresh=True)]
    name = "systemd-networkd.service"

    def found(then: str, now: str) -> tuple[Difference, ...]:
        return differences("a", "before → after", {"unit": {name: then}}, {"unit": {name: now}})

    broke = found("enabled, active", "enabled, failed")
    assert unexplained(broke, allowed) == broke != ()
    assert as_it_should_be(broke, allowed, looked=9).kind is Kind.INVALID
    came = differences("a", "before → after", {"unit": {}}, {"unit": {name: "static, failed"}})
    assert unexplained(came, allowed) == came != ()
    assert unexplained(found("enabled, active", "static, inactive"), allowed) == ()
    assert unexplained(found("enabled, failed", "static, failed"), allowed) == ()


def stopped(*, fresh: bool = False) -> tuple[Difference, ...]:
    """What differs where BIRD was stopped, and did not fail."""
    new = NEW.replace("failed failed", "inactive dead")
    assert new != NEW
    return differences("a", "then → after", parse(OLD).things, parse(new).things, fresh=fresh)


def compared(server: str) -> tuple[Difference, ...]:
    return differences(server, "before → after", parse(OLD).things, parse(NEW).things)


ETCD = Process(pid=7, executable="/usr/bin/etcd", digest="new")


@pytest.mark.parametrize(
    ("process", "why"),
    [
        (Process(pid=7, executable="/usr/bin/etcd", digest="old"), "its SHA-256 is old…, not new…"),
        (
            Process(pid=7, executable="/usr/bin/etcd", digest="new", deleted=True),
            "was replaced, and it was not restarted",
        ),
        (Process(pid=7, executable="/usr/bin/etcd", digest="new", libraries=("/lib/x.so",)), "replaced: /lib/x.so"),
        (Process(pid=7, executable="/opt/etcd", digest="new"), "the release has no such file"),
    ],
    ids=["other bytes", "deleted", "old library", "stranger"],
)
def test_a_process_that_is_not_of_the_release_is_found(process: Process, why: str) -> None:
    verdict = nothing_old({"a": [ETCD], "b": [process]}, {"/usr/bin/etcd": "new"}, release="r")
    assert verdict.kind is Kind.INVALID
    assert f"b: process 7 {process.executable}" in verdict.message
    assert why in verdict.message


def test_processes_of_the_release_are_as_they_should_be() -> None:
    assert nothing_old({"a": [ETCD]}, {"/usr/bin/etcd": "new"}, release="r").kind is Kind.VALID


def test_what_a_process_executes_and_nobody_can_read_is_not_known() -> None:
    verdict = nothing_old({"a": [ETCD, replace(ETCD, pid=9, digest="")]}, {"/usr/bin/etcd": "new"}, release="r")
    assert verdict.kind is Kind.UNKNOWN
    assert "a: process 9 /usr/bin/etcd" in verdict.message


def test_a_process_is_left_out_where_it_ended_meanwhile_and_told_where_it_lives_on() -> None:
    told = OLD.replace("=== end", "=== alive\n8 /usr/bin/shy\n=== end").replace(
        "=== mark\n", "=== mark\n8 /usr/bin/shy|\n9 /usr/bin/brief|\n"
    )
    found = {process.pid: process.digest for process in parse(told).processes}
    assert found[8] == ""
    assert 9 not in found


@pytest.mark.parametrize("processes", [{}, {"a": []}, {"a": [ETCD], "b": []}], ids=["nobody", "silent", "one silent"])
def test_nothing_is_known_of_those_that_say_nothing(processes: dict[str, list[Process]]) -> None:
    assert nothing_old(processes, {"/usr/bin/etcd": "new"}, release="r").kind is Kind.UNKNOWN


def test_files_of_a_disk_are_digested_without_a_guest(tmp_path: Path) -> None:
    root, disk = tmp_path / "root", tmp_path / "disk"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "etcd").write_bytes(b"etcd")
    run(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(disk), "8M"], timeout=60)
    expected = {"/usr/bin/etcd": hashlib.sha256(b"etcd").hexdigest()}
    assert digests(disk, ["/usr/bin/etcd", "/usr/bin/none"]) == expected
    assert digests(disk, []) == {}
    with pytest.raises(DamagedError, match="gone is not there"):
        digests(tmp_path / "gone", ["/usr/bin/etcd"])
