"""The bundle of a failure: what is in it, what is not, and what must never be."""

from __future__ import annotations

import base64
import json
import re
import tarfile
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Manifest
from vdc.errors import ClusterError
from vdc.evidence import Bundle, gather, sources
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.testing import FakeDataCenter, FakeKubernetes

TOPOLOGY = Path(__file__).parents[2] / "topologies" / "k8s-small.yml"
PLANTED = "correct horse battery staple"
KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPlantedPlanted\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def dc(tmp_path: Path) -> FakeDataCenter:
    dc = FakeDataCenter(expand(load(TOPOLOGY)), tmp_path / "run")
    dc.run_directory.mkdir()
    dc.recorder.start()
    return dc


@pytest.fixture
def cluster(dc: FakeDataCenter, monkeypatch: pytest.MonkeyPatch) -> FakeKubernetes:
    cluster = FakeKubernetes(dc)
    monkeypatch.setattr(sources, "deployed", lambda _: iter([cluster]))
    return cluster


def _files(bundle: Bundle) -> dict[str, str]:
    with tarfile.open(bundle.path) as file:
        return {each.name.partition("/")[2]: file.extractfile(each).read().decode() for each in file}  # type: ignore[union-attr]


def test_it_has_what_the_host_keeps_and_what_devices_say(dc: FakeDataCenter, tmp_path: Path) -> None:
    (dc.run_directory / "consoles").mkdir()
    (dc.run_directory / "consoles" / "rack0-cp0.log").write_text("Kernel panic")
    (dc.run_directory / "plan.json").write_text("{}")
    (dc.run_directory / "disks").mkdir()
    (dc.run_directory / "disks" / "root.qcow2").write_text("a disk")
    dc.servers["rack1-cs0"].power_off()
    bundle = gather(dc, tmp_path / "out" / "it.tar.gz", facts={"test": "test_it", "seed": "7"})
    files = _files(bundle)
    assert files["consoles/rack0-cp0.log"] == "Kernel panic"
    assert files["plan.json"] == "{}"
    assert json.loads(files["facts.json"]) == {"test": "test_it", "seed": "7"}
    assert "clock" in files["history.jsonl"]
    assert "cpu" in files["host.txt"]
    for name in ("bird", "routes", "nft", "qdiscs"):
        assert {f"{name}/spine0.txt", f"{name}/rack0-cp0.txt"} <= files.keys()
    assert {"journals/rack0-cp0.txt", "system/rack0-cp0.txt", f"routes/{next(iter(dc.externals))}.txt"} <= files.keys()
    assert not [name for name in files if "root.qcow2" in name or "rack1-cs0" in name]
    assert "# birdc -s " in files["bird/spine0.txt"]
    assert files["index.txt"] == bundle.index
    assert "\n*/rack1-cs0.txt: not gathered: rack1-cs0 is off\n" in bundle.index
    assert "\nseed: 7\n" in bundle.index
    told = str(bundle).splitlines()
    assert told[0].startswith(f"{bundle.path} (")
    assert "*/rack1-cs0.txt: not gathered: rack1-cs0 is off" in told[1:]
    assert not [line for line in told[1:] if "not gathered" not in line]
    assert "\nconsoles/rack0-cp0.log: 12 bytes\n" in bundle.index


def test_it_has_the_objects_and_events_of_the_cluster(
    dc: FakeDataCenter, cluster: FakeKubernetes, tmp_path: Path
) -> None:
    cluster.apply({"kind": "Event", "metadata": {"name": "e", "managedFields": ["long"]}, "reason": "BackOff"})
    files = _files(gather(dc, tmp_path / "it.tar.gz"))
    assert json.loads(files["cluster/event.jsonl"])["reason"] == "BackOff"
    assert "managedFields" not in files["cluster/event.jsonl"]
    assert len(files["cluster/node.jsonl"].splitlines()) == len(cluster.node_names)
    assert json.loads(files["cluster/state.jsonl"].splitlines()[0])["server"] == cluster.members[0]


def test_a_planted_secret_is_nowhere_in_it(dc: FakeDataCenter, cluster: FakeKubernetes, tmp_path: Path) -> None:
    run = dc.run_directory
    (run / "secrets").mkdir()
    (run / "secrets" / "id_ed25519").write_text(KEY)
    (run / "secrets" / "id_ed25519.pub").write_text("ssh-ed25519 everybody may know\n")
    (run / "consoles").mkdir()
    encoded = base64.b64encode(PLANTED.encode()).decode()
    (run / "consoles" / "rack0-cp0.log").write_text(f"it was {PLANTED}, {encoded}, {KEY} and everybody may know\n")
    (run / "plan.json").write_text(json.dumps({"files": {"/etc/key": KEY}}))
    dc.recorder.record("note", "app", text=f"MC4CAQAwBQYDK2VwBCIEIPlantedPlanted {PLANTED}")
    cluster.apply({"kind": "Secret", "metadata": {"name": "web"}, "data": {"password": encoded}})
    bundle = gather(dc, tmp_path / "it.tar.gz", facts={"message": f"AssertionError: {PLANTED}"})
    files = _files(bundle)
    everything = "\n".join(files.values())
    for secret in (PLANTED, encoded, "PlantedPlanted", "PRIVATE KEY"):
        assert secret not in everything
    assert "everybody may know" in files["consoles/rack0-cp0.log"]
    assert "secrets/" not in bundle.index
    assert '"password": "[redacted]"' in files["cluster/secret.jsonl"]
    assert re.search(r"consoles/rack0-cp0\.log: \d+ bytes, 4 secrets taken out\n", bundle.index)


def test_a_cluster_that_is_not_there_is_told(dc: FakeDataCenter, tmp_path: Path) -> None:
    index = gather(dc, tmp_path / "it.tar.gz").index
    assert "cluster/state.jsonl: not gathered: no cluster is deployed" in index
    for kind in ("node", "pod", "service", "endpoints", "event", "secret"):
        assert f"cluster/{kind}.jsonl: not gathered: no Kubernetes is deployed" in index


@pytest.mark.parametrize(
    ("error", "said"),
    [(ClusterError("no answer in 20 s"), "no answer in 20 s"), (KeyError("items"), "KeyError('items')")],
)
def test_what_gives_no_answer_does_not_keep_the_rest_from_being_gathered(
    dc: FakeDataCenter,
    cluster: FakeKubernetes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    said: str,
) -> None:
    listed = cluster.list

    def listing(kind: str) -> tuple[Manifest, ...]:
        if kind in {"Node", "Secret"}:
            raise error
        return listed(kind)

    monkeypatch.setattr(cluster, "list", listing)
    bundle = gather(dc, tmp_path / "it.tar.gz")
    assert f"cluster/node.jsonl: not gathered: {said}" in bundle.index
    assert {"cluster/service.jsonl", "journals/rack0-cp0.txt"} <= _files(bundle).keys()


def test_it_is_not_larger_than_it_may_be_and_says_what_was_cut(dc: FakeDataCenter, tmp_path: Path) -> None:
    (dc.run_directory / "consoles").mkdir()
    noise = "".join(f"{number * 7919 % 104729:x}\n" for number in range(300_000))
    (dc.run_directory / "consoles" / "rack0-cp0.log").write_text(noise)
    bundle = gather(dc, tmp_path / "it.tar.gz", limit=500_000)
    assert bundle.path.stat().st_size <= 500_000
    assert noise.endswith(_files(bundle)["consoles/rack0-cp0.log"])
    assert "consoles/rack0-cp0.log: " in bundle.index
    assert ", only its last " in bundle.index
