"""Faults as plain data, and made from what a person types."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, replace
from importlib import import_module
from importlib.machinery import PathFinder
from itertools import chain
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any, Final, cast, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from vdc.cluster.deployers import deployed
from vdc.cluster.kubernetes.api import KubernetesCluster
from vdc.datacenter.api import DataCenter
from vdc.errors import InputError
from vdc.faults.base import Fault
from vdc.faults.feeds import Feed
from vdc.faults.kinds import KINDS
from vdc.faults.partition import Partitioned, partition
from vdc.faults.shapes import SHAPES
from vdc.model.disturbance import Disturbance
from vdc.model.ip import Prefix

Chosen = Callable[[str, str], tuple[str, ...]]
"""What a text given for a field (its name is first) means: the names it stands for, itself if it is one."""


def to_record(fault: Fault) -> dict[str, Any]:
    """Return a fault as plain JSON: its `kind`, and its fields. Raises TypeError: it cannot be written."""
    record: dict[str, Any] = {"kind": _kind_name(type(fault))}
    _expect_found(type(fault), record["kind"])
    for each, hint in _fields(type(fault)):
        if hint is not KubernetesCluster:
            try:
                record[each.name] = TypeAdapter(hint).dump_python(getattr(fault, each.name), mode="json")
            except Exception as error:
                raise TypeError(f"{type(fault).__name__}.{each.name} is no plain data: {error}") from error
    return record


def recorded(fault: Fault) -> dict[str, Any] | None:
    """Return a fault as plain JSON, or None where it cannot be written."""
    try:
        return to_record(fault)
    except TypeError:
        return None


def as_read(fault: Fault) -> Fault:
    """Return a fault as `from_record` gives it back: 1 is 1.0 where a float is meant. One that cannot be written stays.

    A cluster in it stays what it is.
    """
    record = recorded(fault)
    if record is None:
        return fault
    hints = {each.name: hint for each, hint in _fields(type(fault)) if hint is not KubernetesCluster}
    read = {name: TypeAdapter(hint).validate_python(record[name]) for name, hint in hints.items()}
    return cast(Fault, replace(cast(Any, fault), **read))


def from_record(record: Mapping[str, Any], dc: DataCenter) -> Fault:
    """Return the fault that `to_record` wrote; a cluster in it is the one that runs on `dc`.

    Raises InputError: there is no such kind, or it has other fields.
    """
    cls = _class(str(record.get("kind")))
    given = {name: value for name, value in record.items() if name != "kind"}
    return _made(cls, given, dc)


def parse(
    kind: str,
    words: Mapping[str, str],
    dc: DataCenter,
    chosen: Chosen = lambda _, text: (text,),
    dice: Random | None = None,
) -> Fault:
    """Return the fault that a person means by `kind field=text …`.

    `chosen` says which devices a text for a field of names stands for; `dice` shuffle the parties of a partition.

    Raises InputError: there is no such kind, or a text is not what its field takes.
    """
    cls = KINDS.get(kind)
    if cls is None:
        raise InputError(f"no fault {kind!r}", hint=f"there is {', '.join(KINDS)}")
    if cls is Partitioned:
        return _parted(words, dc, dice or Random(0))
    hints = {each.name: hint for each, hint in _fields(cls)}
    given: dict[str, object] = {}
    for word, text in words.items():
        hint = hints.get(word)
        names = [name for part in _split(text) for name in chosen(word, part)] if _takes_names(hint) else []
        if hint is str:
            given[word] = _single(word, names)
        elif _takes_names(hint):
            given[word] = names
        elif word in hints:
            given[word] = _split(text) if get_origin(hint) is tuple else text
        else:
            _disturb(given, hints, word, text)
    return _made(cls, given, dc)


def described() -> Mapping[str, tuple[str, tuple[str, ...], str]]:
    """Return of each kind what it is, its fields with what they take, and what it needs."""
    return {
        name: (
            (cls.__doc__ or "").strip().splitlines()[0],
            _PARTED if cls is Partitioned else tuple(chain.from_iterable(_usage(*each) for each in _fields(cls))),
            cls.needs,
        )
        for name, cls in KINDS.items()
    }


_PARTED: Final = (f"shape={'|'.join(SHAPES)}", "of=racks|tiers|roles|servers")


def _parted(words: Mapping[str, str], dc: DataCenter, dice: Random) -> Fault:
    if set(words) != {"shape", "of"}:
        raise InputError("partitioned takes a shape, and of what", hint=" ".join(_PARTED))
    return partition(dc.topology, words["shape"], words["of"], dice)


def _made(cls: type[Fault], given: Mapping[str, object], dc: DataCenter) -> Fault:
    known = {each.name: hint for each, hint in _fields(cls)}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{_kind_name(cls)} has no {', '.join(unknown)}", hint=f"it has {', '.join(known)}")
    values: dict[str, Any] = {}
    for name, hint in known.items():
        if hint is KubernetesCluster:
            values[name] = _cluster(dc)
        elif name in given:
            try:
                values[name] = TypeAdapter(hint).validate_python(given[name])
            except ValidationError as error:
                raise InputError(f"{_kind_name(cls)}: {name}: {error.errors()[0]['msg']}") from error
    try:
        return cls(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"{_kind_name(cls)}: {error}") from error


def _cluster(dc: DataCenter) -> KubernetesCluster:
    for cluster in deployed(dc):
        if isinstance(cluster, KubernetesCluster):
            return cluster
    raise InputError(f"no Kubernetes runs on {dc.name}")


def _fields(cls: type[Any]) -> tuple[tuple[Field[Any], Any], ...]:
    """Return the fields of a dataclass with their types. Raises TypeError: it is none."""
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise TypeError(f"a type of {cls.__name__} is not known when it runs: {error}") from error
    return tuple((each, hints[each.name]) for each in fields(cls))


def _kind_name(cls: type[Fault]) -> str:
    """Return the name in `KINDS`, or `MODULE:CLASS` of somebody else's."""
    found = next((name for name, each in KINDS.items() if each is cls), None)
    return found or f"{cls.__module__}:{cls.__qualname__}"


def _expect_found(cls: type[Fault], kind: str) -> None:
    """Pass if another process, with `import_path`, finds this class by its kind. Raises TypeError."""
    try:
        found = _class(kind) is cls and (kind in KINDS or _importable(cls))
    except InputError:
        found = False
    if not found:
        raise TypeError(f"no other process could find {kind}")


def import_path(cls: type[Fault]) -> list[str]:
    """Return where another process finds the module of a class: in what this one searches, or in the folder that its
    name counts from, for a test runner need not search that to load it.
    """
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    depth = cls.__module__.count(".") + (file is not None and Path(file).stem == "__init__")
    return [*sys.path, *([str(Path(file).parents[depth])] if file is not None else [])]


def _importable(cls: type[Fault]) -> bool:
    """Return whether a module is found, loaded or not; what this process runs is `__main__` to no other."""
    path: Sequence[str] | None = import_path(cls)
    parts = cls.__module__.split(".")
    for depth in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:depth]), path)
        if spec is None or parts == ["__main__"]:
            return False
        path = spec.submodule_search_locations
    return True


def _class(kind: str) -> type[Fault]:
    if kind in KINDS:
        return KINDS[kind]
    module, _, name = kind.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"no fault {kind!r}", hint=f"there is {', '.join(KINDS)}") from error
    if not (isinstance(found, type) and issubclass(found, Fault)):
        raise InputError(f"{kind} is no fault")
    return found


def _split(text: str) -> list[str]:
    """Return the parts between the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _single(name: str, names: list[str]) -> str:
    if len(names) != 1:
        raise InputError(f"{name} is one, and {', '.join(names) or 'none'} was chosen", hint=f"{name}=one(…)")
    return names[0]


def _takes_names(hint: object) -> bool:
    return hint is str or hint == tuple[str, ...]


def _disturb(given: dict[str, object], hints: Mapping[str, object], word: str, text: str) -> None:
    """Note what one word says of a disturbance: `delay=…` of all there are, `outgoing.delay=…` of one."""
    way, _, what = word.rpartition(".")
    meant = [name for name, hint in hints.items() if hint is Disturbance and way in {"", name}]
    field = _DISTURBANCE.get(what)
    if field is None or not meant:
        given[word] = text
        return
    try:
        value = field.metadata["parse"](text) if "parse" in field.metadata else int(text)
    except ValueError as error:
        raise InputError(f"{word}={text}: {error}") from error
    for name in meant:
        already = given.get(name)
        given[name] = {**(already if isinstance(already, dict) else {}), what: value}


def _usage(field: Field[Any], hint: object) -> Iterator[str]:
    if hint is Disturbance:
        if field.name == "outgoing":
            yield from (f"[outgoing.|incoming.]{name}={each.metadata['like']}" for name, each in _DISTURBANCE.items())
    elif hint is not KubernetesCluster:
        said = f"{field.name}={'NAME,…' if get_origin(hint) is tuple else _LIKE.get(hint, 'NAME')}"
        yield said if field.default is MISSING else f"[{said}]"


_LIKE: Final[Mapping[object, str]] = MappingProxyType({int: "N", float: "N", Feed: "a|b", Prefix: "PREFIX"})

_DISTURBANCE: Final[Mapping[str, Field[Any]]] = MappingProxyType({each.name: each for each in fields(Disturbance)})
