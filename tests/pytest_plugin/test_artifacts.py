"""What explains a failure of a Kubernetes, besides journals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vdc.model.expand import expand
from vdc.model.load import load
from vdc.observe.pods import web_on_every_node
from vdc.pytest_plugin import artifacts
from vdc.testing import FakeDataCenter, FakeKubernetes

from .fakes import KUBERNETES


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    dc = FakeDataCenter(expand(load(KUBERNETES)), tmp_path)
    dc.recorder.start()
    return dc


def test_the_objects_of_a_kubernetes_are_gathered(
    dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = FakeKubernetes(dc)
    web_on_every_node(cluster)
    cluster.apply({"kind": "Service", "metadata": {"name": "web", "managedFields": ["long"]}, "spec": {}})
    monkeypatch.setattr(artifacts, "deployed", lambda _: iter([cluster]))
    artifacts.collect(dc, tmp_path / "artifacts")
    (line,) = (tmp_path / "artifacts" / "kubernetes.jsonl").read_text().splitlines()
    service = json.loads(line)
    assert (service["kind"], service["metadata"]["name"]) == ("Service", "web")
    assert "managedFields" not in service["metadata"]


def test_a_kubernetes_that_is_not_there_is_told(dc: FakeDataCenter, tmp_path: Path) -> None:
    index = artifacts.collect(dc, tmp_path / "artifacts")
    assert "kubernetes.jsonl: not gathered: no Kubernetes is deployed" in index
