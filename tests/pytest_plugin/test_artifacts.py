"""What explains a failure of a Kubernetes, besides journals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Manifest
from vdc.errors import ClusterError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.pytest_plugin import artifacts
from vdc.testing import FakeDataCenter, FakeKubernetes

from .fakes import KUBERNETES

_SERVICE = {"kind": "Service", "metadata": {"name": "web", "managedFields": ["long"]}, "spec": {}}


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    dc = FakeDataCenter(expand(load(KUBERNETES)), tmp_path)
    dc.recorder.start()
    return dc


def test_the_objects_of_a_kubernetes_are_gathered(
    dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = FakeKubernetes(dc)
    cluster.apply(_SERVICE)
    monkeypatch.setattr(artifacts, "deployed", lambda _: iter([cluster]))
    artifacts.collect(dc, tmp_path / "artifacts")
    (line,) = (tmp_path / "artifacts" / "kubernetes-service.jsonl").read_text().splitlines()
    service = json.loads(line)
    assert (service["kind"], service["metadata"]["name"]) == ("Service", "web")
    assert "managedFields" not in service["metadata"]


def test_a_kubernetes_that_is_not_there_is_told(dc: FakeDataCenter, tmp_path: Path) -> None:
    index = artifacts.collect(dc, tmp_path / "artifacts")
    for kind in ("node", "pod", "service", "endpoints", "event"):
        assert f"kubernetes-{kind}.jsonl: not gathered: no Kubernetes is deployed" in index


@pytest.mark.parametrize(
    ("error", "said"),
    [(ClusterError("no answer in 20 s"), "no answer in 20 s"), (KeyError("items"), "KeyError('items')")],
)
def test_what_gives_no_answer_does_not_keep_the_rest_from_being_gathered(
    dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    cluster = FakeKubernetes(dc)
    cluster.apply(_SERVICE)
    monkeypatch.setattr(artifacts, "deployed", lambda _: iter([cluster]))
    listed = cluster.list

    def listing(kind: str) -> tuple[Manifest, ...]:
        if kind == "Node":
            raise error
        return listed(kind)

    monkeypatch.setattr(cluster, "list", listing)
    index = artifacts.collect(dc, tmp_path / "artifacts")
    assert f"kubernetes-node.jsonl: not gathered: {said}" in index
    assert re.search(r"kubernetes-service\.jsonl: \d+ bytes", index)
    assert re.search(r"journal-rack0-cp0\.txt: \d+ bytes", index)
