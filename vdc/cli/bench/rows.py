"""The rows of the bench: what each compares, and what it must be on two cores without KVM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from vdc.cli.bench.clos import MOONSHOT, PATIENCE, SIZES, clos, racks
from vdc.cli.bench.figures import Figure
from vdc.cli.bench.judging import judged
from vdc.cli.bench.lab import Lab
from vdc.cli.bench.results import Planned
from vdc.cli.bench.samples import one_of_six, six, stock

_K8S_SMALL, _K8S = Path("topologies/k8s-small.yml"), Path("topologies/k8s.yml")
_MIB = 1 << 20
_GIB = 1 << 30


_CONVERGED: Mapping[tuple[int, int], tuple[float, float]] = MappingProxyType(
    {(4, 32): (3.0, 0.5), (8, 128): (13.0, 1.0), (16, 256): (75.0, 2.0)}
)
"""In how many seconds a fabric of so many spines and ToRs must have converged, and be gone."""


class Row(NamedTuple):
    """What is measured, in words, and how; one that is not `usual` only where it is asked for."""

    what: str
    measure: Callable[[Lab], Iterator[Figure]]
    usual: bool = True


def _plan(lab: Lab) -> Iterator[Figure]:
    before: Planned | None = None
    for count in (10, 100, 1000):
        planned = lab.planned(racks(count))
        most = 10.0 if count == 1000 else None
        yield Figure(what=f"validate, expand and plan {count} racks x 20 servers", ours=planned.seconds, most=most)
        if before is not None:
            yield Figure(
                what="the same for each server, against a tenth as many",
                ours=planned.seconds / (20 * count) * 1e6,
                against=before.seconds / (2 * count) * 1e6,
                unit="µs",
                times=1 / 1.3,
            )
        before = planned
    yield Figure(what="the most memory that took", ours=planned.memory / _MIB, unit="MiB", most=1024.0)


def _report(lab: Lab) -> Iterator[Figure]:
    drawn = lab.drawn()
    yield Figure(what="report.html of 30 minutes, six probes every 10 ms", ours=drawn.size / 1e6, unit="MB", most=10.0)
    yield Figure(what="making it of a million events", ours=drawn.made)
    if drawn.opened is not None:
        yield Figure(what="opening it in Chromium", ours=drawn.opened, most=2.0)


def _checkers(lab: Lab) -> Iterator[Figure]:
    del lab
    yield from judged()


def _clos(lab: Lab) -> Iterator[Figure]:
    for size in SIZES:
        most, most_down = _CONVERGED[size]
        came = lab.came(partial(clos, *size))
        shape = "{} spines x {} ToRs".format(*size)
        yield Figure(what=f"{shape} from nothing to converged", ours=came.converged, most=most)
        yield Figure(what=f"{shape} down", ours=came.down, most=most_down)
    middle = SIZES[1]
    yield Figure(
        what="{} spines x {} ToRs with BFD".format(*middle), ours=lab.came(partial(clos, *middle, bfd=True)).converged
    )


def _wiring(lab: Lab) -> Iterator[Figure]:
    for size in SIZES:
        topology = clos(*size)
        yield Figure(
            what="wiring of {} spines x {} ToRs, against a bare `ip -batch` script".format(*size),
            ours=lab.wired(topology),
            against=lab.wired_bare(topology),
            times=1 / 3,
        )


def _faults(lab: Lab) -> Iterator[Figure]:
    for what, ours, bare in lab.struck():
        for verb, mine, theirs in (
            ("", ours.inject, bare.inject if bare else None),
            (" and mended", ours.heal, bare.heal if bare else None),
        ):
            against = None if theirs is None else 1000 * theirs
            yield Figure(what=f"{what}{verb}", ours=1000 * mine, against=against, unit="ms", most=50.0)


def _flows(lab: Lab) -> Iterator[Figure]:
    yield Figure(
        what="packets every 10 ms between all racks: of a core, the dearest process",
        ours=100 * lab.flowing(),
        unit="%",
        most=5.0,
    )


def _moonshot(lab: Lab) -> Iterator[Figure]:
    came = lab.came(partial(clos, *MOONSHOT, hold=PATIENCE))
    yield Figure(what="{} spines x {} ToRs from nothing to converged".format(*MOONSHOT), ours=came.converged)
    yield Figure(what="the memory it takes", ours=came.memory / _GIB, unit="GiB", most=24.0)
    yield Figure(what="down", ours=came.down)


def _boot(lab: Lab) -> Iterator[Figure]:
    topology = six()
    ours = lab.converged(topology, "fork")
    yield Figure(what="6 servers by fork-boot, for each", ours=ours / len(topology.servers), most=2.0)
    cold = lab.converged(topology, "cold")
    yield Figure(what="6 servers by fork-boot, against cold", ours=ours, against=cold, times=5.0)
    ordinary = lab.converged(stock(topology), "cold")
    yield Figure(what="the same, against cold with the stock image", ours=ours, against=ordinary, times=10.0)


def _memory(lab: Lab) -> Iterator[Figure]:
    topology = six()
    yield Figure(
        what="memory of an idle clone, against a server that was booted cold",
        ours=lab.idle_memory(topology, "fork") / _MIB,
        against=lab.idle_memory(topology, "cold") / _MIB,
        unit="MiB",
        times=1 / 0.6,
    )


def _lean(lab: Lab) -> Iterator[Figure]:
    one = one_of_six()
    yield Figure(
        what="a cold boot until the agent answers, against the stock image",
        ours=lab.answering(one),
        against=lab.answering(stock(one)),
        times=2.0,
    )


def _dctest(lab: Lab) -> Iterator[Figure]:
    lab.first_scenario()  # leaves the deployed state in the cache, if it is not there
    yield Figure(
        what="dctest to the first scenario, checkpoint cached, against --no-checkpoint",
        ours=lab.first_scenario(),
        against=lab.first_scenario("--no-checkpoint"),
        times=8.0,
        most=15.0,
    )


def _save(lab: Lab) -> Iterator[Figure]:
    saved = lab.saved
    used = saved.checkpoint.memory / _GIB
    yield Figure(
        what=f"save small.yml, for each GiB of memory in use ({used:.2f})",
        ours=saved.seconds / used,
        unit="s/GiB",
        most=6.0,
    )
    yield Figure(
        what="its guests stand still, for each GiB", ours=saved.checkpoint.stood_still / used, unit="s/GiB", most=6.0
    )


def _fork(lab: Lab) -> Iterator[Figure]:
    ours = lab.saved.seconds + lab.forked()
    yield Figure(what="fork of a running small.yml: saved, and serving beside it", ours=ours, most=10.0)


def _restore(lab: Lab) -> Iterator[Figure]:
    ordinary, deployed = lab.ordinary, lab.small.seconds
    ours = lab.restored()
    yield Figure(
        what="restore of small.yml until etcd serves, against deploying it from cold",
        ours=ours,
        against=deployed,
        times=10.0,
        most=10.0,
    )
    yield Figure(what="the same, against deploying it on the stock image", ours=ours, against=ordinary, times=10.0)


def _kubernetes(lab: Lab) -> Iterator[Figure]:
    yield from _ready(lab, _K8S_SMALL, nothing=360.0, woken=20.0, suite=300.0)


def _kubernetes_ha(lab: Lab) -> Iterator[Figure]:
    yield from _ready(lab, _K8S, nothing=900.0)


def _ready(
    lab: Lab, file: Path, *, nothing: float, woken: float | None = None, suite: float | None = None
) -> Iterator[Figure]:
    came = lab.ready(file)
    yield Figure(what=f"Kubernetes on {file.name} from nothing to all Ready", ours=came.nothing, most=nothing)
    yield Figure(
        what="the same from a checkpoint, against that", ours=came.checkpoint, against=came.nothing, most=woken
    )
    yield Figure(what="what an idle control plane takes, of one core", ours=100 * came.idle, unit="%")
    yield Figure(what="its standard suite, with the restore before it", ours=lab.suite(file), most=suite)


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "plan": Row("compiling topologies of 10, 100 and 1,000 racks, and the memory that takes", _plan),
        "report": Row("the report of a run of half an hour: its size, and how soon a browser shows it", _report),
        "checkers": Row("judging a million events, by each checker", _checkers),
        "wiring": Row("namespaces, links and addresses of fabrics, against a bare `ip -batch` script", _wiring),
        "fabric": Row("fabrics of 36, 136 and 272 routers from nothing to converged, and down", _clos),
        "faults": Row("breaking and mending a cable, against the bare commands that do it", _faults),
        "flows": Row("what numbered packets between all racks of a fabric cost", _flows),
        "moonshot": Row("a fabric of 1,016 routers and 16,000 links; only if asked for", _moonshot, usual=False),
        "boot": Row("6 servers ready: fork-boot, against cold boots of the same and of the stock image", _boot),
        "memory": Row("what an idle clone takes of the host's memory, against a server that was booted cold", _memory),
        "lean": Row("one server's cold boot until its agent answers, against the stock image", _lean),
        "dctest": Row("`vdc test` to its first scenario: from the cached deployed state, against from cold", _dctest),
        "kubernetes": Row(
            "Kubernetes Ready from nothing and from a checkpoint, and its standard suite; only if asked for",
            _kubernetes,
            usual=False,
        ),
        "kubernetes-ha": Row("the same with three control-plane nodes; only if asked for", _kubernetes_ha, usual=False),
        "restore": Row(
            "restoring a deployed small.yml until etcd serves, against deploying it from cold, with either image",
            _restore,
        ),
        "save": Row("saving a deployed small.yml, and for how long its guests stand still", _save),
        "fork": Row("a running small.yml a second time, beside the first", _fork),
    }
)
"""In the order in which they run: the last three share one data centre, which nothing else must run beside."""
