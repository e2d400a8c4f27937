"""`vdc doctor`: what this host can do, and what to do about what it can't."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from vdc.cli.context import Host, host_of

if TYPE_CHECKING:
    from vdc.host.preflight import HostFacts
    from vdc.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: `ok` is None where it could not be known."""

    what: str
    ok: bool | None
    detail: str


def doctor(context: typer.Context) -> None:
    """Tell what this host can do, and what it lacks.

    Looks at privilege, packages, the kernel, images and the accelerator; exits 3 if any lacks. Tells how much memory,
    CPU and disk is left, and which data centres have the rest.
    """
    host = host_of(context)
    findings = tuple(examine(host))
    from vdc.cli.render import findings_text

    typer.echo(findings_text(findings))
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(3)


def examine(host: Host) -> Iterator[Finding]:
    """Yield a finding for each thing that vdc depends on."""
    from vdc.host.preflight import gather

    settings = host.settings()
    facts = gather(settings)
    root = host.is_root
    yield Finding(what="privilege", ok=root, detail="root" if root else "not root: use sudo")
    yield from judge(facts, root=root)
    yield _accelerator(settings, may_probe=root and bool(facts.images))


def judge(facts: HostFacts, *, root: bool) -> Iterator[Finding]:
    """Yield what the facts of a host mean; without root the kernel was not asked."""
    from vdc.host.preflight import MIB, SERVER_FEATURES

    yield _packages(facts.tools)
    lacking = sorted(SERVER_FEATURES - facts.features)
    if root:
        detail = f"makes no {', '.join(lacking)}" if lacking else ", ".join(sorted(SERVER_FEATURES))
        yield Finding(what="kernel", ok=not lacking, detail=detail)
    else:
        yield Finding(what="kernel", ok=None, detail="only root may ask")
    there = facts.ledger
    yield Finding(what="memory", ok=None, detail=there.memory.account)
    yield Finding(what="CPU", ok=None, detail=there.vcpus.account)
    yield Finding(what="disk", ok=None, detail=f"for data centres, {there.disk.account}")
    yield Finding(what="cache", ok=None, detail=f"for images and checkpoints, {facts.cache_free // MIB} MiB are free")
    images = ", ".join(sorted(facts.images)) or "none; `vdc up` or `vdc images build` builds them"
    yield Finding(what="images", ok=None, detail=images)


def _packages(tools: frozenset[str]) -> Finding:
    from vdc.host.preflight import OPTIONAL_TOOLS, PACKAGES, install_hint

    missing = PACKAGES.keys() - tools
    hint = install_hint(missing)
    if missing and missing <= OPTIONAL_TOOLS:
        return Finding(what="packages", ok=None, detail=f"{hint}: only for `vdc {', '.join(sorted(missing))}`")
    return Finding(what="packages", ok=not missing, detail=hint or "all installed")


def _accelerator(settings: Settings, *, may_probe: bool) -> Finding:
    from vdc.errors import VdcError
    from vdc.host.accelerator import cached, probe

    try:
        found = probe(settings) if may_probe else cached(settings)
    except VdcError as error:
        return Finding(what="accelerator", ok=False, detail=str(error))
    if found is None:
        return Finding(what="accelerator", ok=None, detail="not probed yet, which needs root and an image")
    return Finding(
        what="accelerator",
        ok=True,
        detail=f"{found.kind}: {found.reason}; a small kernel boots in {found.seconds:.1f} s, "
        f"deadlines are multiplied by {found.slowness:.2f}",
    )
