"""Faults of services in servers: killed, frozen, stopped, or restarted over and over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vdc.cluster.deployers import deployed
from vdc.datacenter.api import DataCenter
from vdc.errors import ClusterError
from vdc.faults.inside import OfUnit, number
from vdc.faults.sight import neighbours_back, neighbours_lost
from vdc.wait import NotYet

_ETCD: Final = frozenset({"etcd", "vdc-etcd"})
_ASKS: Final = """\
systemctl show --property=ActiveState,InvocationID,MainPID {unit}
main=$(systemctl show --property=MainPID --value {unit})
echo "process=$(sed 's/.*) //; s/ .*//' /proc/$main/stat 2>/dev/null)"
echo "before=$(cat $mark.before 2>/dev/null)"
echo "count=$(cat $mark.count 2>/dev/null)"
"""
_WAIT_ANOTHER: Final = """\
another() {{
  while :; do
    now=$(systemctl show --property=InvocationID --value {unit})
    case $(systemctl show --property=ActiveState --value {unit}) in
      active) [ "$now" = "$1" ] || return 0;;
      failed) systemctl reset-failed {unit}; systemctl start --no-block {unit};;
    esac
    sleep 0.2
  done
}}
"""


@dataclass(frozen=True, slots=True)
class _Service(OfUnit):
    """What the faults of services ask."""

    def asks(self, dc: DataCenter) -> str:
        """Its state, which of its runs this is, and the state of its main process (proc(5))."""
        del dc
        return _ASKS.format(unit=self.quoted)

    def runs(self, dc: DataCenter, seen: Mapping[str, str]) -> None:
        """Return if it runs, and those who rely on it see that it does; raises NotYet otherwise."""
        state, process = seen.get("ActiveState", ""), seen.get("process", "")
        if state != "active" or process in {"", "T", "Z"}:
            raise NotYet(f"{self.service} of {self.server} is {state}, its main process {process or 'gone'}")
        self._others(dc, well=True)

    def fails(self, dc: DataCenter) -> None:
        """Return if those who rely on it see that it does not serve; raises NotYet otherwise."""
        self._others(dc, well=False)

    def _others(self, dc: DataCenter, *, well: bool) -> None:
        if self.service == "bird" and dc.topology.server(self.server).sessions:
            (neighbours_back if well else neighbours_lost)(dc, (self.server,))
        if self.service in _ETCD:
            for healthy in _members(dc, self.server):
                if healthy is not well:
                    raise NotYet(f"the member on {self.server} is {'healthy' if healthy else 'not healthy'}")


@dataclass(frozen=True, slots=True)
class ServiceStopped(_Service):
    """A service is stopped, and stays so: nothing starts it again."""

    @property
    def name(self) -> str:
        """`SERVICE of SERVER stopped`."""
        return f"{self.service} of {self.server} stopped"

    @property
    def kind(self) -> str:
        """One word."""
        return "stopped"

    def begins(self, dc: DataCenter) -> str:
        """Stop it."""
        del dc
        return f"systemctl stop {self.quoted}"

    def ends(self) -> str:
        """Start it."""
        return f"systemctl start --no-block {self.quoted}"

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """It does not run, or runs; those who rely on it see it."""
        if not broken:
            self.runs(dc, seen)
        elif seen.get("ActiveState") not in {"inactive", "failed"}:
            raise NotYet(f"{self.service} of {self.server} is {seen.get('ActiveState')}")
        else:
            self.fails(dc)


@dataclass(frozen=True, slots=True)
class ServiceFrozen(_Service):
    """All processes of a service are stopped where they are (SIGSTOP): connections stay open, and nobody answers."""

    @property
    def name(self) -> str:
        """`SERVICE of SERVER frozen`."""
        return f"{self.service} of {self.server} frozen"

    @property
    def kind(self) -> str:
        """One word."""
        return "frozen"

    def begins(self, dc: DataCenter) -> str:
        """Stop them, until they are told to go on."""
        del dc
        return f"systemctl kill --signal=STOP {self.quoted}"

    def ends(self) -> str:
        """Let them go on."""
        return f"systemctl kill --signal=CONT {self.quoted}"

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """The kernel says that it is stopped, or not; those who rely on it see it."""
        if not broken:
            self.runs(dc, seen)
        elif seen.get("process") != "T":
            raise NotYet(f"the main process of {self.service} of {self.server} is {seen.get('process') or 'gone'}")
        else:
            self.fails(dc)


@dataclass(frozen=True, slots=True)
class ServiceKilled(_Service):
    """The main process of a service is killed (SIGKILL) once; whether it is started again is up to the service."""

    @property
    def name(self) -> str:
        """`SERVICE of SERVER killed`."""
        return f"{self.service} of {self.server} killed"

    @property
    def kind(self) -> str:
        """One word."""
        return "killed"

    def begins(self, dc: DataCenter) -> str:
        """Remember which of its runs this is, and kill it."""
        del dc
        return (
            f"systemctl show --property=InvocationID --value {self.quoted} > $mark.before\n"
            f"systemctl kill --kill-who=main --signal=KILL {self.quoted}"
        )

    def ends(self) -> str:
        """Start it, if nothing else has."""
        return f"systemctl reset-failed {self.quoted} 2>/dev/null\nsystemctl start --no-block {self.quoted}"

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """It does not run, or it is another run of it; or it runs, and nothing is left that would be healed."""
        if not broken:
            _expect_over(self, seen.get("before"))
            self.runs(dc, seen)
        elif not seen.get("before"):
            raise NotYet(f"nothing has killed {self.service} of {self.server}")
        elif seen.get("ActiveState") == "active" and seen.get("InvocationID") == seen["before"]:
            raise NotYet(f"{self.service} of {self.server} runs on")


@dataclass(frozen=True, slots=True)
class RestartStorm(_Service):
    """The main process of a service is killed again and again, each time as soon as it runs.

    Where the service may not be started so often (`StartLimitBurst`, systemd.unit(5)), that is lifted each time. It
    bites once it has been restarted `times` times.
    """

    times: int = 3

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError("a storm is of one restart at least")

    @property
    def name(self) -> str:
        """`SERVICE of SERVER restarted over and over`."""
        return f"{self.service} of {self.server} restarted over and over"

    @property
    def kind(self) -> str:
        """One word."""
        return "storm"

    def begins(self, dc: DataCenter) -> str:
        """Kill it whenever it runs, and count its runs."""
        del dc
        return (
            f"{_WAIT_ANOTHER.format(unit=self.quoted)}count=0\n"
            "while :; do\n"
            f"  run=$(systemctl show --property=InvocationID --value {self.quoted})\n"
            # between two of its runs there is no process to kill
            f"  systemctl kill --kill-who=main --signal=KILL {self.quoted} 2>/dev/null || :\n"
            '  another "$run"\n'
            "  count=$((count + 1)); echo $count > $mark.count\n"
            "done"
        )

    def ends(self) -> str:
        """Start it."""
        return f"systemctl reset-failed {self.quoted} 2>/dev/null\nsystemctl start --no-block {self.quoted}"

    def expect(self, dc: DataCenter, seen: Mapping[str, str], *, broken: bool) -> None:
        """It has been restarted so many times; or it runs, and nobody kills it any more."""
        if not broken:
            _expect_over(self, seen.get("count"))
            self.runs(dc, seen)
        elif (count := number(seen, "count")) < self.times:
            raise NotYet(f"{self.service} of {self.server} was restarted {count} times")


def _expect_over(fault: _Service, noted: str | None) -> None:
    """Pass if what a fault noted beside its mark is gone, which is the last that its end does."""
    if noted:
        raise NotYet(f"{fault.name}: that is not over")


def _members(dc: DataCenter, server: str) -> tuple[bool, ...]:
    """Return of the members of clusters that are on a server whether they are healthy, as clients outside see it."""
    found: list[bool] = []
    for cluster in deployed(dc):
        try:
            found += [member.healthy for member in cluster.state() if member.server == server]
        except ClusterError as error:
            raise NotYet(error.message) from error
    return tuple(found)
