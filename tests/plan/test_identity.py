"""The scripts that guests run when they have woken, to the letter; and the shell must understand them."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from tests.conftest import Golden
from tests.model.strategies import small
from vdc.plan.identity import SETTLE, identity_script, waking_script
from vdc.plan.plan import PlanContext
from vdc.shell import run

GOLDEN = Path(__file__).parents[1] / "golden" / "scripts"
CONTEXT = PlanContext(
    instance="small",
    state_dir=Path("/var/lib/vdc"),
    cache_dir=Path("/var/cache/vdc"),
    accelerator="tcg",
    slowness=1.0,
)
NOW, ENTROPY = 1767225600.5, bytes(range(8))
SCRIPTS = {
    "waking.sh": waking_script(small().servers[0], now=NOW, entropy=ENTROPY),
    "identity.sh": identity_script(small().servers[0], CONTEXT, now=NOW, boot_id=UUID(int=1), entropy=ENTROPY),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_what_it_was_before(name: str, golden: Golden) -> None:
    golden(GOLDEN / name, SCRIPTS[name])


@pytest.mark.parametrize("text", [*SCRIPTS.values(), SETTLE], ids=[*SCRIPTS, "settle"])
def test_the_shell_understands_it(text: str) -> None:
    run(["sh", "-n"], stdin=text, timeout=10)


def test_two_servers_are_told_apart_and_no_two_draws_are_alike() -> None:
    first, second = small().servers[:2]
    texts = [
        identity_script(server, CONTEXT, now=NOW, boot_id=UUID(int=number), entropy=bytes([number]))
        for number, server in enumerate((first, second))
    ]
    for server, text, other in zip((first, second), texts, texts[::-1], strict=True):
        for own in (server.name, str(CONTEXT.uuid(server.name)), *(port.mac for port in server.ports)):
            assert own in text
            assert own not in other
