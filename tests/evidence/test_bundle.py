"""The bundle of a failure: what is in it, what is not, and what must never be."""

from __future__ import annotations

import base64
import json
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from vdc.cluster.kubernetes.api import Manifest
from vdc.errors import ClusterError, WaitTimeout
from vdc.evidence import Bundle, gather, sources
from vdc.evidence.known import redacted
from vdc.history import Event
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.shell import Completed
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
    assert files["plan.json"] == "{}\n"
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


def test_one_question_without_an_answer_costs_no_other(dc: FakeDataCenter, tmp_path: Path) -> None:
    def birdc(name: str, argv: tuple[str, ...]) -> Completed:
        if name == "spine0" and "bfd" not in argv:
            raise WaitTimeout("birdc", deadline=10.0, last="still running")
        return Completed(argv=argv, status=0, stdout="all is well\n", stderr="")

    dc.world.programs["birdc"] = birdc
    files = _files(gather(dc, tmp_path / "it.tar.gz"))
    asked = files["bird/spine0.txt"].split("# birdc")[1:]
    assert ["no answer: " in each for each in asked] == [True, False, True]
    assert "all is well" in asked[1]
    assert "routes/spine0.txt" in files


def test_what_came_of_a_guest_before_it_fell_silent_is_kept(
    dc: FakeDataCenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def run(argv: Sequence[str], *, stdin: str | None = None, **_: object) -> Completed:
        asked.append(stdin or "")
        if len(asked) > 1:
            raise WaitTimeout("sh", deadline=180.0, last="still running")
        return Completed(argv=tuple(argv), status=0, stdout="=====vdc journals\nit froze\n", stderr="")

    monkeypatch.setattr(dc.servers["rack0-cp0"], "run", run)
    bundle = gather(dc, tmp_path / "it.tar.gz")
    assert _files(bundle)["journals/rack0-cp0.txt"] == "it froze\n"
    assert "*/rack0-cp0.txt: the rest not gathered: " in bundle.index
    assert "the rest not gathered: " in str(bundle)
    commands = [line for script in asked for line in script.splitlines() if "; " in line]
    assert len(commands) > 10
    assert all("; timeout 10 " in line for line in commands), "a frozen daemon must not hold up the others"


def test_secrets_that_cannot_be_known_are_told(
    dc: FakeDataCenter, cluster: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dc.run_directory / "secrets").mkdir()
    for name in ("a", "b", "c"):
        (dc.run_directory / "secrets" / name).write_text(f"known as {name}")
    (dc.run_directory / "up.json").write_text("known as a, known as b, known as c")
    read = Path.read_text

    def unreadable(path: Path, *args: str, **options: str) -> str:
        if path.name == "b":
            raise OSError(5, "Input/output error", str(path))
        return read(path, *args, **options)

    def no_answer(kind: str) -> tuple[Manifest, ...]:
        raise ClusterError(f"no answer\nto {kind}")

    monkeypatch.setattr(Path, "read_text", unreadable)
    monkeypatch.setattr(cluster, "list", no_answer)
    bundle = gather(dc, tmp_path / "it.tar.gz")
    assert _files(bundle)["up.json"] == "[redacted], known as b, [redacted]"
    assert "known secrets incomplete: [Errno 5] Input/output error: " in bundle.index
    assert "\nknown secrets incomplete: Secrets of the cluster: no answer to Secret\n" in bundle.index
    assert str(bundle).count("known secrets incomplete: ") == 2


def test_the_plan_is_without_what_guests_are_configured_by(dc: FakeDataCenter, tmp_path: Path) -> None:
    seed = {"kind": "SeedDisk", "files": {"user-data": "chpasswd: root:hunter2"}}
    (dc.run_directory / "plan.json").write_text(json.dumps({"resources": [seed]}))
    plan = _files(gather(dc, tmp_path / "it.tar.gz"))["plan.json"]
    assert json.loads(plan) == {"resources": [{"kind": "SeedDisk", "files": {"user-data": "[redacted]"}}]}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("short\n", "short\n"),
        (f"{'x' * 200}\nafter\n", "after\n"),
        (f"{'x' * 70}\n{KEY}after\n", "after\n"),
        (f"{'x' * 200}\nit\n{KEY[:40]}\n", f"it\n{KEY[:40]}\n"),
    ],
)
def test_of_a_long_file_no_part_of_a_cut_key_is_left(tmp_path: Path, text: str, left: str) -> None:
    path = tmp_path / "it.log"
    path.write_text(text)
    assert sources._end_of(path, longest=80).decode() == left


def test_what_guests_said_goes_to_the_history_without_secrets(dc: FakeDataCenter, cluster: FakeKubernetes) -> None:
    cluster.apply(
        {"kind": "Secret", "metadata": {"name": "web"}, "data": {"it": base64.b64encode(PLANTED.encode()).decode()}}
    )
    said = [
        Event(time=1.0, kind="journal", source="a", data={"text": f"it was {PLANTED}", "who": "app", "priority": 3}),
        Event(time=2.0, kind="cluster", source="kubelet", data={"name": "Failed", "text": f"no {PLANTED}"}),
        Event(time=3.0, kind="console", source="a", data={"line": "app --password hunter2 began"}),
        Event(time=4.0, kind="note", source="a", data={"name": "nothing", "why": f"{PLANTED}: not found"}),
        Event(time=5.0, kind="session", source="tor0", data={"text": "Established"}),
    ]
    told = redacted(dc, said)
    assert [event.data.get("text", event.data.get("line", event.data.get("why"))) for event in told] == [
        "it was [redacted]",
        "no [redacted]",
        "app --password [redacted] began",
        "[redacted]: not found",
        "Established",
    ]
    assert [(event.time, event.kind, event.source) for event in told] == [
        (event.time, event.kind, event.source) for event in said
    ]
    assert told[0].data["priority"] == 3
