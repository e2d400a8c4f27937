from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vdc.errors import HostError, InputError
from vdc.host import claims as ownership
from vdc.host import ledger as module
from vdc.host.ledger import MIB, Amount, Ledger, Pool, Share, admit, fitting, hint, kibibytes, lacks, survey, wants
from vdc.plan.plan import Plan, make_plan
from vdc.settings import Settings
from vdc.shell import run
from vdc.steps import Steps

from .test_preflight import SMALL, ledger

CORES = len(os.sched_getaffinity(0))

HELD = Ledger(
    memory=Pool(
        what="memory",
        free=5000 * MIB,
        shares={"a": Share(promised=2000 * MIB, taken=500 * MIB), "b": Share(promised=1000 * MIB, taken=1500 * MIB)},
    ),
    vcpus=Pool(what="CPU", free=8, unit=(1, " vCPUs"), shares={"a": Share(promised=3, taken=0)}),
    disk=Pool(what="disk for data centres", free=9000 * MIB),
)


@pytest.fixture
def settings(short_path: Path) -> Settings:
    """Of a host with as many virtual CPUs as cores, which no memory or disk limits."""
    return Settings(state_dir=short_path / "state", cache_dir=short_path / "cache", vcpus_per_core=1)


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    return tmp_path / "claims"


def planned(name: str, settings: Settings, *, cpu: int = CORES) -> Plan:
    """A plan of tiny servers with so many virtual CPUs together, in its run directory."""
    servers = [replace(server, cpu=0, memory=MIB, data=MIB) for server in SMALL.topology.servers]
    servers[0] = replace(servers[0], cpu=cpu)
    context = replace(SMALL.context, instance=name, state_dir=settings.state_dir)
    plan = make_plan(replace(SMALL.topology, servers=tuple(servers)), context)
    plan.context.run_directory.mkdir(parents=True)
    (plan.context.run_directory / ownership.PLAN).write_text(plan.to_json(), encoding="utf-8")
    return plan


def test_what_was_promised_and_is_not_taken_yet_is_not_left() -> None:
    assert HELD.memory.left == 3500 * MIB
    assert HELD.vcpus.left == 5
    assert HELD.disk.left == 9000 * MIB


def test_what_a_data_centre_has_is_free_without_it() -> None:
    assert HELD.without("a").memory == Pool(
        what="memory", free=5500 * MIB, shares={"b": Share(promised=1000 * MIB, taken=1500 * MIB)}
    )
    assert [pool.left for pool in HELD.emptied()] == [7000 * MIB, 8, 9000 * MIB]


def test_what_fits_lacks_nothing() -> None:
    fits = Amount(memory=3500 * MIB, vcpus=5, disk=9000 * MIB)
    assert lacks(fits, HELD) == ()
    assert hint(fits, HELD) is None


def test_what_does_not_fit_is_told_with_all_figures_and_who_has_what() -> None:
    assert lacks(Amount(memory=3501 * MIB, vcpus=6, disk=9001 * MIB), HELD) == (
        "too little memory: needs 3501 MiB, 3500 of 7000 MiB are left; a has 2000 MiB; b has 1000 MiB",
        "too little CPU: needs 6 vCPUs, 5 of 8 vCPUs are left; a has 3 vCPUs",
        "too little disk for data centres: needs 9001 MiB, 9000 of 9000 MiB are left",
    )


def test_the_hint_tells_what_others_can_give_back_from_what_nobody_can() -> None:
    assert "vdc gc" in str(hint(Amount(memory=0, vcpus=6, disk=0), HELD))
    assert "bigger host" in str(hint(Amount(memory=0, vcpus=9, disk=0), HELD))


def test_a_plan_wants_more_memory_than_its_servers_and_a_fabric_a_cpu() -> None:
    assert wants(SMALL) == Amount(memory=SMALL.memory + 3 * 160 * MIB + 9 * 8 * MIB, vcpus=3, disk=SMALL.disk)
    assert wants(replace(SMALL, topology=replace(SMALL.topology, servers=()))).vcpus == 1


def test_an_admitted_plan_has_its_name_and_its_share(settings: Settings, claims: Path) -> None:
    plan = planned("one", settings)
    admit(plan, settings, Steps(), claims)
    assert ownership.owner("one", claims) == plan.context.run_directory
    found = survey(settings, claims)
    assert {pool.what: pool.shares["one"].promised for pool in found} == {
        pool.what: amount for pool, amount in zip(found, wants(plan), strict=True)
    }
    taken = sum(path.stat().st_blocks * 512 for path in plan.context.run_directory.iterdir())
    assert found.disk.shares["one"].taken == taken > 0


def test_a_plan_that_does_not_fit_beside_another_is_refused_with_its_name(settings: Settings, claims: Path) -> None:
    admit(planned("one", settings), settings, Steps(), claims)
    with pytest.raises(HostError) as caught:
        admit(planned("two", settings), settings, Steps(), claims)
    assert str(caught.value) == (
        "this host cannot hold two:\n"
        f"  - too little CPU: needs {CORES} vCPUs, 0 of {CORES} vCPUs are left; one has {CORES} vCPUs\n"
        "  hint: `vdc down NAME` gives back what a data centre has, `vdc gc` what crashes left; "
        "with VDC_ADMISSION_WAIT=SECONDS a start waits for it"
    )
    assert caught.value.exit_code == 3
    assert ownership.everyone(claims).keys() == {"one"}


def test_a_share_is_given_back_with_the_name(settings: Settings, claims: Path) -> None:
    one, two = planned("one", settings), planned("two", settings)
    admit(one, settings, Steps(), claims)
    ownership.release("one", one.context.run_directory, claims)
    admit(two, settings, Steps(), claims)
    assert ownership.everyone(claims).keys() == {"two"}


def test_what_a_name_has_already_is_not_in_its_own_way(settings: Settings, claims: Path) -> None:
    plan = planned("one", settings)
    for _ in range(2):
        admit(plan, settings, Steps(), claims)
    assert fitting(plan, settings, claims) == 0


def test_a_name_of_another_state_directory_is_refused(settings: Settings, claims: Path, tmp_path: Path) -> None:
    elsewhere = replace(settings, state_dir=settings.state_dir / "elsewhere")
    admit(planned("one", elsewhere), elsewhere, Steps(), claims)
    with pytest.raises(InputError, match="is the name of a data centre in"):
        admit(planned("one", settings), settings, Steps(), claims)


def test_a_run_directory_that_is_gone_or_unreadable_holds_nothing(settings: Settings, claims: Path) -> None:
    plan = planned("one", settings)
    admit(plan, settings, Steps(), claims)
    (plan.context.run_directory / ownership.PLAN).write_text("{}", encoding="utf-8")
    assert survey(settings, claims).vcpus.left == CORES
    (plan.context.run_directory / ownership.PLAN).unlink()
    assert survey(settings, claims).vcpus.left == CORES


def test_as_many_fit_as_the_scarcest_thing_is_enough_for(
    settings: Settings, claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fitting(planned("one", settings, cpu=1), settings, claims) == CORES
    assert fitting(planned("big", settings, cpu=CORES + 1), settings, claims) == 0
    monkeypatch.setattr(module, "survey", lambda *_: ledger(memory=5 * 1024 * MIB))
    assert fitting(SMALL, settings) == 2


def test_a_start_waits_for_what_others_give_back(
    settings: Settings, claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = ledger()
    full = free._replace(vcpus=replace(free.vcpus, shares={"other": Share(promised=8, taken=0)}))
    seen = iter((full, full, free))
    monkeypatch.setattr(module, "survey", lambda *_: next(seen))
    monkeypatch.setattr(module, "_POLL_SECONDS", 0)
    admit(planned("one", settings, cpu=1), replace(settings, admission_wait=60), Steps(), claims)
    assert ownership.everyone(claims).keys() == {"one"}


def test_a_start_that_waited_in_vain_says_for_how_long_and_for_what(
    settings: Settings, claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLL_SECONDS", 0)
    admit(planned("one", settings), settings, Steps(), claims)
    with pytest.raises(HostError, match=r"(?s)waited 0 s in vain: this host cannot hold two:.*one has"):
        admit(planned("two", settings), replace(settings, admission_wait=0.01), Steps(), claims)


def test_what_could_never_fit_is_refused_without_waiting(
    settings: Settings, claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = iter((ledger(),))
    monkeypatch.setattr(module, "survey", lambda *_: next(seen))
    with pytest.raises(HostError, match="needs 9 vCPUs, 8 of 8 vCPUs are left"):
        admit(planned("one", settings, cpu=9), replace(settings, admission_wait=60), Steps(), claims)


def test_of_two_that_race_for_the_last_room_one_gets_it(
    settings: Settings, claims: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks, and goes on when the other looks too: which it must not while the first has the lock."""
    both = threading.Barrier(2)

    def look(*where: Any) -> Ledger:
        seen = survey(*where)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.2)
        return seen

    monkeypatch.setattr(module, "survey", look)
    with ThreadPoolExecutor(2) as pool:
        plans = [planned(name, settings) for name in ("one", "two")]
        running = [pool.submit(admit, plan, settings, Steps(), claims) for plan in plans]
    assert sorted(type(future.exception()).__name__ for future in running) == ["HostError", "NoneType"]
    assert len(ownership.everyone(claims)) == 1


def test_processes_that_race_get_what_there_is_and_it_outlives_them(settings: Settings, claims: Path) -> None:
    plans = [planned(f"dc{number}", settings, cpu=1) for number in range(CORES + 12)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(admit, plan, settings, Steps(), claims) for plan in plans]
    assert sum(isinstance(future.exception(), HostError) for future in running) == 12
    assert len(ownership.everyone(claims)) == CORES
    assert survey(settings, claims).vcpus.left == 0


def test_the_lock_of_a_process_that_was_killed_is_free(settings: Settings, claims: Path) -> None:
    code = (
        "import os, pathlib, signal; from vdc.host.claims import locked\n"
        f"with locked(pathlib.Path({str(claims)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert run([sys.executable, "-c", code], timeout=30, check=False).status == -signal.SIGKILL
    admit(planned("one", settings), settings, Steps(), claims)


def test_figures_of_the_kernel_are_summed_by_name() -> None:
    assert kibibytes("MemTotal: 100 kB\nMemAvailable:    2048 kB\n", "MemAvailable") == 2 * MIB
    assert kibibytes("RssAnon:\t 4 kB\nRssFile:\t 8 kB\nRssShmem:\t 1 kB\n", "RssAnon", "RssShmem") == 5 * 1024
