"""The cluster that the user's own commands deploy."""

from __future__ import annotations

from vdc.model.deployment import Script, ScriptStep
from vdc.model.spec import ScriptSpec


def make_script(spec: ScriptSpec | None) -> Script | None:
    """Return the commands of a file that has any."""
    if spec is None:
        return None
    return Script(
        deploy=tuple(ScriptStep(run=step.run, roles=step.roles or (), once=step.once) for step in spec.deploy),
        serving=spec.serving,
        write=spec.write or (),
        read=spec.read or (),
        list=spec.list or (),
        timeout=spec.timeout,
    )
