"""A path: how one release replaces another, what users may notice of it, and what may be different afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal

ClusterKind = Literal["etcd", "kubernetes", "script", "none"]
"""What runs on the servers: the name of a deployer, or `none` where only the fabric matters."""

Traffic = Literal["etcd", "flows", "api", "api-server", "service", "load-balancer", "dns", "volume"]
"""The kinds of ways by which users reach something: each has its budget of outage.

`api` is the Kubernetes API as users have it, through a proxy that asks any API server; `api-server` is one by itself,
while it is replaced: all that there is where the cluster has no other.
"""

StateKind = Literal["sysctl", "firewall", "route", "unit"]
"""The kinds of state of a server that are compared before and after."""


class Method(StrEnum):
    """How a node comes by the new release."""

    REIMAGE = "reimage"
    """A new root disk, and a boot from it; data disks stay."""
    IN_PLACE = "in-place"
    """New files, and a restart of the services that run them; pods run on."""
    DRAIN = "drain"
    """Like in-place, of a node that its pods were moved away from."""
    RESTART = "restart"
    """The daemon of a router is replaced, and restarts gracefully."""
    FIRMWARE = "firmware"
    """Other firmware, from the next boot on."""
    WORKLOAD = "workload"
    """What runs on the cluster: a custom resource and its controller."""


class Variant(StrEnum):
    """A way to go a path: what is tried on it."""

    PLAIN = "plain"
    """From one end to the other."""
    HOLD = "hold"
    """Held after one node, half of them and all but one: the mixed versions must serve."""
    ROLLBACK_ONE = "rollback-one"
    """One node goes back midway."""
    ROLLBACK_ALL = "rollback-all"
    """All go back afterwards; where none can, that must be told."""
    INTERRUPTED = "interrupted"
    """The upgrader is killed at each boundary of steps, and another one resumes."""
    UNDER_FAULT = "under-fault"
    """Something breaks during each step."""
    SKIP_LEVEL = "skip-level"
    """Past a release that lies between."""
    AGAIN = "again"
    """To the release that runs already: nothing may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What may be different afterwards, and why: whatever of this kind has a name like `pattern` (a glob).

    It may be another way than before, unless `before` is False; `fresh` says that it may be another way than after a
    fresh install.
    """

    kind: StateKind
    pattern: str
    reason: str
    before: bool = True
    fresh: bool = False

    def covers(self, kind: str, name: str) -> bool:
        """Return whether this allows a difference of the thing of that name."""
        return kind == self.kind and fnmatchcase(name, self.pattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Commands of the user's own that upgrade one component; they find the inventory in their environment.

    `run` gives it the new version, `back` the old one, `check` exits 0 where it runs the version VDC_VERSION: each for
    every server (VDC_SERVER), or `once`. Paths in them are absolute, and one takes `seconds` at most.
    """

    component: str
    run: tuple[str, ...]
    back: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    once: bool = False
    seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A component of another version. A version is what it begins with, "3.5" for any 3.5.x; "" where there is none."""

    component: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.component} {self.old or 'none'} → {self.new or 'none'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradePath:
    """A row of the file of paths.

    `origin` and `target` are releases, and `changes` is what differs between them. `topology` is the file of the data
    centre on which it is tried, `at_once` how many nodes may be away together. `budgets` are the longest outages that
    users may see, in seconds on a host of slowness 1 (see `vdc.datacenter.pace.budget`). `evicts` says that pods may be
    moved or restarted. `scenario` is the file that tries it, None where there is none yet. `hooks` are
    commands by which it is gone instead of `method`.
    """

    name: str
    about: str
    origin: str
    target: str
    method: Method
    cluster: ClusterKind
    topology: str
    changes: tuple[Change, ...]
    at_once: int = 1
    budgets: Mapping[Traffic, float] = field(default_factory=lambda: MappingProxyType({}))
    evicts: bool = False
    allowed: tuple[Allowed, ...] = ()
    variants: tuple[Variant, ...] = (Variant.PLAIN,)
    hooks: tuple[Hook, ...] = ()
    scenario: str | None = None

    @property
    def again(self) -> UpgradePath:
        """The same path for nodes that have gone it: nothing is left to be done."""
        same = tuple(replace(each, old=each.new) for each in self.changes)
        return replace(self, origin=self.target, changes=same)

    @property
    def before(self) -> str:
        """What nodes are at before: the old release. Where that is the new one, too, it says what of it is old."""
        return self._end(self.origin, (f"{each.component} {each.old or 'none'}" for each in self.changes))

    @property
    def after(self) -> str:
        """What nodes are at afterwards."""
        return self._end(self.target, (f"{each.component} {each.new or 'none'}" for each in self.changes))

    def _end(self, release: str, has: Iterable[str]) -> str:
        alike = self.origin == self.target and any(each.old != each.new for each in self.changes)
        return f"{release} with {', '.join(has)}" if alike else release
