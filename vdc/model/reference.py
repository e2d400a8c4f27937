"""The keys of topology files as tables, for `topologies/README.md`: what each takes, its default and its meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from vdc.model.schema import schema

_ORDER: Final[tuple[tuple[str, str], ...]] = (
    ("FabricSpec", "`fabric`"),
    ("RackSpec", "`racks[]`"),
    ("ServerSpec", "`roles.ROLE`, and the same in `racks[].roles.ROLE`, `devices.NAME.server` and `overrides.NAME`"),
    ("SmpSpec", "`smp` of a server"),
    ("SmbiosSpec", "`smbios` of a server"),
    ("VolumeSpec", "`volumes[]` of a server"),
    ("IoLimitsSpec", "`limits` of a volume"),
    ("ImageSpec", "`images.NAME`"),
    ("ExternalSpec", "`external`"),
    ("ClientsSpec", "`operation`"),
    ("OobSpec", "`oob`"),
    ("InternetSpec", "`internet`"),
    ("NetworkSpec", "`networks.NAME`"),
    ("DeviceSpec", "`devices.NAME`"),
    ("InterfaceSpec", "`devices.NAME.interfaces[]`"),
    ("LinkSpec", "`links[]`"),
    ("OverrideSpec", "`overrides.NAME`, besides what a role may say"),
    ("RoutingSpec", "`routing`"),
    ("BfdSpec", "`routing.bfd` and `routing.server_bfd`"),
    ("PoolsSpec", "`pools`"),
    ("Pools6Spec", "`pools6`"),
    ("AsnSpec", "`asn`"),
    ("KubernetesSpec", "`kubernetes`"),
    ("ScriptSpec", "`script`"),
    ("ScriptStepSpec", "`script.deploy[]`"),
)
_TYPES: Final[Mapping[str, str]] = {"string": "text", "boolean": "true, false", "integer": "number", "object": "keys"}


def reference_text() -> str:
    """Return all tables, in Markdown."""
    made = schema()
    parts = [_table("The file as a whole", made["description"], made, ())]
    server = made["$defs"]["ServerSpec"]["properties"]
    for name, title in _ORDER:
        section = made["$defs"][name]
        without = tuple(server) if name == "OverrideSpec" else ()
        parts.append(_table(title, section["description"], section, without))
    return "\n".join(parts)


def _table(title: str, description: str, section: Mapping[str, Any], without: tuple[str, ...]) -> str:
    rows = [_row(key, each) for key, each in section["properties"].items() if key not in without]
    head = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join((f"### {title}", "", description, "", *head, *rows, ""))


def _row(key: str, made: Mapping[str, Any]) -> str:
    default = f"`{_plain(made['default'])}`" if "default" in made else ""
    cells = (f"`{key}`", ", ".join(_values(made)), default, made["description"])
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _values(made: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a schema takes, in few words: all but variables and nothing."""
    if "anyOf" in made:
        for each in made["anyOf"]:
            if each != {"type": "null"} and each.get("$ref") != "#/$defs/reference":
                yield from _values(each)
    elif "$ref" in made:
        yield "keys"
    elif "enum" in made:
        yield from (f"`{each}`" for each in made["enum"])
    elif "examples" in made:
        yield f"like {' or '.join(f'`{each}`' for each in made['examples'])}"
    elif "minimum" in made:
        yield f"{made['minimum']} to {made['maximum']}" if "maximum" in made else f"from {made['minimum']}"
    else:
        yield from _compound(made)


def _compound(made: Mapping[str, Any]) -> Iterator[str]:
    kind = made["type"] if isinstance(made["type"], str) else made["type"][0]
    if "prefixItems" in made:
        yield f"{len(made['prefixItems'])} of: {', '.join(_values(made['prefixItems'][0]))}"
    elif "items" in made:
        yield f"a list of: {', '.join(_values(made['items']))}"
    elif "patternProperties" in made:
        (each,) = made["patternProperties"].values()
        yield f"names with: {', '.join(_values(each))}"
    elif isinstance(made.get("additionalProperties"), dict) and "properties" not in made:
        yield f"names with: {', '.join(_values(made['additionalProperties']))}"
    else:
        yield _TYPES.get(kind, kind)
