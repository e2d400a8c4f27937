"""Tables of nftables (nft(8)) in namespaces: put in place at once, and taken away without a trace."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from vdc.errors import BuildError, CommandError
from vdc.shell import in_namespace, run

_SECONDS: Final = 30.0


def load(netns: str, rules: str, *, about: str) -> None:
    """Put all rules in place, or none. Raises BuildError of `about`: the namespace is gone, or the kernel refuses."""
    try:
        run(in_namespace(netns, ["nft", "-f", "-"]), stdin=rules, timeout=_SECONDS)
    except CommandError as error:
        raise BuildError(about, error.output.strip()) from error


def delete(netns: str, table: str) -> None:
    """Remove a table, named with its family; one that is not there is fine."""
    with suppress(BuildError):  # with the namespace everything in it is gone
        # nft 1.0.6 has no `destroy`: what has just been added can be deleted
        load(netns, f"add table {table}\ndelete table {table}\n", about=table)
