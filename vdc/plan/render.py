"""Templates to text. A name that was not given is an error; XML is escaped, and `quoted` is for words of a shell."""

from __future__ import annotations

import shlex
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("vdc.plan", "templates"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("xml.j2",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["quoted"] = shlex.quote
    return environment


def render(template: str, **names: object) -> str:
    """Return the text of `vdc/plan/templates/<template>` with `names` filled in."""
    return _environment().get_template(template).render(names)
