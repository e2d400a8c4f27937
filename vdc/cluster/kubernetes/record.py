"""What is known of a cluster besides its topology: kept in the run directory, so that every process knows the same."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
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

    `name` is the cluster's, which forks of its data centre keep; `versions` are of the release that was deployed.
    """

    name: str = ""
    joined: frozenset[str] = frozenset()
    promoted: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
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
            joined=frozenset(kept["joined"]),
            promoted=frozenset(kept["promoted"]),
            removed=frozenset(kept["removed"]),
            versions=kept["versions"],
        )

    def save(self, dc: DataCenter) -> None:
        """Record it; a reader never sees half of it."""
        path = _path(dc)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(asdict(self), default=sorted, indent=1) + "\n", encoding="utf-8")
        draft.replace(path)

    def with_joined(self, name: str) -> Self:
        """Return it with a server that is a node now."""
        return replace(self, joined=self.joined | {name}, removed=self.removed - {name})

    def without(self, name: str) -> Self:
        """Return it with a server that is none any more."""
        return replace(
            self, joined=self.joined - {name}, promoted=self.promoted - {name}, removed=self.removed | {name}
        )

    def cluster(self, dc: DataCenter) -> ClusterSpec:
        """Return the cluster that there is to be."""
        whole = cluster_spec(
            dc.topology, name=self.name, versions=self.versions, slowness=dc.slowness, promoted=self.promoted
        )
        nodes = tuple(node for node in whole.nodes if node.name not in self.removed)
        return replace(whole, nodes=nodes)


def directory(dc: DataCenter) -> Path:
    """Return where a cluster's credentials are."""
    return dc.run_directory / DIRECTORY


def _path(dc: DataCenter) -> Path:
    return directory(dc) / _FILE
