"""What compiling a topology takes, measured in a process of its own: `python -m vdc.cli.bench.planning FILE`."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from vdc.cli.main import tune
from vdc.model.load import read_topology
from vdc.plan.plan import PlanContext, make_plan


def main(file: Path) -> None:
    """Validate, expand and plan a topology; print the seconds and the most memory, in bytes, as JSON."""
    tune()
    start = time.monotonic()
    context = PlanContext(
        instance="bench-plan", state_dir=Path("/run"), cache_dir=Path("/run"), accelerator="tcg", slowness=1.0
    )
    make_plan(read_topology(file), context)
    seconds = time.monotonic() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # getrusage(2): in kibibytes
    sys.stdout.write(json.dumps({"seconds": seconds, "memory": memory}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
