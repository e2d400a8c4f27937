from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from vdc.cluster import deployed
from vdc.datacenter.checkpoint import Checkpoint
from vdc.datacenter.live import LiveDataCenter
from vdc.errors import BuildError, DamagedError
from vdc.host import accelerator
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.model.topology import Topology
from vdc.plan.images import IMAGES
from vdc.plan.plan import Plan
from vdc.settings import Settings
from vdc.shell import Completed
from vdc.steps import Steps

TOPOLOGIES = Path(__file__).parents[2] / "topologies"
FACTS = {"vdc": "1", "image": "2"}
BUILT, WOKEN = (cast(LiveDataCenter, name) for name in ("built", "woken"))
SETTLED: list[LiveDataCenter] = []
"""Those that stood still and were waited for."""


class Store:
    """Keeps checkpoints as directories; one with a file `damaged` cannot be woken."""

    def load(self, directory: Path) -> Checkpoint | None:
        whole = (directory / "whole").exists()
        return cast(Checkpoint, SimpleNamespace(directory=directory)) if whole else None

    def write(self, dc: LiveDataCenter, directory: Path) -> Checkpoint:
        assert dc is BUILT
        directory.mkdir()
        (directory / "whole").touch()
        return cast(Checkpoint, SimpleNamespace(directory=directory))

    def settle(self, dc: LiveDataCenter) -> None:
        assert dc is BUILT
        SETTLED.append(dc)

    def discard(self, directory: Path) -> None:
        for path in directory.iterdir():
            path.unlink()
        directory.rmdir()

    def prune(self, folder: Path, keep: int) -> None:
        assert len(list(folder.glob("[!.]*"))) <= keep


def wake(found: Checkpoint) -> LiveDataCenter:
    if (found.directory / "damaged").exists():
        raise DamagedError("ram is damaged")
    return WOKEN


@pytest.fixture
def small() -> Topology:
    return expand(load(TOPOLOGIES / "small.yml"))


Start = Callable[..., LiveDataCenter]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def run(build: Callable[[], LiveDataCenter] = lambda: BUILT) -> LiveDataCenter:
        return deployed.start(tmp_path / "deployed" / "0123", Steps(), build=build, wake=wake, store=Store())

    return run


def test_the_first_one_builds_and_the_others_wake(start: Start) -> None:
    SETTLED.clear()
    assert [start(), start(), start()] == [BUILT, WOKEN, WOKEN]
    assert SETTLED == [BUILT]


def test_what_is_damaged_or_was_interrupted_is_built_again(start: Start, tmp_path: Path) -> None:
    start()
    directory = tmp_path / "deployed" / "0123"
    (directory / "damaged").touch()
    assert [start(), start()] == [BUILT, WOKEN]
    (directory / "whole").unlink()
    assert [start(), start()] == [BUILT, WOKEN]


def test_what_could_not_be_built_is_not_kept(start: Start) -> None:
    def fail() -> LiveDataCenter:
        raise BuildError("domain:rack0-cs0", "no")

    with pytest.raises(BuildError):
        start(fail)
    assert start() is BUILT


def test_who_comes_while_another_one_builds_waits_and_wakes(start: Start) -> None:
    found: list[LiveDataCenter] = []
    second = threading.Thread(target=lambda: found.append(start()))

    def build() -> LiveDataCenter:
        second.start()
        return BUILT

    assert start(build) is BUILT
    second.join(timeout=10)
    assert found == [WOKEN]


def test_the_digest_is_of_all_that_goes_into_the_state(small: Topology) -> None:
    digests = {
        deployed.digest(small, "etcd", FACTS),
        deployed.digest(small, None, FACTS),
        deployed.digest(replace(small, release="debian-13"), "etcd", FACTS),
        *(deployed.digest(small, "etcd", {**FACTS, fact: "other"}) for fact in FACTS),
    }
    assert len(digests) == 5
    assert {len(digest) for digest in digests} == {16}
    assert deployed.digest(expand(load(TOPOLOGIES / "small.yml")), "etcd", dict(reversed(FACTS.items()))) in digests


def test_an_image_that_was_built_again_is_another_fact(
    small: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = Completed(argv=(), status=0, stdout="QEMU 7.2", stderr="")
    monkeypatch.setattr(accelerator, "run", lambda *_, **__: version)
    plan = cast(Plan, SimpleNamespace(topology=small, context=SimpleNamespace(accelerator="tcg", slowness=1.0)))
    manifest = IMAGES[small.release].manifest(tmp_path)
    manifest.parent.mkdir(parents=True)
    places = set()
    for text in ("one build", "another build"):
        manifest.write_text(text)
        places.add(deployed.place(plan, "etcd", Settings(cache_dir=tmp_path)))
    assert len(places) == 2
    assert {place.parent for place in places} == {tmp_path / "deployed"}


def test_a_changed_line_of_vdc_is_another_version(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    first = deployed._source_digest(tmp_path)
    (tmp_path / "a.pyc").write_text("compiled")
    assert deployed._source_digest(tmp_path) == first
    (tmp_path / "a.py").write_text("x = 2\n")
    assert deployed._source_digest(tmp_path) != first


def test_a_change_of_what_only_looks_on_keeps_the_deployed_state(tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "a.py").write_text("x = 1\n")
    (tmp_path / "faults").mkdir()
    first = deployed._source_digest(tmp_path)
    (tmp_path / "faults" / "a.py").write_text("x = 1\n")
    assert deployed._source_digest(tmp_path) == first
    (tmp_path / "plan" / "a.py").write_text("x = 2\n")
    assert deployed._source_digest(tmp_path) != first
