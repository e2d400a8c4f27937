"""`python3 -m vdc_agent CONFIG` works for ever."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path

from .daemon import Daemon
from .node import Node
from .settings import load

_STACK_BYTES = 512 * 1024


def main(arguments: list[str]) -> None:
    """Run the agent."""
    # the journal has the time
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    threading.stack_size(_STACK_BYTES)
    settings = load(Path(arguments[0]))
    Daemon(settings, Node(settings)).run()


if __name__ == "__main__":
    main(sys.argv[1:])
