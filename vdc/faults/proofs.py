"""What a scenario demands beside faults: proven reboots, data that survives, a data centre made whole."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from vdc.cluster.api import Cluster
from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.convergence import wait_converged


@contextmanager
def rebooting(*machines: Machine) -> Iterator[None]:
    """Demand that every one of `machines` restarts in the body: it must answer with another boot ID at the
    end.

    Raises:
        AssertionError: no machine was given, or one answers with the boot ID it had before.
        WaitTimeout: one does not answer.
    """
    assert machines, "nothing to reboot"
    before = {machine.name: machine.boot_id() for machine in machines}
    yield
    after = {machine.name: machine.wait_answering(unlike_boot=before[machine.name]) for machine in machines}
    same = sorted(name for name in before if after[name] == before[name])
    assert not same, f"not rebooted, the boot ID is the same: {', '.join(same)}"


@contextmanager
def keeping_data(cluster: Cluster) -> Iterator[None]:
    """Demand that what is written through every member before the body is read through every member after it.

    Raises AssertionError naming what is missing or changed.
    """
    assert cluster.members, "the cluster has no members"
    run = uuid.uuid4().hex
    data = {f"vdc-kept/{run}/{member}": uuid.uuid4().hex for member in cluster.members}
    for (key, value), member in zip(data.items(), cluster.members, strict=True):
        cluster.write(key, value, via=member)
    yield
    for member in cluster.members:
        seen = cluster.read_prefix(f"vdc-kept/{run}/", via=member)
        assert dict(seen) == data, f"through {member}: {dict(seen)}, expected {data}"


def wait_whole(dc: DataCenter, cluster: Cluster | None) -> None:
    """Wait until the fabric has converged and every member of the cluster, if any, serves; raises WaitTimeout."""
    with dc.steps.step("wait until all is whole again"):
        wait_converged(dc)
        if cluster is not None:
            cluster.wait_serving()


def versions(dc: DataCenter) -> Mapping[str, Mapping[str, str]]:
    """Return what runs on every server that a cluster is deployed on: server to component to version.

    Raises AssertionError if there is none.
    """
    assert dc.topology.members, "the data centre has no servers"
    return {server.name: dc.servers[server.name].versions() for server in dc.topology.members}


def others(found: Mapping[str, Mapping[str, str]], wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Return "server component version, not WANTED…" for every version that does not begin as `wanted` says: "6.1" is
    6.1 and any 6.1.x, and not 6.12.

    Raises AssertionError if there is no server, or nothing is wanted: this would prove nothing.
    """
    assert found, "no servers"
    assert wanted, "no versions are wanted"
    return tuple(
        f"{server} {component} {components.get(component, '(none)')}, not {beginning.rstrip('.')}.*"
        for server, components in sorted(found.items())
        for component, beginning in wanted.items()
        if not f"{components.get(component, '')}.".startswith(f"{beginning.rstrip('.')}.")
    )


def unchanged(before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """Return "server component version" for every component that has no other version than before, or has
    none.

    Raises AssertionError if the servers or their components are not the same as before.
    """
    assert set(before) == set(after), f"servers were {sorted(before)}, are {sorted(after)}"
    for server in before:
        assert set(before[server]) == set(after[server]), f"{server}: components differ"
    return tuple(
        f"{server} {component} {version}"
        for server, components in sorted(before.items())
        for component, version in sorted(components.items())
        if after[server][component] in {version, ""}
    )
