"""A data centre in miniature, on loopback addresses of this test process alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from vdc.cluster.etcd import EtcdCluster, EtcdDeployer
from vdc.datacenter.api import DataCenter
from vdc.testing.loopback import LoopbackDataCenter


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[LoopbackDataCenter]:
    process = os.getpid()
    dc = LoopbackDataCenter(run_directory=tmp_path, subnet=(1 + process // 250 % 250, process % 250))
    yield dc
    dc.stop()


@pytest.fixture
def cluster(lab: LoopbackDataCenter) -> EtcdCluster:
    return EtcdDeployer().deploy(cast(DataCenter, lab))
