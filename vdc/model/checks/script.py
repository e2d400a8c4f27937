"""Rules of the user's own commands."""

from __future__ import annotations

from collections.abc import Iterator

from vdc.model.checks.base import Finding, Survey
from vdc.model.words import suggest


def steps(survey: Survey) -> Iterator[Finding]:
    """A step is for servers of roles that racks have, or for the whole cluster."""
    script = survey.spec.script
    there = {role for entry in survey.entries for role in entry.spec.servers}
    for number, step in enumerate(script.deploy if script else ()):
        path = ("script", "deploy", number)
        if step.once and step.roles:
            message = "a step that is run once is for the whole cluster, not for servers of a role"
            yield Finding(path=(*path, "roles"), message=message, because=((*path, "once"),))
        for place, role in enumerate(step.roles or ()):
            if role not in there:
                message = f'no rack has a server of the role "{role}"{suggest(role, sorted(there))}'
                yield Finding(path=(*path, "roles", place), message=message, because=(("racks",),))


def data(survey: Survey) -> Iterator[Finding]:
    """What is written can be read."""
    script = survey.spec.script
    if script is not None and script.write is not None and script.read is None:
        message = "what is written must be read by somebody: give `read`, too"
        yield Finding(path=("script", "write"), message=message, because=(("script", "read"),), at_key=True)
