"""A cluster in memory, on a fake data centre: it serves while a majority is up and connected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vdc.cluster.api import MemberState
from vdc.datacenter.api import Machine
from vdc.errors import ClusterError, WaitTimeout
from vdc.testing.datacenter import FakeDataCenter
from vdc.testing.lies import Lie


class FakeCluster:
    """One member on each server of `dc` that a cluster is deployed on."""

    def __init__(self, dc: FakeDataCenter) -> None:
        self._dc = dc
        self._world = dc.world
        self._leader = next(iter(self.members))
        self._replaced: set[str] = set()

    @property
    def members(self) -> tuple[str, ...]:
        """The servers of the racks that run a release of ours."""
        return tuple(server.name for server in self._dc.topology.members)

    def state(self) -> tuple[MemberState, ...]:
        """Return what every member says of itself."""
        serving, leader = self._world.serving(self.members), self._elected()
        return tuple(
            MemberState(
                server=name,
                version=self._dc.servers[name].versions()["etcd"] if name in serving else "?",
                leader=name == leader,
                healthy=name in serving or (name == leader and Lie.OLD_LEADER_STAYS in self._world.lies),
            )
            for name in self.members
        )

    def cluster_version(self) -> str:
        """Return the version that all members speak."""
        return self._world.installed.cluster_version()

    def write(self, key: str, value: str, *, via: str | None = None) -> None:
        """Keep a value; raises ClusterError if the member does not serve."""
        self._expect_serving(via)
        self._world.data[key] = value

    def read(self, key: str, *, via: str | None = None) -> str | None:
        """Return a value; raises ClusterError if the member does not serve."""
        return self.read_prefix(key, via=via).get(key)

    def read_prefix(self, prefix: str, *, via: str | None = None) -> Mapping[str, str]:
        """Return the values of these keys; raises ClusterError if the member does not serve."""
        self._expect_serving(via)
        if Lie.STALE_READS in self._world.lies and via == self.members[-1]:
            return {}
        if Lie.REPLACEMENT_EMPTY in self._world.lies and via in self._replaced:
            return {}
        return {key: value for key, value in self._world.data.items() if key.startswith(prefix)}

    def wait_serving(self, *, members: Sequence[str] | None = None) -> None:
        """Return if these members serve; raises WaitTimeout at once otherwise."""
        missing = set(self.members if members is None else members) - self._world.serving(self.members)
        if missing:
            raise WaitTimeout("the cluster to serve", deadline=0.0, last=f"not serving: {sorted(missing)}")

    def join(self, machine: Machine) -> None:
        """Do nothing: a fake member starts with its server. Raises WaitTimeout if that is down."""
        machine.run(["systemctl", "start", "etcd"])

    def replace(self, name: str) -> None:
        """Let another server of that name take the place of one; raises WaitTimeout if it does not serve."""
        machine = self._dc.servers[name]
        machine.power_off()
        machine.renew()
        machine.power_on()
        self._world.strangers.discard(name)
        self._replaced.add(name)
        self._world.changed()
        if name in self.members:
            self.wait_serving(members=[name])

    def _expect_serving(self, via: str | None) -> None:
        serving = self._world.serving(self.members)
        mute = Lie.MEMBER_MUTE in self._world.lies and via == self.members[-1]
        if mute or not serving or (via is not None and via not in serving):
            raise ClusterError(f"{via or 'the cluster'} does not answer")

    def _elected(self) -> str | None:
        serving = self._world.serving(self.members)
        stays = Lie.OLD_LEADER_STAYS in self._world.lies and self._leader not in self._world.down
        if serving and self._leader not in serving and not stays:
            self._leader = min(serving)
        return self._leader if serving else None
