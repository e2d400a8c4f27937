"""Files that are being brought are seen from beside, and a torn one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.testing import FakeDataCenter, FakeUpgrades, Lie
from vdc.upgrade import bringing
from vdc.upgrade.bringing import expect_whole
from vdc.upgrade.delivery import install_script
from vdc.upgrade.paths import path

SMALL = Path(__file__).parents[2] / "topologies/small.yml"


def test_the_list_that_tells_of_it_is_that_of_the_script() -> None:
    script = install_script("debian-12-etcd-3.5", ())
    assert f">>{bringing._LIST}" in script
    assert f"rm {bringing._LIST}\n" in script


def test_a_program_that_is_neither_the_old_one_nor_the_new_one_is_named(tmp_path: Path) -> None:
    dc = FakeDataCenter(expand(load(SMALL)), tmp_path, lies=[Lie.FILES_TORN])
    row, has = path("etcd-3.5"), FakeUpgrades(dc)
    expect_whole(dc, row, "rack0-cs0", has, of=[row.origin])
    dc.world.installed.break_off("rack0-cs0", "")
    with pytest.raises(AssertionError, match="rack0-cs0: /usr/bin/etcd is not what debian-12 has"):
        expect_whole(dc, row, "rack0-cs0", has, of=[row.origin])
