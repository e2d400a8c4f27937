"""How much of this host is promised to whom: memory, virtual CPUs and disk, for the data centres of all users.

No book is kept that could be wrong. A claim (`vdc.host.claims`) leads to a run directory, the plan in it says how much
its data centre may come to take, and the host says how much of that it has taken. So a promise is made by claiming
the name under the lock of all claims, outlives whoever made it, and ends when the last of the data centre is removed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from vdc.errors import HostError, InputError, WaitTimeout
from vdc.host import accelerator, netlink, processes
from vdc.host.claims import CLAIMS, PLAN, PLANNED, claim, everyone, locked
from vdc.plan.plan import Plan
from vdc.plan.resources.processes import Bird, Domain
from vdc.settings import Settings
from vdc.steps import Steps
from vdc.wait import NotYet, wait_for

MIB: Final = 1024**2

VCPUS_PER_CORE: Final[Mapping[str, int]] = MappingProxyType({"tcg": 4, "kvm": 8})
"""How many virtual CPUs may share a core: of more, guests starve, and no verdict on their timing is worth anything."""

_RESERVE: Final = 256 * MIB  # for the host itself, and for what drives the data centres
_GUEST_OVERHEAD: Final = 160 * MIB  # QEMU itself, and the translated code of an emulated guest
_ROUTER_MEMORY: Final = 8 * MIB  # a BIRD and its namespace
_POLL_SECONDS: Final = 0.5


class Amount(NamedTuple):
    """Memory in bytes, virtual CPUs, and disk in bytes."""

    memory: int
    vcpus: int
    disk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a data centre, dead or alive, was `promised` at most, and what of it it has `taken`."""

    promised: int
    taken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Something that data centres share: so much of it is `free` now, and who has what share. Told in `unit`s."""

    what: str
    free: int
    unit: tuple[int, str] = (MIB, " MiB")
    shares: Mapping[str, Share] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """What would be free without data centres."""
        return self.free + sum(share.taken for share in self.shares.values())

    @property
    def left(self) -> int:
        """What may still be promised: what is free, less what was promised and is not taken yet."""
        return max(0, self.free - sum(max(0, share.promised - share.taken) for share in self.shares.values()))

    @property
    def account(self) -> str:
        """What is left, and who has the rest."""
        head = f"{self.left // self.unit[0]} of {self.told(self.total)} are left"
        return "; ".join((head, *(f"{name} has {self.told(share.promised)}" for name, share in self.shares.items())))

    def told(self, amount: int) -> str:
        """Return an amount as text."""
        return f"{amount // self.unit[0]}{self.unit[1]}"

    def without(self, *names: str) -> Pool:
        """Return what it would be if these data centres gave their shares back."""
        given = sum(share.taken for name, share in self.shares.items() if name in names)
        others = {name: share for name, share in self.shares.items() if name not in names}
        return replace(self, free=self.free + given, shares=others)


class Ledger(NamedTuple):
    """All that data centres share."""

    memory: Pool
    vcpus: Pool
    disk: Pool

    def without(self, *names: str) -> Ledger:
        """Return what it would be if these data centres gave all back."""
        return Ledger(*(pool.without(*names) for pool in self))

    def emptied(self) -> Ledger:
        """Return what it would be if all data centres gave all back."""
        return Ledger(*(pool.without(*pool.shares) for pool in self))


def wants(plan: Plan) -> Amount:
    """Return how much a plan may come to take; routers alone take a CPU too, while they converge."""
    guests = sum(isinstance(item, Domain) for item in plan.resources)
    routers = sum(isinstance(item, Bird) for item in plan.resources)
    memory = plan.memory + guests * _GUEST_OVERHEAD + routers * _ROUTER_MEMORY
    return Amount(memory=memory, vcpus=max(1, plan.vcpus), disk=plan.disk)


def lacks(wanted: Amount, ledger: Ledger) -> tuple[str, ...]:
    """Return what there is too little of, a sentence with all figures for each; empty if it fits."""
    return tuple(
        f"too little {pool.what}: needs {pool.told(amount)}, {pool.account}"
        for amount, pool in zip(wanted, ledger, strict=True)
        if amount > pool.left
    )


def hint(wanted: Amount, ledger: Ledger) -> str | None:
    """Return what can be done where something does not fit; None if all does."""
    if not lacks(wanted, ledger):
        return None
    if lacks(wanted, ledger.emptied()):
        return "a smaller topology or a bigger host; VDC_VCPUS_PER_CORE=N lets N vCPUs share a core"
    return (
        "`vdc down NAME` gives back what a data centre has, `vdc gc` what crashes left; "
        "with VDC_ADMISSION_WAIT=SECONDS a start waits for it"
    )


def admit(plan: Plan, settings: Settings, steps: Steps, claims: Path = CLAIMS) -> None:
    """Claim the name of a plan for its run directory, and with it all that the plan may come to take.

    Waits `settings.admission_wait` seconds at most for other data centres to give back what is lacking.

    Raises:
        InputError: another data centre has the name.
        HostError: it does not fit, or would not even without the others: with all figures; nothing is claimed.
    """
    wanted = wants(plan)

    def claimed() -> None:
        with locked(claims):
            ledger = survey(settings, claims).without(plan.instance)
            if not (found := lacks(wanted, ledger)):
                return claim(plan.instance, plan.context.run_directory, claims)
        text = "\n  - ".join((f"this host cannot hold {plan.instance}:", *found))
        if not settings.admission_wait or lacks(wanted, ledger.emptied()):
            raise HostError(text, hint=hint(wanted, ledger))
        raise NotYet(text)

    with steps.step("find room on the host"):
        try:
            wait_for(claimed, what="room on the host", timeout=settings.admission_wait, interval=_POLL_SECONDS)
        except WaitTimeout as error:
            raise HostError(f"waited {settings.admission_wait:.0f} s in vain: {error.last}") from error


def fitting(plan: Plan, settings: Settings, claims: Path = CLAIMS) -> int:
    """Return how many data centres of a plan fit beside what there is now, under whatever names."""
    shares = zip(wants(plan), survey(settings, claims), strict=True)
    return min(pool.left // amount for amount, pool in shares if amount)


def survey(settings: Settings, claims: Path = CLAIMS) -> Ledger:
    """Ask the host what is free, and all data centres what they were promised and have taken.

    The disk is that of the state directory's file system: data centres elsewhere have no share of it. Without root,
    the data centres of root are not seen; what they have taken is not free all the same.
    """
    place = existing(settings.state_dir)
    known = accelerator.cached(settings)
    # what the first start has not probed yet has the benefit of the doubt
    per_core = settings.vcpus_per_core or VCPUS_PER_CORE[known.kind if known else "kvm"]
    available = kibibytes(Path("/proc/meminfo").read_text(encoding="utf-8"), "MemAvailable")
    memory, vcpus, disk = {}, {}, {}
    for name, directory in everyone(claims).items():
        with suppress(OSError, InputError):  # removed just now, or of another version of vdc
            promised = _promised(directory)
            memory[name] = Share(promised=promised.memory, taken=_memory_taken(name))
            vcpus[name] = Share(promised=promised.vcpus, taken=0)
            if directory.stat().st_dev == place.stat().st_dev:
                disk[name] = Share(promised=promised.disk, taken=sum(_blocks(directory)))
    return Ledger(
        memory=Pool(what="memory", free=max(0, available - _RESERVE), shares=memory),
        vcpus=Pool(what="CPU", free=per_core * len(os.sched_getaffinity(0)), unit=(1, " vCPUs"), shares=vcpus),
        disk=Pool(what="disk for data centres", free=shutil.disk_usage(place).free, shares=disk),
    )


def existing(directory: Path) -> Path:
    """Return the directory, or the nearest of its parents that is there: it is or will be in that file system."""
    return next(path for path in (directory, *directory.parents) if path.exists())


def kibibytes(text: str, *names: str) -> int:
    """Return the sum, in bytes, of the figures of these names in proc(5) `meminfo` or `status`."""
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.partition(":")[0] in names)


def _promised(directory: Path) -> Amount:
    """Return what the plan of a run directory may come to take, or the one that it is being brought to, if more."""
    amounts = [wants(Plan.from_json((directory / PLAN).read_text(encoding="utf-8")))]
    with suppress(FileNotFoundError):
        amounts.append(wants(Plan.from_json((directory / PLANNED).read_text(encoding="utf-8"))))
    return Amount(*map(max, zip(*amounts, strict=True)))


def _memory_taken(name: str) -> int:
    """Return what would be available if the guests of a data centre ended; pages of files can be dropped any time."""
    namespace = netlink.identity(f"vdc-{name}")
    taken = 0
    for pid in processes.living({namespace} if namespace else set()):
        with suppress(OSError):  # it ended just now
            taken += kibibytes(Path(f"/proc/{pid}/status").read_text(encoding="utf-8"), "RssAnon", "RssShmem")
    return taken


def _blocks(directory: Path) -> Iterator[int]:
    """Yield the bytes on disk of each file; files come and go while a data centre runs."""
    for folder, _, files in os.walk(directory):
        for file in files:
            with suppress(FileNotFoundError):
                yield (Path(folder) / file).lstat().st_blocks * 512
