"""Requests while something happens: to whatever answers HTTP or DNS, from a client outside, all the time."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import Popen  # noqa: TID251 - the type only; vdc.shell starts the process
from typing import IO

from vdc.datacenter.api import Spawner
from vdc.observe.flow_watch import FlowWatch, Recorded, watched
from vdc.observe.sampler import DURATION, ProbeError, save
from vdc.observe.targets import RequestProbeConfig, Target


@contextmanager
def requests(dc: Recorded, client: Spawner, targets: Sequence[Target]) -> Iterator[FlowWatch]:
    """Have a client ask all targets for the body. Raises ProbeError: there is none, or the probe died or stopped."""
    if not targets:
        raise ProbeError("nothing to ask: no target is given")
    config = RequestProbeConfig(
        source=f"request-probe {uuid.uuid4().hex[:12]}",
        history=str(dc.recorder.path),
        targets=tuple(replace(target, client=client.name) for target in targets),
        duration=DURATION,
    )

    def start(stem: Path, output: IO[bytes]) -> Popen[bytes]:
        path = stem.with_suffix(".json")
        save(config, path)
        return client.start([sys.executable, "-m", "vdc.observe.request_probe", str(path)], output=output)

    period = max(target.period for target in targets)
    with watched(dc, config.targets, {config.source: start}, period=period) as watch:
        yield watch
