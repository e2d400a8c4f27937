"""The way by commands of the user's own: hooks of a path, with the inventory of the data centre in their environment.

So a team tests the tool here that it provisions its servers with. What commands find in their environment is told in
`vdc.cluster.script_environment`; besides, VDC_COMPONENT and VDC_VERSION say what a node is to have.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from vdc.cluster.api import Cluster
from vdc.cluster.script_environment import environment, prepare
from vdc.datacenter.api import DataCenter
from vdc.datacenter.convergence import wait_converged
from vdc.datacenter.pace import budget, deadline
from vdc.errors import ClusterError, InputError, VdcError
from vdc.rolling.queue import Node, nodes_of
from vdc.shell import run, run_logged
from vdc.upgrade.path import Change, Hook, UpgradePath
from vdc.upgrade.way import Step
from vdc.wait import NotYet, wait_for

_CHECK_SECONDS: Final = 60.0


class Hooked:
    """Runs the hooks of a path on this host, for one node after the other. Implements `vdc.upgrade.way.Way`."""

    def __init__(self, dc: DataCenter, cluster: Cluster, path: UpgradePath) -> None:
        if unchecked := [hook.component for hook in path.hooks if not hook.check]:
            raise InputError(
                f"{path.name}: nothing tells which version of {', '.join(unchecked)} a node runs",
                hint="give its hook a `check`, which exits 0 where $VDC_SERVER runs $VDC_VERSION",
            )
        self._dc = dc
        self._cluster = cluster
        self._path = path
        self._logs = dc.run_directory / "upgrade"

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The members of the cluster."""
        return tuple(node for node in nodes_of(self._dc.topology) if node.name in self._cluster.members)

    def at(self, node: str) -> str:
        """Return the release by what the checks say: each hook must find the same side of its change."""
        sides = {self._side(hook, node) for hook in self._path.hooks}
        return sides.pop() if len(sides) == 1 else f"a part of {self._path.after}"

    def forward(self, node: str) -> tuple[Step, ...]:
        """Return a step for each hook."""
        return tuple(self._step(hook, hook.run, node, self._change(hook).new) for hook in self._path.hooks)

    def back(self, node: str) -> tuple[Step, ...]:
        """Return a step for each hook, the last one first."""
        return tuple(self._step(hook, hook.back, node, self._change(hook).old) for hook in reversed(self._path.hooks))

    def no_return(self) -> str | None:
        """Return which hooks have no way back."""
        stuck = [hook.component for hook in self._path.hooks if not hook.back]
        return f"no hook takes {', '.join(stuck)} back" if stuck else None

    def _change(self, hook: Hook) -> Change:
        for change in self._path.changes:
            if change.component == hook.component:
                return change
        return Change(component=hook.component, old=self._path.origin, new=self._path.target)

    def _side(self, hook: Hook, node: str) -> str:
        change = self._change(hook)
        old, new = (self._runs(hook, node, version) for version in (change.old, change.new))
        if old and new and change.old != change.new:
            return f"two versions of {hook.component}, as its check says, which cannot be"
        if new:
            return self._path.after
        return self._path.before if old else f"neither version of {hook.component}"

    def _runs(self, hook: Hook, node: str, version: str) -> str | None:
        """Return the version if a node runs it, or None."""
        env = self._environment(hook, node, version)
        done = run(hook.check, timeout=budget(self._dc, _CHECK_SECONDS), check=False, env=env, contained=True)
        return version if done.status == 0 else None

    def _step(self, hook: Hook, command: tuple[str, ...], node: str, version: str) -> Step:
        name = f"{hook.component} {version}".strip()
        return Step(name, partial(self._do, hook, command, node, version), partial(self._wait, hook, node, version))

    def _do(self, hook: Hook, command: tuple[str, ...], node: str, version: str) -> None:
        if hook.once and self._runs(hook, node, version):
            return  # it was run for another node, and is for all of them
        log = self._logs / f"{hook.component}-{node}.log"
        try:
            run_logged(
                command,
                log=log,
                timeout=budget(self._dc, hook.seconds),
                env=self._environment(hook, node, version),
                contained=True,
            )
        except VdcError as error:
            raise ClusterError(
                f"{node}: `{shlex.join(command)}`: {error.message}", hint="a further call runs it again"
            ) from error

    def _wait(self, hook: Hook, node: str, version: str) -> None:
        def expect() -> None:
            if not self._runs(hook, node, version):
                raise NotYet(f"`{shlex.join(hook.check)}` says that it does not")

        what = f"{node} to run {hook.component} {version}"
        wait_for(expect, what=what, timeout=deadline(self._dc, _CHECK_SECONDS), interval=1.0)
        wait_converged(self._dc)
        self._cluster.wait_serving()

    def _environment(self, hook: Hook, node: str, version: str) -> Mapping[str, str]:
        self._logs.mkdir(parents=True, exist_ok=True)
        # each time: a fork has other namespaces than what it was made from
        prepare(self._dc, Path(self._dc.run_directory, "script"))
        server = None if hook.once else self._dc.topology.server(node)
        return {**environment(self._dc, server), "VDC_COMPONENT": hook.component, "VDC_VERSION": version}
