from __future__ import annotations

from dataclasses import replace

import pytest

from vdc.cli.doctor import Finding, judge
from vdc.cli.render import findings_text
from vdc.host.ledger import Ledger, Pool, Share
from vdc.host.preflight import GIB, PACKAGES, HostFacts

from .conftest import Vdc

ABLE = HostFacts(
    tools=frozenset(PACKAGES),
    features=frozenset({"bridge", "veth", "tun"}),
    ledger=Ledger(
        memory=Pool(what="memory", free=8 * GIB, shares={"small": Share(promised=2 * GIB, taken=GIB)}),
        vcpus=Pool(what="CPU", free=8, unit=(1, " vCPUs"), shares={"small": Share(promised=3, taken=0)}),
        disk=Pool(what="disk for data centres", free=50 * GIB),
    ),
    cache_free=40 * GIB,
    namespaces=frozenset(),
    owned=frozenset(),
    images=frozenset({"debian-12"}),
)


def judged(facts: HostFacts, *, root: bool = True) -> dict[str, Finding]:
    return {finding.what: finding for finding in judge(facts, root=root)}


def test_an_able_host_has_no_fault() -> None:
    found = judged(ABLE)
    assert [finding for finding in found.values() if finding.ok is False] == []
    assert found["memory"].detail == "7168 of 9216 MiB are left; small has 2048 MiB"
    assert found["CPU"].detail == "5 of 8 vCPUs are left; small has 3 vCPUs"
    assert found["disk"].detail == "for data centres, 51200 of 51200 MiB are left"
    assert found["cache"].detail == "for images and checkpoints, 40960 MiB are free"
    assert found["images"].detail == "debian-12"


def test_missing_packages_are_told_as_the_command_that_installs_them() -> None:
    found = judged(replace(ABLE, tools=ABLE.tools - {"bird", "birdc", "qemu-img"}))["packages"]
    assert found.ok is False
    assert found.detail == "apt-get install --no-install-recommends bird2 qemu-utils"


def test_a_missing_ssh_is_told_and_is_no_fault() -> None:
    found = judged(replace(ABLE, tools=ABLE.tools - {"ssh"}))["packages"]
    assert found.ok is None
    assert found.detail == "apt-get install --no-install-recommends openssh-client: only for `vdc ssh`"


@pytest.mark.parametrize(("root", "ok"), [(True, False), (False, None)])
def test_a_kernel_is_blamed_only_if_it_was_asked(root: bool, ok: bool | None) -> None:
    assert judged(replace(ABLE, features=frozenset({"tun"})), root=root)["kernel"].ok is ok


def test_findings_are_shown_in_columns() -> None:
    findings = [Finding(what="a", ok=True, detail="x"), Finding(what="long", ok=False, detail="y")]
    assert findings_text(findings) == "    what  detail\nok  a     x\nNO  long  y"


def test_doctor_without_root_says_so_and_touches_nothing(vdc: Vdc) -> None:
    said = vdc("doctor")
    assert said.status == 3
    assert "not root: use sudo" in said.out
    assert "not probed yet" in said.out
