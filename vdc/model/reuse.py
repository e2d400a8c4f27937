"""What files take from others: `extends`, `vars` and `--set`, with the place of every value kept.

A reference is a whole scalar, `$name`; there are no expressions. `$$` at its beginning stands for a dollar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from vdc.errors import InputError, Problem
from vdc.model import yamltree
from vdc.model.words import suggest
from vdc.model.yamltree import Tree, one_problem, read_tree

EXTENDS: Final = "extends"
VARS: Final = "vars"
VARIABLE: Final = re.compile(r"[a-z][a-z0-9_-]*")
"""The name of a variable."""

SEED_KEYS: Final = ("user_data", "network_config", "ignition")
"""Keys of a server whose values are paths of files that are read with the topology."""

_MOST_BYTES: Final = 16 << 20

SCRIPT: Final = "script"
"""The section in whose commands words that begin with ./ or ../ are paths relative to the file they stand in."""

FILE_KEYS: Final = (*SEED_KEYS, "file")
"""Keys whose values are paths relative to the file that they stand in."""


def read_file(path: Path) -> Tree:
    """Return the tree of the file at `path`. Raises InputError: it is not there, too large, not text, not YAML."""
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise one_problem(str(path), f"the file has {size >> 20} MiB, and a topology at most {_MOST_BYTES >> 20}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise one_problem(str(path), (error.strerror or str(error)).lower()) from error
    except UnicodeDecodeError as error:
        raise one_problem(str(path), f"not UTF-8 text: {error.reason} at byte {error.start}") from error
    return read_tree(text, file=str(path))


def extended(tree: Tree, *, above: Sequence[Path] = ()) -> Tree:
    """Return a tree laid over those of the files that it extends, and they over theirs.

    Mappings are merged; lists and scalars replace; an empty value removes what a base has. Raises InputError: a file
    cannot be read, or is no mapping.
    """
    if not isinstance(tree.data, dict):
        message = f"expected keys with values, not {yamltree.shown(tree.data)}"
        raise one_problem(tree.file, message, place=tree.values[()][:2])
    _resolve_paths(tree)
    merged, way = Tree(tree.file, data={}), (*above, Path(tree.file).resolve())
    for path, base in _bases(tree):
        file = Path(tree.file).parent / base
        if file.resolve() in way:
            shown = " extends ".join(each.name for each in (*way, file))
            tree.problems.append(tree.problem(path, f"a file cannot extend itself: {shown}"))
        elif not file.is_file():
            tree.problems.append(tree.problem(path, f'no such file: "{file}"'))
        else:
            merged = _laid_over(merged, extended(read_file(file), above=way))
    tree.data = {key: value for key, value in tree.data.items() if key != EXTENDS}
    return _laid_over(merged, tree)


def _bases(tree: Tree) -> Iterator[tuple[yamltree.Path, str]]:
    assert isinstance(tree.data, dict)
    named = tree.data.get(EXTENDS, [])
    entries = (
        [((EXTENDS, number), each) for number, each in enumerate(named)]
        if isinstance(named, list)
        else [((EXTENDS,), named)]
    )
    for path, base in entries:
        if isinstance(base, str):
            yield path, base
        else:
            tree.problems.append(tree.problem(path, f"expected the path of a file, not {yamltree.shown(base)}"))


def _laid_over(base: Tree, top: Tree) -> Tree:
    return Tree(
        top.file,
        data=_merged(base.data, top.data),
        keys={**base.keys, **top.keys},
        values={**base.values, **top.values},
        problems=[*base.problems, *top.problems],
    )


def _merged(base: object, top: object) -> object:
    if not (isinstance(base, dict) and isinstance(top, dict)):
        return top
    merged = dict(base)
    for key, value in top.items():
        if value is None and key in base:
            del merged[key]
        else:
            merged[key] = _merged(base.get(key), value)
    return merged


def _resolve_paths(tree: Tree) -> None:
    """Make paths absolute, while it is known in which file they stand."""
    folder = Path(tree.file).absolute().parent
    for path, holder, key, text in list(texts(tree.data)):
        is_path = key in FILE_KEYS and path[0] != VARS and not text.startswith("$")
        is_word = path[0] == SCRIPT and isinstance(holder, list) and text.startswith(("./", "../"))
        if is_path or is_word:
            holder[key] = str(folder / text)


def texts(data: Any, path: yamltree.Path = ()) -> Iterator[tuple[yamltree.Path, Any, Any, str]]:  # noqa: ANN401 - YAML
    """Yield for each text its path, what holds it, at which key or position, and itself."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        if isinstance(value, str):
            yield (*path, key), data, key, value
        else:
            yield from texts(value, (*path, key))


@dataclass(slots=True)
class _Variable:
    value: object
    origin: str
    folder: Path
    used: bool = False


@dataclass(slots=True)
class _Variables:
    """The variables of a file, with what is set on the command line in place of their values."""

    known: dict[str, _Variable] = field(default_factory=dict)

    def lookup(self, text: str) -> _Variable:
        """Return the variable that `$name` refers to. Raises ValueError with what is wrong."""
        name = text.removeprefix("$")
        if not VARIABLE.fullmatch(name):
            raise ValueError(f'"{text}" is not a variable; write "${text}" for a text that begins with a dollar')
        if name not in self.known:
            raise ValueError(f'unknown variable "{name}"{suggest(name, tuple(self.known))}')
        found = self.known[name]
        found.used = True
        if found.value is None:
            raise ValueError(f'the variable "{name}" has no value; give it one: --set {name}=VALUE')
        return found


def filled_in(tree: Tree, sets: Sequence[str]) -> Tree:
    """Put the values of variables where the file refers to them; `sets` are `name=value`, with a scalar of YAML.

    What is wrong is added to the problems of the tree, which is changed.
    """
    assert isinstance(tree.data, dict)
    declared = tree.data.pop(VARS, {})
    variables = _Variables(dict(_declared(tree, declared)))
    for option, problem in _set(variables, sets):
        tree.problems.append(Problem(file=f"--set {option}", line=0, column=0, path=VARS, message=problem))
    for path, holder, key, text in list(texts(tree.data)):
        if text.startswith("$$"):
            folder = Path(tree.values[path].file).absolute().parent
            holder[key] = str(folder / text[1:]) if key in FILE_KEYS else text[1:]
        elif text.startswith("$"):
            _replace(tree, variables, path, holder, text)
    for option in dict.fromkeys(sets):
        name = option.partition("=")[0]
        if name in variables.known and not variables.known[name].used:
            message = f'nothing in the file refers to "${name}"'
            tree.problems.append(Problem(file=f"--set {option}", line=0, column=0, path=VARS, message=message))
    return tree


def _replace(tree: Tree, variables: _Variables, path: yamltree.Path, holder: Any, text: str) -> None:  # noqa: ANN401
    key = path[-1]
    try:
        found = variables.lookup(text)
    except ValueError as error:
        tree.problems.append(tree.problem(path, str(error)))
        tree.unknown.add(path)
        holder[key] = _Unknown()
        return
    if isinstance(found.value, _Unknown):
        tree.unknown.add(path)
    is_path = key in FILE_KEYS and isinstance(found.value, str)
    holder[key] = str(found.folder / str(found.value)) if is_path else found.value
    tree.origins[path] = f'the variable "{text[1:]}", {found.origin}'


class _Unknown:
    """What no type of the language takes."""


def _declared(tree: Tree, declared: object) -> Iterator[tuple[str, _Variable]]:
    if not isinstance(declared, dict):
        message = f"expected names with values, not {yamltree.shown(declared)}"
        tree.problems.append(tree.problem((VARS,), message))
        return
    for name, value in declared.items():
        path = (VARS, name)
        place = tree.values[path]
        if not VARIABLE.fullmatch(name):
            message = f"the name of a variable must match {VARIABLE.pattern}"
            tree.problems.append(tree.problem(path, message, at_key=True))
        if isinstance(value, dict | list) or (isinstance(value, str) and value.startswith("$")):
            what = "another variable" if isinstance(value, str) else yamltree.shown(value)
            tree.problems.append(tree.problem(path, f"expected a plain value, not {what}"))
            value = _Unknown()  # noqa: PLW2901 - a stand-in
            tree.unknown.add(path)
        folder = Path(place.file).absolute().parent
        yield name, _Variable(value, f"{place.file}:{place.line}:{place.column}", folder)


def _set(variables: _Variables, sets: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with options; set what is right."""
    given: dict[str, str] = {}
    for option in sets:
        name, equals, text = option.partition("=")
        if not equals:
            yield option, "expected name=value"
        elif name not in variables.known:
            yield option, f'unknown variable "{name}"{suggest(name, tuple(variables.known))}'
        elif name in given:
            yield option, f"{name} is set already, by --set {given[name]}"
        else:
            given[name] = option
            try:
                variables.known[name] = _Variable(_scalar(text), f"by --set {option}", Path.cwd())
            except ValueError as error:
                yield option, str(error)


def _scalar(text: str) -> object:
    try:
        value = read_tree(text, file="--set").data
    except InputError as error:
        raise ValueError(f"expected a value of YAML; {error.problems[0].message}") from error
    if value is None or isinstance(value, dict | list):
        raise ValueError(f"expected a plain value, not {yamltree.shown(value)}")
    return value
