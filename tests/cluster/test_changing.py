"""Two who would change one cluster at a time."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from vdc.cluster.changing import changing
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError


def test_the_second_one_is_told_who_is_first_and_may_when_that_one_is_done(tmp_path: Path) -> None:
    dc = cast(DataCenter, SimpleNamespace(name="mine", run_directory=tmp_path))
    with changing(dc, "vdc rotate mine"):
        with pytest.raises(ClusterError) as refused, changing(dc, "vdc deploy mine"):
            pass
        said = f"the cluster of mine is being changed by `vdc rotate mine`, process {os.getpid()}"
        assert (refused.value.message, refused.value.hint) == (said, "wait until that is done, or end it")
    with changing(dc, "vdc deploy mine"):
        pass
    assert not (tmp_path / "cluster.lock").read_text()
