"""The rows of the bench: what each compares, and what it must be on two cores without KVM."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from vdc.cli.bench.figures import Figure
from vdc.cli.bench.lab import Lab, one_of_six, six, stock

_MIB = 1 << 20
_GIB = 1 << 30


class Row(NamedTuple):
    """What is measured, in words, and how."""

    what: str
    measure: Callable[[Lab], Iterator[Figure]]


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


ROWS: Mapping[str, Row] = MappingProxyType(
    {
        "boot": Row("6 servers ready: fork-boot, against cold boots of the same and of the stock image", _boot),
        "memory": Row("what an idle clone takes of the host's memory, against a server that was booted cold", _memory),
        "lean": Row("one server's cold boot until its agent answers, against the stock image", _lean),
        "dctest": Row("`vdc test` to its first scenario: from the cached deployed state, against from cold", _dctest),
        "restore": Row(
            "restoring a deployed small.yml until etcd serves, against deploying it from cold, with either image",
            _restore,
        ),
        "save": Row("saving a deployed small.yml, and for how long its guests stand still", _save),
        "fork": Row("a running small.yml a second time, beside the first", _fork),
    }
)
"""In the order in which they run: the last three share one data centre, which nothing else must run beside."""
