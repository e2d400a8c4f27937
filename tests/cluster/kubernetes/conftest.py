from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.kubernetes import examples
from tests.cluster.kubernetes.live import Bench, InTurn, Reached
from vdc.cluster.kubernetes import installing
from vdc.cluster.kubernetes.access import Access


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Bench]:
    monkeypatch.setattr(Access, "of", lambda dc, *, name: Reached(dc.bench, name=name))
    monkeypatch.setattr("vdc.cluster.kubernetes.cluster.serving.expect_serving", lambda *_: None)
    monkeypatch.setattr(installing, "ThreadPoolExecutor", InTurn)
    return lambda file: Bench(examples.cluster(file).topology, tmp_path / "run")


@pytest.fixture
def small(bench: Callable[[str], Bench]) -> Bench:
    return bench("k8s-small.yml")


@pytest.fixture
def large(bench: Callable[[str], Bench]) -> Bench:
    return bench("k8s.yml")
