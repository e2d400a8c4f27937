"""The ways to a cluster are made once, whoever asks first."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from vdc.cluster.kubernetes.access import Access
from vdc.cluster.kubernetes.pki import Pki
from vdc.cluster.kubernetes.spec import Node

TOGETHER = 4


def test_all_threads_get_the_same_way_to_an_api_server(tmp_path: Path) -> None:
    access = Access(pki=Pki(tmp_path, name="k"), folder=tmp_path, netns=None, timeout=1.0)
    nodes = [cast(Node, SimpleNamespace(address="127.0.0.1"))]
    barrier = threading.Barrier(TOGETHER)

    def ask(_: int) -> object:
        barrier.wait()
        return access.api(nodes)

    with ThreadPoolExecutor(TOGETHER) as pool:
        ways = set(pool.map(ask, range(TOGETHER)))
    assert len(ways) == 1
    ((forward, _api),) = access._forwards.values()
    forward.close()
