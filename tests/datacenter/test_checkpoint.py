"""The store of checkpoints, and what a fork changes in a saved domain; live ones are in tests/host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vdc.datacenter.checkpoint import _write_manifest, checkpoints, find, remove, store, verify
from vdc.datacenter.fork import adopted, forked_plan
from vdc.errors import HostError, InputError
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.plan.plan import Plan, PlanContext, make_plan
from vdc.settings import Settings

TOPOLOGIES = Path(__file__).parents[2] / "topologies"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", cache_dir=tmp_path / "cache")


@pytest.fixture
def plan(settings: Settings) -> Plan:
    context = PlanContext(
        instance="a", state_dir=settings.state_dir, cache_dir=settings.cache_dir, accelerator="tcg", slowness=1.0
    )
    return make_plan(expand(load(TOPOLOGIES / "small.yml")), context)


@pytest.fixture
def stored(settings: Settings, plan: Plan) -> Path:
    directory = store(settings) / "a" / "one"
    (directory / "memory").mkdir(parents=True)
    (directory / "plan.json").write_text(plan.to_json())
    (directory / "memory" / "rack0-cs0.save").write_bytes(b"memory" * 1000)
    _write_manifest("a", "one", directory)
    return directory


def test_a_whole_checkpoint_is_found_and_verified(settings: Settings, stored: Path, plan: Plan) -> None:
    found = find("a", "one", settings)
    assert checkpoints(settings) == (found,)
    assert found.plan == plan
    verify(found)


@pytest.mark.parametrize("name", ["memory/rack0-cs0.save", "plan.json"])
def test_a_damaged_file_is_refused_with_its_name(settings: Settings, stored: Path, name: str) -> None:
    data = bytearray((stored / name).read_bytes())
    data[100] ^= 1
    (stored / name).write_bytes(data)
    with pytest.raises(HostError, match=f"is damaged: {name}"):
        verify(find("a", "one", settings))


def test_a_missing_file_is_refused_with_its_name(settings: Settings, stored: Path) -> None:
    (stored / "memory" / "rack0-cs0.save").unlink()
    with pytest.raises(HostError, match=r"is damaged: memory/rack0-cs0\.save"):
        verify(find("a", "one", settings))


def test_what_an_interrupted_save_left_is_no_checkpoint(settings: Settings, stored: Path) -> None:
    stored.rename(stored.with_name(".one.part"))
    assert checkpoints(settings) == ()
    with pytest.raises(InputError, match="no checkpoint 'one' of 'a'"):
        find("a", "one", settings)


def test_a_removed_one_is_gone(settings: Settings, stored: Path) -> None:
    remove("a", "one", settings)
    assert checkpoints(settings) == ()
    assert not stored.exists()


def test_a_fork_of_a_fork_has_the_identities_of_the_first(plan: Plan) -> None:
    again = forked_plan(forked_plan(plan, "b"), "c")
    assert again.context.run_directory.name == "c"
    assert again.context.uuid("rack0-cs0") == plan.context.uuid("rack0-cs0")
    assert again.context.netns == "vdc-c"


def test_a_saved_domain_is_adopted_with_the_files_of_its_new_run_directory(plan: Plan) -> None:
    saved = """<domain><name>rack0-cs0</name><devices>
      <disk type="file"><source file="/state/a/disks/x-root.qcow2"/>
        <backingStore type="file"><source file="/cache/images/i/root.img"/></backingStore></disk>
      <serial type="unix"><source mode="bind" path="/state/a/consoles/x.sock"/>
        <log file="/state/a/consoles/x.raw" append="on"/></serial>
      <rng><backend model="random">/dev/urandom</backend></rng></devices></domain>"""
    xml = adopted(saved, Path("/state/a"), Path("/state/b"))
    assert "/state/a/" not in xml
    assert "backingStore" not in xml
    for path in ("disks/x-root.qcow2", "consoles/x.sock", "consoles/x.raw"):
        assert f'"/state/b/{path}"' in xml
    assert "/dev/urandom" in xml


def test_the_manifest_names_every_file(settings: Settings, stored: Path) -> None:
    manifest = json.loads((stored / "manifest.json").read_text())
    assert set(manifest["digests"]) == {"plan.json", "memory/rack0-cs0.save"}
