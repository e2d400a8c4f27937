"""HTTP from inside a pod, by the wget that it has (busybox)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from vdc.cluster.kubernetes.api import Answer
from vdc.errors import ClusterError

Execute = Callable[[Sequence[str]], tuple[int, str, str]]
"""Runs a command in a pod: exit status, standard output, standard error."""

_TIMED_OUT: Final = frozenset({124, 143})
"""What timeout(1) exits with when it had to end a command: of coreutils, and of busybox (by SIGTERM)."""
_STATUS: Final = re.compile(r"HTTP/1\.[01] (\d{3})")


def fetch_in(execute: Execute, url: str, *, where: str, timeout: float) -> Answer:
    """Get a URL over a new connection from inside a pod; `where` names it.

    Raises ClusterError: refused, reset or timed out, with what wget says of it.
    """
    # not wget's own -T: with it the static busybox of Debian 12 dies of a segmentation fault
    limit = str(max(1, round(timeout)))
    status, out, errors = execute(["timeout", limit, "wget", "-S", "-O", "-", url])
    # the last one: a redirection is answered before it
    found = _STATUS.findall(errors)
    if status in _TIMED_OUT:
        raise ClusterError(f"GET {url} from {where}: not answered within {limit} s")
    if not found or (status != 0 and int(found[-1]) < 400):
        said = (errors or out).strip()[-300:] or f"wget exited {status}"
        raise ClusterError(f"GET {url} from {where}: {said}")
    return Answer(status=int(found[-1]), body=out)
