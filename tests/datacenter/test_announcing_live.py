"""Several change at once what one router announces: none undoes what another does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from vdc.datacenter.router import LiveRouter
from vdc.history import Recorder
from vdc.model.announcing import Change
from vdc.model.expand import expand
from vdc.model.load import load
from vdc.plan.resources.processes import Bird

SMALL = Path(__file__).parents[2] / "topologies" / "small.yml"


def test_two_changes_at_once_are_both_in_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)

    def configure(_: Change) -> str:
        with suppress(threading.BrokenBarrierError):  # who is alone with it waits in vain
            both.wait(0.2)
        return "router id 10.0.0.1;\n"

    daemon = Bird(
        router="spine0", netns="x", config="", config_path=str(tmp_path / "spine0.conf"), control=str(tmp_path / "ctl")
    )
    (tmp_path / "spine0.conf").write_text("")
    monkeypatch.setattr(
        "vdc.datacenter.router.changing.reconfigure",
        lambda changed: Path(changed.config_path).write_text(changed.config),
    )
    spine = LiveRouter(
        spec=expand(load(SMALL)).router("spine0"),
        daemon=daemon,
        recorder=Recorder(tmp_path / "history.jsonl"),
        servers=dict,
        configure=configure,
        unpack=lambda _: Path(),
    )
    changes = {key: Change(more=(ip_network(f"10.9.{n}.0/24"),)) for n, key in enumerate(("aaaaaaa", "bbbbbbb"))}
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(spine.announce, key, change) for key, change in changes.items()]:
            done.result()
    assert spine.announces() == changes
