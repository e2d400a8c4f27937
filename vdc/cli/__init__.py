"""The command line `vdc`. Commands import what is heavy themselves, so that help is instant."""

from __future__ import annotations

from vdc.cli.main import main

__all__ = ["main"]
