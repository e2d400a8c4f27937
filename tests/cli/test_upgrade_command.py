from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Golden
from vdc.model import releases
from vdc.settings import Settings
from vdc.upgrade.attempts import Tried
from vdc.upgrade.coverage import record

from .conftest import TOPOLOGIES, Vdc

GOLDEN = Path(__file__).parents[1] / "golden" / "upgrade"

_KUBERNETES = """\
name: {name}
os: debian-13
components:
  kernel: {{version: "6.12", debian: [linux-image-cloud-amd64]}}
  etcd: {{version: "{etcd}", debian: [etcd-server]}}
  containerd: {{version: "1.7", debian: [containerd]}}
  kubernetes:
    version: {kubernetes}
    files:
      kubelet: {{path: ./kubelet}}
"""


@pytest.fixture
def own_releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Releases of Kubernetes 1.30 to 1.33, the last of them with another etcd."""
    for minor in range(30, 34):
        name = f"mine-1.{minor}"
        etcd = "3.6" if minor == 33 else "3.5"
        (tmp_path / "kubelet").touch()
        (tmp_path / f"{name}.yml").write_text(_KUBERNETES.format(name=name, etcd=etcd, kubernetes=f"1.{minor}.4"))
    monkeypatch.setenv("VDC_RELEASES", str(tmp_path))
    releases.catalogue.cache_clear()
    yield tmp_path
    releases.catalogue.cache_clear()


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        ("os", ["debian-12", "debian-13", "--topology", str(TOPOLOGIES / "small.yml")]),
        ("os-anywhere", ["debian-12", "debian-13"]),
        ("kubernetes", ["kubernetes-1.34", "kubernetes-1.35", "--topology", str(TOPOLOGIES / "k8s.yml")]),
        ("drain", ["kubernetes-1.34", "kubernetes-1.35", "--path", "kubernetes-drain"]),
        ("routers", ["routers-bird-2.0", "routers-bird-2.17", "--topology", str(TOPOLOGIES / "fabric.yml")]),
        ("firmware", ["firmware-seabios-1.16", "firmware-ovmf-2022.11"]),
        ("operator", ["kubernetes-1.20", "kubernetes-1.20", "--path", "operator"]),
        ("no-row", ["debian-12-etcd-3.5", "debian-13"]),
    ],
)
def test_a_plan_tells_each_step_its_fact_and_the_point_of_no_return(
    vdc: Vdc, golden: Golden, case: str, arguments: list[str]
) -> None:
    said = vdc("upgrade", "plan", *arguments)
    assert said.status == 0, said.err
    golden(GOLDEN / f"plan-{case}", _without_trials(said.out))


@pytest.mark.parametrize(
    ("case", "arguments"),
    [
        ("back", ["debian-13", "debian-12"]),
        ("leap", ["kubernetes-1.20", "kubernetes-1.35"]),
        ("kinds", ["debian-12", "kubernetes-1.20"]),
        ("same", ["debian-13", "debian-13"]),
        ("besides", ["kubernetes-1.20", "kubernetes-1.20"]),
        ("firmware-of-routers", ["routers-bird-2.0", "firmware-ovmf-2022.11"]),
        ("unknown", ["debian-1", "debian-13"]),
        ("no-path", ["debian-12", "debian-13", "--path", "etcd-3.5"]),
    ],
)
def test_what_cannot_be_is_refused_with_the_rule(vdc: Vdc, golden: Golden, case: str, arguments: list[str]) -> None:
    said = vdc("upgrade", "plan", *arguments)
    assert (said.status, said.out) == (2, "")
    golden(GOLDEN / f"refused-{case}", said.err)


@pytest.mark.usefixtures("own_releases")
def test_a_leap_is_refused_with_the_way_round_and_planned_on_demand(vdc: Vdc, golden: Golden) -> None:
    refused = vdc("upgrade", "plan", "mine-1.30", "mine-1.33")
    assert (refused.status, refused.out) == (2, "")
    golden(GOLDEN / "refused-route", refused.err)
    said = vdc("upgrade", "plan", "mine-1.30", "mine-1.33", "--route")
    assert said.status == 0, said.err
    golden(GOLDEN / "plan-route", said.out)


def test_a_release_may_be_a_file(vdc: Vdc, own_releases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VDC_RELEASES")
    releases.catalogue.cache_clear()
    files = [str(own_releases / f"mine-1.{minor}.yml") for minor in (30, 31)]
    said = vdc("upgrade", "plan", *files)
    assert said.status == 0, said.err
    assert said.out.startswith("mine-1.30 → mine-1.31, by in-place: ")


def test_a_plan_as_data(vdc: Vdc) -> None:
    topology = str(TOPOLOGIES / "k8s.yml")
    said = vdc("upgrade", "plan", "kubernetes-1.34", "kubernetes-1.35", "--topology", topology, "--json")
    (plan,) = json.loads(said.out)
    assert (plan["from"], plan["to"], plan["path"]) == ("kubernetes-1.34", "kubernetes-1.35", "kubernetes-in-place")
    assert [len(step["nodes"]) for step in plan["steps"]] == [3, 3, 5]
    assert plan["changes"] == [{"component": "kubernetes", "from": "1.34.7", "to": "1.35.0"}]
    assert (len(plan["no_return"]), plan["tried"]) == (1, {})


def test_the_list_names_every_path_and_fits_a_terminal(vdc: Vdc) -> None:
    from vdc.upgrade.paths import paths

    lines = vdc("upgrade", "list").out.splitlines()
    names = [line.partition(":")[0] for line in lines if line and not line.startswith(" ")]
    assert names == list(paths())
    assert max(map(len, lines)) <= 100
    assert lines[1] == "  debian-12 → debian-13, reimage, on topologies/small.yml"
    assert lines[2] == "  changes: debian 12 → 13, kernel 6.1 → 6.12, bird 2.0 → 2.17, etcd 3.4 → 3.5"


def test_the_matrix_says_what_was_tried_and_when(vdc: Vdc, short_path: Path) -> None:
    never = vdc("upgrade", "coverage").out.splitlines()
    assert max(map(len, never)) <= 100
    assert never[0].split()[:4] == ["path", "plain", "hold", "rollback-one"]
    assert never[1].split()[:3] == ["os-debian-13", "·", "·"]
    assert never[2] == "  debian-12 → debian-13"
    _record(short_path, "plain", "passed", 1)
    _record(short_path, "plain", "failed", 2)
    _record(short_path, "hold", "inconclusive", 2)
    _record(short_path, "again", "passed", 3)
    matrix = vdc("upgrade", "coverage").out.splitlines()
    assert matrix[1].split()[:6] == ["os-debian-13", "✗", "11-02", "?", "11-02", "·"]
    assert matrix[1].endswith("✓ 11-03")
    assert matrix[-1].startswith("✓ passed, ✗ failed, ! error, ? nothing proven, with month and day; · never")
    found = json.loads(vdc("upgrade", "coverage", "--json").out)
    assert [(each["variant"], each["verdict"], each["steps"]) for each in found] == [
        ("plain", "failed", {"upgrade a": 9.0}),
        ("hold", "inconclusive", {"upgrade a": 9.0}),
        ("again", "passed", {"upgrade a": 9.0}),
    ]


def test_a_plan_says_how_it_went_the_last_time(vdc: Vdc, short_path: Path) -> None:
    _record(short_path, "plain", "passed", 7)
    said = vdc("upgrade", "plan", "debian-12", "debian-13")
    assert "  tried: plain: passed on 2026-11-07 in 62 s, on small\n" in said.out
    assert "  tried: hold: never\n" in said.out


def _record(place: Path, variant: str, verdict: str, day: int) -> None:
    tried = Tried(
        path="os-debian-13",
        variant=variant,
        origin="debian-12",
        target="debian-13",
        topology="small",
        when=f"2026-11-{day:02}T03:00:00Z",
        verdict=verdict,
        seconds=61.7,
        steps={"upgrade a": 9.0},
    )
    record(Settings(cache_dir=place / "cache"), tried)


def _without_trials(text: str) -> str:
    """Leave out what depends on which scenarios there are by now."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("  tried: "))
