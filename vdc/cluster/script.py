"""The deployer `script`: the user's own commands put a cluster on the servers, and say how to ask it.

They run on this host, with the inventory of the data centre in their environment, and reach servers as
`ssh -F $VDC_SSH_CONFIG $VDC_SERVER`.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from vdc.cluster.api import MemberState
from vdc.cluster.script_environment import environment, prepare
from vdc.datacenter.api import DataCenter, Machine
from vdc.datacenter.pace import budget, deadline
from vdc.errors import ClusterError, HostError, InputError, VdcError
from vdc.model.deployment import Script, ScriptStep
from vdc.model.topology import Server, Topology
from vdc.shell import Completed, find, run, run_logged
from vdc.wait import NotYet, wait_for

ABSENT: Final = 3
"""The exit code by which `read` says that there is no such key."""

_CHECK_KEY: Final = "vdc/serving"
_UNKNOWN: Final = "?"
_LEADS: Final = "leader"
_CALL_SECONDS: Final = 60.0
_AT_ONCE: Final = 4


class ScriptCluster:
    """A cluster that the user's commands deployed. Made by `ScriptDeployer`."""

    def __init__(self, dc: DataCenter, script: Script) -> None:
        self._dc = dc
        self._script = script

    @property
    def members(self) -> tuple[str, ...]:
        """The servers of the racks, but those with an image of the user's."""
        return tuple(server.name for server in self._dc.topology.members)

    def state(self) -> tuple[MemberState, ...]:
        """Run the check on every member: healthy is where it exits 0."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(self._state_of, self.members))

    def write(self, key: str, value: str, *, via: str | None = None) -> None:
        """Write through the member `via`, or through the first that takes it."""
        self._ask("write", self._script.write, key, via, stdin=value)

    def read(self, key: str, *, via: str | None = None) -> str | None:
        """Read through the member `via`, or through the first that answers."""
        done = self._ask("read", self._script.read, key, via, fine=(0, ABSENT))
        return None if done.status == ABSENT else done.stdout.removesuffix("\n")

    def read_prefix(self, prefix: str, *, via: str | None = None) -> Mapping[str, str]:
        """Read every key that `list` prints."""
        keys = self._ask("list", self._script.list, prefix, via).stdout.splitlines()
        values = {key: self.read(key, via=via) for key in keys}
        return {key: value for key, value in values.items() if value is not None}

    def wait_serving(self, *, members: Sequence[str] | None = None) -> None:
        """Wait until the check passes on these members, and where the file says how, a write and a read do."""
        wanted = self.members if members is None else tuple(members)
        if not wanted:
            raise ClusterError("no members to wait for: this would prove nothing")
        wait_for(
            lambda: self._check_serving(wanted),
            what=f"the cluster to serve through {', '.join(wanted)}",
            timeout=deadline(self._dc, self._script.timeout),
            interval=0.5,
        )

    def join(self, machine: Machine) -> None:
        """Run the steps of the deployment that are for this server."""
        for number, step in enumerate(self._script.deploy, start=1):
            if not step.once and machine.name in _servers_of(step, self._dc.topology):
                self.take(number, step, machine.spec)

    def deploy(self) -> None:
        """Run every step: each on all of its servers before the next one begins. Raises ClusterError."""
        topology = self._dc.topology
        for number, step in enumerate(self._script.deploy, start=1):
            servers = map(topology.server, _servers_of(step, topology))
            with self._dc.steps.step(f"step {number}: {shlex.join(step.run)}"), ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(partial(self.take, number, step), (None,) if step.once else servers))

    def take(self, number: int, step: ScriptStep, server: Server | None) -> None:
        """Run a step for a server, or once. Raises ClusterError with the step, the server and the end of its log."""
        who = server.name if server else self._dc.name
        log = _directory(self._dc) / f"{number}-{who}.log"
        try:
            run_logged(
                step.run,
                log=log,
                timeout=budget(self._dc, self._script.timeout),
                env=environment(self._dc, server),
                contained=True,
            )
        except VdcError as error:
            raise ClusterError(
                f"script: step {number} for {who}: {error.message}",
                hint="deploying again runs all steps again; what they did so far stays",
            ) from error

    def _state_of(self, name: str) -> MemberState:
        try:
            done = self._run(self._script.serving, name)
        except VdcError:
            return MemberState(server=name, version=_UNKNOWN, leader=False, healthy=False)
        version, _, rest = done.stdout.strip().partition(" ")
        return MemberState(
            server=name, version=version or _UNKNOWN, leader=_LEADS in rest.split(), healthy=done.status == 0
        )

    def _check_serving(self, members: Sequence[str]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._check_member, members))

    def _check_member(self, name: str) -> None:
        try:
            done = self._run(self._script.serving, name)
            if done.status != 0:
                raise NotYet(f"{name}: `{shlex.join(self._script.serving)}` exits {done.status}: {_said(done)}")
            if self._script.write:
                self._check_data(name)
        except VdcError as error:
            raise NotYet(f"{name}: {error.message}") from error

    def _check_data(self, name: str) -> None:
        value = f"served by {name}"
        self.write(f"{_CHECK_KEY}/{name}", value, via=name)
        if (seen := self.read(f"{_CHECK_KEY}/{name}", via=name)) != value:
            raise NotYet(f"{name}: read {seen!r} where {value!r} was just written")

    def _ask(
        self,
        verb: str,
        command: tuple[str, ...],
        key: str,
        via: str | None,
        *,
        stdin: str = "",
        fine: tuple[int, ...] = (0,),
    ) -> Completed:
        """Run a command through a member, or through one after the other until it ends well."""
        if not command:
            raise ClusterError(
                f"script: no command `{verb}`, so nothing can be kept in this cluster",
                hint=f"script: {{{verb}: [./COMMAND]}}; topologies/README.md tells what it must do",
            )
        if via is not None and via not in self.members:
            raise ClusterError(f"no member {via!r}; there are {', '.join(self.members)}")
        said = ""
        for member in self.members if via is None else (via,):
            try:
                done = self._run(command, member, stdin=stdin, VDC_KEY=key)
            except VdcError as error:
                said = f"{member}: {error.message}"
                continue
            if done.status in fine:
                return done
            said = f"{member}: exits {done.status}: {_said(done)}"
        raise ClusterError(f"script: {verb} {key} via {via or 'any'}: {said}")

    def _run(self, command: tuple[str, ...], member: str, *, stdin: str = "", **more: str) -> Completed:
        env = {**environment(self._dc, self._dc.topology.server(member)), **more}
        return run(command, timeout=budget(self._dc, _CALL_SECONDS), check=False, stdin=stdin, env=env, contained=True)


class ScriptDeployer:
    """Deploys by the commands of the topology's section `script`. Implements `vdc.cluster.api.Deployer`."""

    speaks: str = ""

    def timers(self, dc: DataCenter) -> Mapping[str, str]:
        """Return none: what it deploys is the user's own."""
        del dc
        return {}

    def check(self, topology: Topology) -> None:
        """Pass if there are commands, and servers to run them for.

        Raises:
            InputError: the topology has no section `script`, or no servers of a release of ours.
            HostError: a command is not there, or may not be run.
        """
        script = _script(topology)
        if not topology.members:
            raise InputError(f"{topology.name}: no servers, so nowhere to deploy a cluster")
        for command in script.commands:
            if find(command[0]) is None:
                hint = f"chmod +x {command[0]}" if Path(command[0]).is_file() else "name a program of this host"
                raise HostError(f"script: {command[0]} is no program", hint=hint)

    def deploy(self, dc: DataCenter, *, retain: bool = False) -> ScriptCluster:
        """Run all steps, then wait until the cluster serves; a deployment that was done before is only waited for.

        Raises:
            ClusterError: a step failed. What steps did so far stays, whether or not to `retain` it.
            WaitTimeout: the cluster did not serve in time.
        """
        del retain
        self.check(dc.topology)
        prepare(dc, _directory(dc))
        cluster = ScriptCluster(dc, _script(dc.topology))
        done, digest = _directory(dc) / "deployed", commands_digest(dc.topology)
        with dc.steps.step("deploy by script"):
            if not done.exists() or done.read_text(encoding="utf-8") != digest:
                done.unlink(missing_ok=True)
                cluster.deploy()
            with dc.steps.step("wait until the cluster serves"):
                cluster.wait_serving()
        done.write_text(digest, encoding="utf-8")
        return cluster

    def begun(self, dc: DataCenter) -> bool:
        """Return whether a command was run."""
        return _directory(dc).exists()

    def attach(self, dc: DataCenter) -> ScriptCluster:
        """Return the handle of a cluster that was deployed before; raises ClusterError where there is none."""
        if dc.topology.script is None or not (_directory(dc) / "deployed").exists():
            raise ClusterError(f"no cluster is deployed by script on {dc.name}")
        # a fork has other namespaces than what it was made from
        prepare(dc, _directory(dc))
        return ScriptCluster(dc, dc.topology.script)


def commands_digest(topology: Topology) -> str:
    """Return what a deployment is known by: the servers, the commands, and what is in the files that these name."""
    script = topology.script
    if script is None:
        return ""
    whole = hashlib.sha256(repr((script, [server.name for server in topology.members])).encode())
    for word in sorted({word for command in script.commands for word in command if os.sep in word}):
        with suppress(OSError):  # no file, but words for a shell, which may be longer than a path can be
            whole.update(Path(word).read_bytes())
    return whole.hexdigest()


def _script(topology: Topology) -> Script:
    if topology.script is None:
        raise InputError(
            f"{topology.name} has no commands that deploy a cluster",
            hint="give the topology a section `script`; topologies/README.md has its keys",
        )
    return topology.script


def _servers_of(step: ScriptStep, topology: Topology) -> tuple[str, ...]:
    return tuple(server.name for server in topology.members if not step.roles or server.role in step.roles)


def _directory(dc: DataCenter) -> Path:
    return dc.run_directory / "script"


def _said(done: Completed) -> str:
    return (done.stderr or done.stdout).strip()[-500:] or "(no output)"
