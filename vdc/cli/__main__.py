"""`python -m vdc.cli`: the command line, where no console script is installed."""

from __future__ import annotations

import sys

from vdc.cli.main import main

sys.exit(main())
