"""The deployer `etcd`: one member on every server, data on the data disk, TLS everywhere.

The harness asks the cluster from where its users are: each question runs `vdc.cluster.etcd_client` in the
namespace of an external client, so it crosses the whole fabric.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vdc.cluster.api import MemberState
from vdc.cluster.clients import check_reachable, client_of
from vdc.cluster.etcd_client import ClientConfig
from vdc.cluster.etcd_config import (
    ELECTION,
    UNIT,
    addresses,
    client_url,
    heartbeat,
    install_script,
    member_config,
    member_files,
    peer_url,
)
from vdc.cluster.pki import Authority
from vdc.datacenter.api import DataCenter, Machine, Spawner
from vdc.errors import ClusterError, CommandError, HostError
from vdc.model.topology import Topology
from vdc.wait import NotYet, wait_for

_CHECK_KEY = "vdc/serving/"
_UNKNOWN = "?"


def call_timeout(slowness: float) -> float:
    """Return how long one call to a member may take, in seconds.

    etcd itself gives up on a proposal after 5 s plus two election timeouts; waiting a little less than that
    would turn its own explanation into a bare timeout, waiting much longer gains nothing.
    """
    return 6.0 * max(1.0, slowness)


def serving_deadline(slowness: float) -> float:
    """Return how long a cluster may take from its start, or a fault's end, to serve through every member."""
    return 120.0 * max(slowness, 0.25)


class EtcdCluster:
    """A deployed etcd cluster, asked through the fabric. Made by `EtcdDeployer`.

    `deadline` is how long `wait_serving` waits, in seconds, by default what suits the host.
    """

    def __init__(self, dc: DataCenter, *, client: Spawner, deadline: float | None = None) -> None:
        self._dc = dc
        self._client = client
        self._deadline = serving_deadline(dc.slowness) if deadline is None else deadline

    @property
    def members(self) -> tuple[str, ...]:
        """The servers it runs on: all of the racks, but those with an image of the user's."""
        return tuple(server.name for server in self._dc.topology.members)

    @property
    def dc(self) -> DataCenter:
        """The data centre it runs in."""
        return self._dc

    @property
    def client(self) -> Spawner:
        """The external client from which it is asked."""
        return self._client

    @property
    def config_path(self) -> Path:
        """The `ClientConfig` file of its clients."""
        return _config_path(self._dc)

    def state(self) -> tuple[MemberState, ...]:
        """Ask every member for its status and a linearizable read; healthy is who answers both."""
        return tuple(
            _member_state(name, status, read)
            for name, (status, read) in self._ask_each(self.members, _status(), _read()).items()
        )

    def cluster_version(self) -> str:
        """Return the version that all members speak; raises ClusterError if they have not agreed on one yet."""
        version: str = self._one({"member": None, "op": "version", "key": ""})
        return version

    def write(self, key: str, value: str, *, via: str | None = None) -> None:
        """Write through `via`, or through the first member that takes it."""
        self._one({"member": self._known(via), "op": "put", "key": key, "value": value})

    def read(self, key: str, *, via: str | None = None) -> str | None:
        """Read linearizably through `via`, or through the first member that answers."""
        value: str | None = self._one({"member": self._known(via), "op": "get", "key": key})
        return value

    def read_prefix(self, prefix: str, *, via: str | None = None) -> Mapping[str, str]:
        """Read every key under `prefix` linearizably, as of one revision."""
        found: dict[str, str] = self._one({"member": self._known(via), "op": "prefix", "key": prefix})
        return found

    def wait_serving(self, *, members: Sequence[str] | None = None) -> None:
        """Wait until these members serve: healthy, agreed on one leader, a write and a read through each."""
        wanted = self.members if members is None else tuple(members)
        if not wanted:
            raise ClusterError("no members to wait for: this would prove nothing")
        for member in wanted:
            self._known(member)
        wait_for(
            lambda: self._check_serving(wanted),
            what=f"etcd to serve through {', '.join(wanted)}",
            timeout=self._deadline,
            interval=0.5,
        )

    def replace(self, name: str) -> None:
        """Let another server take the place of one that is lost, with empty disks, and wait until it serves.

        The lost member is removed first, then one is added that starts with nothing
        (https://etcd.io/docs/v3.5/op-guide/runtime-configuration/#replace-a-failed-machine).

        Raises ClusterError: the others do not let it go, or in. WaitTimeout: it does not serve.
        """
        others = [member for member in self.members if member != self._known(name)]
        if not others:
            raise ClusterError(f"{name} is the only member: nobody has what it knew")
        url, machine = peer_url(self._dc.topology.server(name)), self._dc.servers[name]
        with self._dc.steps.step(f"replace {name}"):
            machine.power_off()
            self._change("remove", url, others)
            machine.renew()
            machine.power_on()
            machine.wait_answering()
            self._change("add", url, others)
            self._install(machine, joins=True)
            self.wait_serving(members=[name])

    def _change(self, op: str, url: str, asked: Sequence[str]) -> None:
        """Change who is a member. Until all are well for some seconds etcd refuses it."""

        def done() -> None:
            errors = []
            for member in asked:
                (answer,) = self._ask([{"member": member, "op": op, "key": url}])
                if "error" not in answer:
                    return
                errors.append(f"{member}: {answer['error']}")
            raise NotYet("; ".join(errors))

        wait_for(done, what=f"etcd to {op} the member at {url}", timeout=self._deadline, interval=0.5)

    def join(self, machine: Machine) -> None:
        """Configure and start the member on `machine`; does not wait for it."""
        self._install(machine, joins=False)

    def _install(self, machine: Machine, *, joins: bool) -> None:
        topology = self._dc.topology
        directory = _directory(self._dc)
        server = topology.server(machine.name)
        authority = Authority.load_or_create(directory, name=f"vdc {self._dc.name}")
        credential = authority.load_or_issue(
            directory, server.name, addresses=addresses(server), names=(server.name, "localhost")
        )
        config = member_config(
            topology, server.name, token=f"vdc-{self._dc.name}", slowness=self._dc.slowness, joins=joins
        )
        files = member_files(config, authority_pem=authority.cert_pem, credential=credential)
        try:
            machine.run(["sh"], stdin=install_script(files), timeout=60 * max(1.0, self._dc.slowness))
        except CommandError as error:
            raise ClusterError(f"{server.name}: etcd could not be installed: {error.output.strip()[-500:]}") from error

    def log(self, machine: Machine, *, lines: int = 200) -> str:
        """Return the end of a member's log."""
        return machine.run(["journalctl", "--unit", UNIT, "--no-pager", "--lines", str(lines)], timeout=60.0).stdout

    def _known(self, member: str | None) -> str | None:
        if member is not None and member not in self.members:
            raise ClusterError(f"no member {member!r}; there are {', '.join(self.members)}")
        return member

    def _check_serving(self, members: tuple[str, ...]) -> None:
        proof = f"{_CHECK_KEY}{'+'.join(members)}"
        write = {"op": "put", "key": proof, "value": "served"}
        answers = self._ask_each(members, _status(), write, {"op": "get", "key": proof})
        for name, (status, written, read) in answers.items():
            for what, answer in (("status", status), ("write", written), ("read", read)):
                if "error" in answer:
                    raise NotYet(f"{name}: {what}: {answer['error']}")
            if status["result"]["errors"]:
                raise NotYet(f"{name}: {'; '.join(status['result']['errors'])}")
            if read["result"] != "served":
                raise ClusterError(f"{name}: read {read['result']!r} where 'served' was just written")
        leaders = {status["result"]["leader"] for status, *_ in answers.values()}
        if len(leaders) != 1 or "0" in leaders:
            raise NotYet(f"the members do not agree on one leader: {', '.join(sorted(leaders))}")

    def _ask_each(self, members: Sequence[str], *calls: Mapping[str, Any]) -> dict[str, tuple[dict[str, Any], ...]]:
        """Make the same calls of every member, at the same time; member to answers."""
        answers = self._ask([{"member": member, **call} for member in members for call in calls])
        width = len(calls)
        return {member: tuple(answers[number * width : (number + 1) * width]) for number, member in enumerate(members)}

    def _one(self, call: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON, whatever the call returns
        (answer,) = self._ask([call])
        if "error" in answer:
            raise ClusterError(f"etcd: {call['op']} {call['key']} via {call['member'] or 'any'}: {answer['error']}")
        return answer["result"]

    def _ask(self, calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        # Calls of one member follow each other, and a call of "any" member may try them all.
        patience = call_timeout(self._dc.slowness) * (len(calls) + len(self.members)) + 30.0
        done = self._client.run(
            [sys.executable, "-m", "vdc.cluster.etcd_client", str(self.config_path)],
            stdin=json.dumps({"calls": list(calls)}),
            timeout=patience,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)["answers"]
        return answers


class EtcdDeployer:
    """Deploys etcd of the servers' own release. Implements `vdc.cluster.api.Deployer`."""

    speaks = "etcd"

    def timers(self, dc: DataCenter) -> Mapping[str, str]:
        """Return heartbeat and election timeout, where they are not etcd's own."""
        now, own = heartbeat(dc.slowness), heartbeat(0.0)
        told = {"etcd heartbeat": 1, "etcd election": ELECTION}
        return {name: f"{times * now} ms (default {times * own} ms)" for name, times in told.items() if now != own}

    def check(self, topology: Topology) -> None:
        """Pass if the topology has servers, and a client that reaches them to ask from. Raises HostError."""
        if not topology.members:
            raise HostError(f"{topology.name}: no servers, so nowhere to deploy etcd")
        check_reachable(topology)

    def deploy(self, dc: DataCenter, *, retain: bool = False) -> EtcdCluster:
        """Install and start every member, then wait until the cluster serves through each.

        What failed is left as it is, `retain` or not: another call goes on with it.

        Raises:
            ClusterError: a member could not be installed.
            WaitTimeout: the cluster did not serve in time.
            HostError: the topology has no servers, or no client that reaches them to ask from.
        """
        del retain
        self.check(dc.topology)
        client_of(dc)
        _prepare(dc)
        cluster = self.attach(dc)
        with dc.steps.step("deploy etcd"):
            for name in cluster.members:
                with dc.steps.step(f"install etcd on {name}"):
                    cluster.join(dc.servers[name])
            with dc.steps.step("wait until etcd serves"):
                cluster.wait_serving()
        return cluster

    def begun(self, dc: DataCenter) -> bool:
        """Return whether there is an etcd, or a part of one."""
        return _config_path(dc).exists()

    def attach(self, dc: DataCenter) -> EtcdCluster:
        """Return the handle of the deployed cluster; raises ClusterError where there is none."""
        if not _config_path(dc).exists():
            raise ClusterError(f"no etcd cluster is deployed on {dc.name}")
        cluster = EtcdCluster(dc, client=client_of(dc))
        # a fork has the keys of what it was made from, in a directory of its own
        _prepare(dc)
        return cluster


def _status() -> dict[str, Any]:
    return {"op": "status"}


def _read() -> dict[str, Any]:
    return {"op": "get", "key": _CHECK_KEY}


def _member_state(name: str, status: Mapping[str, Any], read: Mapping[str, Any]) -> MemberState:
    if "error" in status:
        return MemberState(server=name, version=_UNKNOWN, leader=False, healthy=False)
    seen = status["result"]
    return MemberState(
        server=name,
        version=seen["version"],
        leader=seen["leader"] == seen["member"],
        healthy="error" not in read and seen["leader"] != "0" and not seen["errors"],
    )


def _directory(dc: DataCenter) -> Path:
    return dc.run_directory / "etcd"


def _config_path(dc: DataCenter) -> Path:
    return _directory(dc) / "client.json"


def _prepare(dc: DataCenter) -> None:
    """Make the authority, and the credential and the configuration of the clients."""
    directory = _directory(dc)
    authority = Authority.load_or_create(directory, name=f"vdc {dc.name}")
    authority.load_or_issue(directory, "client")
    ClientConfig(
        endpoints={server.name: client_url(server) for server in dc.topology.members},
        ca=str(directory / "ca.crt"),
        cert=str(directory / "client.crt"),
        key=str(directory / "client.key"),
        timeout=call_timeout(dc.slowness),
    ).save(_config_path(dc))
