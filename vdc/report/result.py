"""The result of a run, as data. Durations and outages are seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from vdc.history import Event

Versions = Mapping[str, Mapping[str, str]]
"""Server to component ("os", "kernel", "bird", "etcd", "kubernetes", …) to version."""


FIRST_SCENARIO: Final = "first scenario"
"""The phase that ends when the first scenario runs, and began with everything."""

FROM_NOTHING: Final = "ready from nothing"
"""The phase that ends when the cluster serves on all servers, and began with templates and then links."""

FROM_CHECKPOINT: Final = "ready from checkpoint"
"""The same from a checkpoint: the longest of all restores."""

STANDARD_SUITE: Final = "standard suite"
"""The phase of all scenarios of the suite, with the restore before them; only where there was one."""


class Targets(NamedTuple):
    """How long phases of a run of a topology may take at most, on 2 cores without KVM, with what cluster."""

    cluster: str
    seconds: Mapping[str, float]


_FABRIC: Final = {"fabric": 3.0, "down": 3.0}
_TARGETS: Final[Mapping[str, Targets]] = MappingProxyType(
    {
        "small": Targets("etcd", {**_FABRIC, "answering": 90.0, "total": 600.0}),
        "k8s-small": Targets(
            "kubernetes", {**_FABRIC, FROM_NOTHING: 360.0, FROM_CHECKPOINT: 20.0, STANDARD_SUITE: 300.0}
        ),
        "k8s": Targets("kubernetes", {**_FABRIC, FROM_NOTHING: 900.0}),
    }
)
"""By the topology's name."""


class Result(StrEnum):
    """How a scenario ended. ERROR is trouble of the harness, FAILED is the cluster's, INCONCLUSIVE is a host that was
    starved; QUARANTINED failed as its quarantine allows.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"
    QUARANTINED = "quarantined"
    SKIPPED = "skipped"


STARVED: Final = 75
"""The exit status of a run in which nothing failed, but the host was starved: EX_TEMPFAIL of sysexits(3)."""

_GOOD: Final = frozenset({Result.PASSED, Result.SKIPPED, Result.QUARANTINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOutage:
    """The longest time that users waited for a write and for a read because of `event`; None: no sample of it."""

    event: str
    write: float | None
    read: float | None

    def __str__(self) -> str:
        figures = (("write", self.write), ("read", self.read))
        return f"{self.event}: {', '.join(f'{op} {value:.2f} s' for op, value in figures if value is not None)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """One scenario: `test` is pytest's id, `duration` that of its body, `outages` the longest that were
    measured, `events` those of each event, `message` why it did not pass, `location` the line that failed, as
    `FILE:LINE`. `note` is what a reader of the outcome must know: that it is of a rerun, of a quarantine. `bundle` is
    where the evidence of its failure is, from the run's directory. `tries` are the paths of upgrades that it tries,
    each with its variant, as `PATH/VARIANT`; `steps` are what each step took, `usual` what it did the nights before.
    """

    test: str
    suite: str
    outcome: Result
    duration: float
    outages: Mapping[str, float] = field(default_factory=dict)
    events: tuple[EventOutage, ...] = ()
    message: str = ""
    location: str = ""
    note: str = ""
    bundle: str = ""
    tries: tuple[str, ...] = ()
    steps: Mapping[str, float] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether a run in which all end so has not failed."""
        return self.outcome in _GOOD

    @property
    def told(self) -> str:
        """The outcome, with a mark where there is a note."""
        return f"{self.outcome} *" if self.note else str(self.outcome)

    @property
    def title(self) -> str:
        """The name of the test as a sentence."""
        return title_of(self.test)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A whole run. `durations` are named phases ("up", "deploy", …, "total"), in the order to print them.

    `cluster` is what was deployed, by the name of its deployer. `timers` are those that are not what they are on a fast
    host, in words: "etcd election" to "5 s (default 1 s)". `deselected` are scenarios that do not fit this run, each
    test's id with the reason. `picture` is the fabric, as SVG; `seed` is what all draws began with.
    """

    name: str
    topology: str
    host: str
    accelerator: str
    slowness: float
    scenarios: tuple[ScenarioResult, ...]
    durations: Mapping[str, float] = field(default_factory=dict)
    versions_before: Versions = field(default_factory=dict)
    versions_after: Versions = field(default_factory=dict)
    cluster: str = ""
    timers: Mapping[str, str] = field(default_factory=dict)
    deselected: Mapping[str, str] = field(default_factory=dict)
    picture: str = ""
    seed: int | None = None

    @property
    def targets(self) -> Mapping[str, float]:
        """How long its phases may take: nobody has said so of other topologies, or of other clusters on them."""
        found = _TARGETS.get(self.topology)
        return found.seconds if found is not None and self.cluster in {found.cluster, ""} else {}

    @property
    def passed(self) -> bool:
        """Whether some scenario passed and none failed: a run that proves nothing has not passed."""
        outcomes = {scenario.outcome for scenario in self.scenarios}
        return Result.PASSED in outcomes and outcomes <= _GOOD

    @property
    def inconclusive(self) -> bool:
        """Whether nothing failed, and some scenario proves nothing because this host was starved."""
        outcomes = {scenario.outcome for scenario in self.scenarios}
        return Result.INCONCLUSIVE in outcomes and outcomes <= _GOOD | {Result.INCONCLUSIVE}

    def count(self, outcome: Result) -> int:
        """Return how many scenarios ended so."""
        return sum(scenario.outcome is outcome for scenario in self.scenarios)

    @property
    def verdict(self) -> str:
        """The verdict in one line."""
        if not self.scenarios:
            return "FAILED: no scenario was run"
        counts = [f"{number} {outcome}" for outcome in Result if (number := self.count(outcome))]
        word = "PASSED" if self.passed else "INCONCLUSIVE" if self.inconclusive else "FAILED"
        return f"{word}: {', '.join(counts)} of {len(self.scenarios)}"


def merged(runs: Sequence[RunResult]) -> RunResult:
    """Return one run of those that processes had side by side, at least one.

    A phase took as long as where it took longest; but the first scenario is that of the first process to have one.
    """
    durations: dict[str, float] = {}
    for run in runs:
        for phase, seconds in run.durations.items():
            choose = min if phase == FIRST_SCENARIO else max
            durations[phase] = choose(durations.get(phase, seconds), seconds)
    return replace(
        runs[0],
        name=", ".join(run.name for run in runs),
        scenarios=tuple(scenario for run in runs for scenario in run.scenarios),
        durations=durations,
        versions_before={server: had for run in runs for server, had in run.versions_before.items()},
        versions_after={server: has for run in runs for server, has in run.versions_after.items()},
        deselected={test: why for run in runs for test, why in run.deselected.items()},
    )


def steps_of(events: Iterable[Event]) -> Mapping[str, Mapping[str, float]]:
    """Return what each step took while a scenario ran, by the id of its test: of its last attempt, in the step's order.

    Steps of the same name are added up. One that did not end is not among them.
    """
    found: dict[str, dict[str, float]] = {}
    test, began = "", dict[str, float]()
    for event in events:
        starts = event.data.get("phase") == "start"
        if event.kind == "scenario":
            test = str(event.data["test"]) if starts else ""
            began.clear()
            if starts:
                found[test] = {}
        elif event.kind == "step" and test:
            name = str(event.data["name"])
            if starts:
                began[name] = event.time
                found[test].setdefault(name, 0.0)
            elif name in began:
                found[test][name] += event.time - began.pop(name)
    return {each: {name: seconds for name, seconds in steps.items() if seconds} for each, steps in found.items()}


def title_of(test: str) -> str:
    """Return the name of a test, by pytest's id, as a sentence."""
    return test.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def shown_outages(outages: Mapping[str, float]) -> str:
    """Return outages as text for a table cell: a lone one needs no name."""
    if len(outages) == 1:
        return f"{next(iter(outages.values())):.2f} s"
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in outages.items())


def version_changes(run: RunResult) -> Mapping[str, Mapping[str, str]]:
    """Return component to server to version: "before → after", or the one version where it stayed."""
    changes: dict[str, dict[str, str]] = {}
    for server in sorted({*run.versions_before, *run.versions_after}):
        before, after = run.versions_before.get(server, {}), run.versions_after.get(server, {})
        for component in [*before, *(name for name in after if name not in before)]:
            old, new = before.get(component, "?"), after.get(component, "?")
            same = old == new or server not in run.versions_after
            changes.setdefault(component, {})[server] = old if same else f"{old} → {new}"
    return changes
