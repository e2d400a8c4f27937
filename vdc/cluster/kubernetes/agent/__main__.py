"""`python3 -m vdc_agent CONFIG` works for ever; with `--withdraw` it takes back what the node announces, and ends."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

from .daemon import Daemon, withdraw
from .node import Node
from .settings import load

_STACK_BYTES = 512 * 1024


def main(arguments: list[str]) -> None:
    """Run the agent."""
    # the journal has the time
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    threading.stack_size(_STACK_BYTES)
    path, *options = arguments
    settings = load(Path(path))
    node = Node(settings)
    if "--withdraw" in options:
        withdraw(settings, node)
    else:
        Daemon(settings, node).run()


if __name__ == "__main__":
    main(sys.argv[1:])
