"""`vdc test`: build a data centre, run the scenarios against it, print the verdict."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

import vdc
from vdc.cli.context import need_root, pick, steps
from vdc.cli.lifecycle import seconds_of
from vdc.cli.topology import Name, Sets, read_topology
from vdc.errors import InputError
from vdc.shell import run

File = Annotated[Path, typer.Argument(metavar="[FILE]", help="The topology file.")]
Suite = Annotated[
    list[str] | None,
    typer.Option("--suite", help="Only this suite; may be given more than once. premerge: what a change can affect."),
]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the data centre running afterwards.")]
Deployer = Annotated[
    str | None,
    typer.Option(
        "--deployer",
        metavar="NAME",
        help="What deploys the cluster; by default what the topology has a section for, else etcd.",
    ),
]
Filter = Annotated[
    str | None, typer.Option("-k", metavar="EXPRESSION", help="Only scenarios that match, as in pytest.")
]
Workers = Annotated[
    str | None,
    typer.Option(
        "-n", metavar="K", help="Run on K data centres at once, each with modules of its own; auto: all that fit."
    ),
]
NoCheckpoint = Annotated[
    bool,
    typer.Option("--no-checkpoint", help="Boot and deploy from cold instead of restoring; use and keep no checkpoint."),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", metavar="N", help="What all draws begin with; by default a new one."),
]

Hold = Annotated[
    str | None,
    typer.Option(
        "--hold-on-failure", metavar="TIME", help="Stand still after a failure so that somebody can look inside: 30m."
    ),
]
Pause = Annotated[
    str | None,
    typer.Option("--pause-before", metavar="SCENARIO", help="Stand still before scenarios of that name: `vdc resume`."),
]
Nightly = Annotated[
    bool, typer.Option("--nightly", help="Also those that take longer than a verdict before a merge may.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="REF", help="For the suite premerge: what the change goes into; by default main."),
]
Old = Annotated[
    str | None,
    typer.Option("--old", metavar="REF", help="Deploy by the code of then: a git ref, or a folder with a checkout."),
]
Repeat = Annotated[int, typer.Option("--repeat", metavar="N", min=1, help="Run each scenario N times.")]

_COLLECTED_WITHIN: Final = 300.0  # seconds

STARTED = "VDC_TEST_STARTED"
"""The variable that tells the tests when the command began, in seconds of CLOCK_MONOTONIC: their report has a total."""


def run_scenarios(  # noqa: PLR0913, PLR0917 - an argument for each option
    context: typer.Context,
    file: File = Path("topologies/small.yml"),
    name: Name = None,
    suite: Suite = None,
    keep: Keep = False,
    deployer: Deployer = None,
    matching: Filter = None,
    workers: Workers = None,
    no_checkpoint: NoCheckpoint = False,
    seed: Seed = None,
    repeat: Repeat = 1,
    nightly: Nightly = False,
    hold: Hold = None,
    pause: Pause = None,
    since: Since = None,
    old: Old = None,
    sets: Sets = None,
) -> None:
    """Run the scenarios on a new data centre; print the verdict.

    Each module of scenarios begins with a restore of the deployed state, which is kept in the cache; those of the
    suite standard share one, while all their scenarios pass.

    Exits 0 if every scenario passes, 75 if none failed but this host was too busy to tell, else 1. The report is in
    runs/N/.
    """
    started = time.monotonic()
    settings = need_root(context)
    from vdc.datacenter.lifecycle import prepare

    folders = chosen_scenarios(suite or (), since)
    chosen = deployer_options(deployer)
    if hold is not None:
        seconds_of(hold)
    asked = [*folders, f"--topology={file}", *chosen]
    asked += ["-k", matching] if matching else []
    asked += ["--no-checkpoint"] if no_checkpoint else []
    asked += [f"--seed={seed}"] if seed is not None else []
    asked += [f"--repeat={repeat}"] if repeat > 1 else []
    asked += ["--nightly"] if nightly else []
    asked += [f"--hold-on-failure={hold}"] if hold is not None else []
    asked += [f"--topology-set={each}" for each in sets or ()]
    asked += [f"--old={old}"] if old is not None else []
    asked += [f"--pause-before={pause}"] if pause is not None else []
    if pause is not None or old is not None:
        expect_scenarios(asked)
    # The tests prepare too; here it gives a wrong name or a host that can't its own exit code.
    made = prepare(read_topology(file, sets), name, settings, steps())
    report = Path("runs", made.instance)
    shutil.rmtree(report, ignore_errors=True)
    report.mkdir(parents=True)
    # -v names each scenario as it begins; what it measures is told below its name
    arguments = [*asked, f"--name={made.instance}", f"--run-dir={report}", "-v", f"--junitxml={report / 'junit.xml'}"]
    arguments += ["--keep"] if keep else []
    arguments += ["-n", workers] if workers else []
    try:
        status = run_pytest(arguments, started=started)
    finally:
        hand_over(report)
    from vdc.report.result import STARVED

    raise typer.Exit(status if status in {0, STARVED} else 1)


def expect_scenarios(arguments: Sequence[str]) -> None:
    """Pass if pytest finds the scenarios that its arguments name. Raises InputError: it says why not."""
    import pytest

    quiet = ("-p", "no:cacheprovider", "-p", "no:warnings", "--collect-only", "-q")
    done = run([sys.executable, "-m", "pytest", *quiet, *arguments], timeout=_COLLECTED_WITHIN, check=False)
    if done.status == pytest.ExitCode.USAGE_ERROR:
        raise InputError("\n".join(line.removeprefix("ERROR: ") for line in done.stderr.strip().splitlines()))


def deployer_options(name: str | None) -> tuple[str, ...]:
    """Return what tells pytest to use a deployer; raises InputError with those there are."""
    if name is None:
        return ()
    from vdc.cluster.deployers import DEPLOYERS

    return (f"--deployer={pick('deployer', name, DEPLOYERS)}",)


def hand_over(report: Path) -> None:
    """Give a report to the owner of the directory that `runs/` is in: under sudo, that is not who wrote it."""
    runs = report.parent
    owner = runs.absolute().parent.stat()
    for path in (runs, report, *report.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def chosen_scenarios(suites: Sequence[str], since: str | None) -> tuple[str, ...]:
    """Return the scenarios of the suites, by default of all, as pytest takes them; of those before a merge say why.

    The plugin puts them into their order.
    """
    from vdc.cli.premerge import PREMERGE, before_merge

    places = (Path("scenarios"), Path(vdc.__file__).parent.parent / "scenarios")
    base = next((path for path in places if path.is_dir()), None)
    if base is None:
        raise InputError("no scenarios here", hint="run it in a checkout of vdc, or pytest on your own")
    there = sorted({path.parent.name for path in base.glob("*/test_*.py")})
    wanted = tuple(pick("suite", suite, [*there, PREMERGE]) for suite in dict.fromkeys(suites or there))
    if PREMERGE not in wanted:
        if since is not None:
            raise InputError(f"--since is for the suite {PREMERGE}", hint=f"--suite {PREMERGE} --since {since}")
        return tuple(str(base / suite) for suite in wanted)
    chosen = before_merge(base, since)
    typer.echo("\n".join((f"{PREMERGE}:", *(f"  {each}" for each in chosen.why))))
    others = tuple(suite for suite in wanted if suite != PREMERGE)
    return tuple(str(base / each) for each in (*others, *chosen.scenarios))


def run_pytest(arguments: Sequence[str], *, started: float) -> int:
    """Run pytest in this process and return its status.

    `started` is when the command began, in seconds of the monotonic clock. A warning of some library says nothing of
    the cluster, so here none is an error.
    """
    import pytest

    os.environ[STARTED] = f"{started:.3f}"
    # like Ctrl-C: the tests take their data centre down
    terminate = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return pytest.main(["-p", "no:cacheprovider", "-W", "default", *arguments])
    finally:
        signal.signal(signal.SIGTERM, terminate)
