"""Leftovers: told by name, but never those of a fault that somebody holds."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from vdc.errors import DirtyError
from vdc.faults import Fault, LinkCut, LinkDisturbed, injected, partition
from vdc.faults.catalogue import to_record
from vdc.faults.lease import FOLDER
from vdc.faults.leftovers import expect_nothing_left, leftovers
from vdc.model.disturbance import Disturbance
from vdc.testing import FakeDataCenter

MakeDataCenter = Callable[..., FakeDataCenter]
SLOW = LinkDisturbed("spine0", "rack0-tor0", outgoing=Disturbance(delay=0.1))


def write_lease(dc: FakeDataCenter, fault: Fault, name: str = "0123") -> Path:
    file = dc.run_directory / FOLDER / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"name": fault.name, "fault": to_record(fault), "holder": 1, "path": []}))
    return file


def test_nothing_is_left_where_faults_are_healed(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    for fault in (SLOW, partition(dc.topology, "halves", "racks", Random(1)), LinkCut("spine0", "rack0-tor0")):
        with injected(dc, fault):
            pass
    expect_nothing_left(dc)
    assert dc.dirty() is None


@pytest.mark.parametrize("name", ["disturbed", "parted"])
def test_what_nobody_undoes_is_told_and_marks_the_data_centre(make_dc: MakeDataCenter, name: str) -> None:
    dc = make_dc()
    fault = SLOW if name == "disturbed" else partition(dc.topology, "halves", "racks", Random(1))
    fault.inject(dc)
    told = "spine0 rack0-tor0: disturbed" if name == "disturbed" else "rack0-tor0: loses packets"
    with pytest.raises(DirtyError, match=f"faults have left on small: .*{told}"):
        expect_nothing_left(dc)
    assert told in (dc.dirty() or "")


def test_a_lease_that_nobody_holds_is_left(make_dc: MakeDataCenter) -> None:
    dc = make_dc()
    write_lease(dc, SLOW)
    assert leftovers(dc) == (f"{SLOW.name}, which nobody holds any more",)


def test_what_belongs_to_a_lease_that_somebody_holds_is_his(
    make_dc: MakeDataCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    dc = make_dc()
    file = write_lease(dc, SLOW)
    seen = (f"spine0: table vdc-fault-{SLOW.key}h", f"process 7: keeper {file}", "spine1: table vdc-fault-other")
    monkeypatch.setattr(FakeDataCenter, "leftovers", lambda _: seen)
    handle = os.open(file, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert leftovers(dc) == ("spine1: table vdc-fault-other",)
    finally:
        os.close(handle)
    assert set(leftovers(dc)) == {*seen, f"{SLOW.name}, which nobody holds any more"}
