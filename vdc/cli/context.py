"""What every command is given: who runs it, where, and how to tell people what goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import typer

from vdc.cli.progress import listener_for
from vdc.errors import InputError, PrivilegeError
from vdc.settings import Settings
from vdc.steps import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The process's surroundings, injected so that tests can be somebody else."""

    euid: Callable[[], int] = os.geteuid
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def is_root(self) -> bool:
        """Whether the process may do everything."""
        return self.euid() == 0

    def settings(self) -> Settings:
        """Return the settings that the environment asks for."""
        return Settings.from_environment(self.environment)


def host_of(context: typer.Context) -> Host:
    """Return the surroundings that `main` put into the context."""
    found = context.find_object(Host)
    return found if found is not None else Host()


def need_root(context: typer.Context) -> Settings:
    """Return the settings if this is root; raises PrivilegeError before anything is touched if not."""
    host = host_of(context)
    if not host.is_root:
        raise PrivilegeError(f"`{context.command_path}` needs root", hint=f"sudo {context.command_path} …")
    return host.settings()


def steps() -> Steps:
    """Return steps that are shown: live on a terminal, as plain lines elsewhere."""
    return Steps(listeners=(listener_for(sys.stderr),))


def pick(kind: str, name: str, there: Iterable[str]) -> str:
    """Return `name` if it is there; raises InputError with what there is."""
    names = sorted(set(there))
    if name in names:
        return name
    raise InputError(f"no {kind} {name!r}", hint=f"there is {', '.join(names)}" if names else "there is none")
