"""What a guest runs as soon as it has woken, and what makes a clone a server."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from vdc.model.topology import Server
from vdc.plan.context import PlanContext
from vdc.plan.render import render

SETTLE = """\
# what clones begin with is in memory already
for tool in perl tar ip birdc date; do cat "$(command -v $tool)" > /dev/null; done
perl -e 'open(my $r, ">", "/dev/urandom")'
ip -batch /dev/null
birdc configure
sync
# a clone finds another config disk there
blockdev --flushbufs /dev/vdc
"""
"""What a template runs last."""


WOKEN: Final = "/etc/vdc/woken.d"
"""Shell scripts in it are run in a guest that goes on, with the seconds that it has not lived through."""


def waking_script(server: Server, *, now: float, entropy: bytes) -> str:
    """Return the shell script of a server that goes on from a checkpoint; its identity is what it was.

    `now` is in seconds since the epoch, `entropy` is mixed into the kernel's random pool.
    """
    return render("waking.sh.j2", server=server, now=f"{now:.3f}", entropy=entropy.hex(), woken=WOKEN)


def identity_script(server: Server, context: PlanContext, *, now: float, boot_id: UUID, entropy: bytes) -> str:
    """Return the shell script of a clone; `now` and `entropy` as in `waking_script`.

    Names, keys and addresses are on the server's config disk. The NICs still have the MACs of the template, and have
    them again from the start when the server reboots.
    """
    return render(
        "identity.sh.j2",
        server=server,
        woken=WOKEN,
        uuid=context.uuid(server.name),
        now=f"{now:.3f}",
        boot_id=boot_id,
        entropy=entropy.hex(),
    )
