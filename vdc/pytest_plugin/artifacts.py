"""What explains a failure, gathered while it is still there, for the report of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vdc.datacenter.api import DataCenter
from vdc.evidence import Bundle, gather
from vdc.evidence.bundle import INDEX, SUFFIX


def collect(dc: DataCenter, folder: Path, facts: Mapping[str, str] | None = None) -> Bundle:
    """Gather a bundle in `folder`, whose name it has, too; its index is beside it."""
    bundle = gather(dc, folder / f"{folder.name}{SUFFIX}", facts=facts)
    (folder / INDEX).write_text(bundle.index, encoding="utf-8")
    return bundle
