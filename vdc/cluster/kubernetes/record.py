"""What is known of a cluster besides its topology: kept in the run directory, so that every process knows the same."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Self

from vdc.cluster.kubernetes.spec import ClusterSpec, cluster_spec
from vdc.datacenter.api import DataCenter

DIRECTORY: Final = "kubernetes"
"""In the run directory: the record, the authorities and all credentials."""
_FILE: Final = "cluster.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What became of servers: `joined` were nodes once, `promoted` and `removed` are what somebody made of them.

    `name` is the cluster's, which forks of its data centre keep; `versions` are of the release that was deployed. From
    when it is `founded`, members of etcd join those that there are. `changing` are servers that something was begun
    with and is not known to be done: who comes next takes care of them. `slowness` is what its timers follow from:
    that of the host when it was begun, since all that runs would start again with others. Older records have none.
    """

    name: str = ""
    slowness: float | None = None
    founded: bool = False
    joined: frozenset[str] = frozenset()
    promoted: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    changing: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, dc: DataCenter) -> Self:
        """Return what is recorded of a data centre's cluster; nothing, if there is none."""
        try:
            kept = json.loads(_path(dc).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        return cls(
            name=kept["name"],
            slowness=kept.get("slowness"),
            founded=kept.get("founded", bool(kept["joined"])),
            joined=frozenset(kept["joined"]),
            promoted=frozenset(kept["promoted"]),
            removed=frozenset(kept["removed"]),
            changing=frozenset(kept.get("changing", ())),
            versions=kept["versions"],
        )

    def save(self, dc: DataCenter) -> None:
        """Record it; a reader never sees half of it."""
        path = _path(dc)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(asdict(self), default=sorted, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)

    def beginning(self, name: str) -> Self:
        """Return it with a server that is to be a node, or to be another one, or none any more."""
        return replace(self, changing=self.changing | {name}, removed=self.removed - {name})

    def with_joined(self, names: Iterable[str]) -> Self:
        """Return it with servers that are nodes now."""
        there = frozenset(names)
        return replace(self, joined=self.joined | there, changing=self.changing - there)

    def without(self, name: str) -> Self:
        """Return it with a server that is none any more."""
        return replace(
            self,
            joined=self.joined - {name},
            promoted=self.promoted - {name},
            removed=self.removed | {name},
            changing=self.changing - {name},
        )

    def pace(self, dc: DataCenter) -> float:
        """Return the slowness that its timers follow from: this host's, where none is recorded."""
        return dc.slowness if self.slowness is None else self.slowness

    def cluster(self, dc: DataCenter) -> ClusterSpec:
        """Return the cluster that there is to be."""
        whole = cluster_spec(
            dc.topology, name=self.name, versions=self.versions, slowness=self.pace(dc), promoted=self.promoted
        )
        nodes = tuple(node for node in whole.nodes if node.name not in self.removed)
        return replace(whole, nodes=nodes)


def directory(dc: DataCenter) -> Path:
    """Return where a cluster's credentials are."""
    return dc.run_directory / DIRECTORY


def _path(dc: DataCenter) -> Path:
    return directory(dc) / _FILE
