"""Starting processes. The only module that does. Commands are argv lists, never strings."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from vdc.errors import CommandError, HarnessTimeout, HostError, WaitTimeout

# asks the kernel to kill the command when its parent dies, so that nothing survives a SIGKILL of the harness
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")

# and whatever it has started dies with the command: its processes are in a namespace of their own (pid_namespaces(7))
_ALL_END = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--")

_HERE: Final = "host"

# daemons are there, and not everybody has them on the path
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a command said: its exit status, standard output and standard error as text."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str


def find(command: str) -> str | None:
    """Return where a command is, or None; sbin counts, whether or not it is on this process's path."""
    return shutil.which(command, path=_environment()["PATH"])


def in_namespace(name: str, argv: Sequence[str]) -> list[str]:
    """Return `argv` so that it runs in the network namespace `name`."""
    return ["nsenter", f"--net=/run/netns/{name}", "--", *argv]


def run(  # noqa: PLR0913 - an argument for each option
    argv: Sequence[str],
    *,
    timeout: float,
    check: bool = True,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    where: str = _HERE,
    contained: bool = False,
) -> Completed:
    """Run a command to its end and return what it said. It dies with this process.

    `contained`: so does all that it has started, and nothing of that outlives it. Only root can have that; for others
    it is let be.

    Raises:
        CommandError: it exited with another status than 0, and `check` is set.
        WaitTimeout: it did not end within `timeout` seconds; on this host itself it is a HarnessTimeout.
        HostError: there is no such command.
    """
    _must_exist(argv[0])
    try:
        done = subprocess.run(
            [*_DIE_WITH_PARENT, *_around(contained=contained), *argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            env=_environment(env),
        )
    except subprocess.TimeoutExpired as error:
        kind = HarnessTimeout if where == _HERE else WaitTimeout
        raise kind(f"`{' '.join(argv)}` on {where}", deadline=timeout, last="still running") from error
    if check and done.returncode != 0:
        raise CommandError(where, argv, done.returncode, done.stderr or done.stdout)
    return Completed(argv=tuple(argv), status=done.returncode, stdout=done.stdout, stderr=done.stderr)


def run_logged(
    argv: Sequence[str],
    *,
    log: Path,
    timeout: float,
    env: Mapping[str, str] | None = None,
    contained: bool = False,
) -> None:
    """Run a long command to its end with all it says appended to `log`; it dies with this process, see `run`.

    Raises: as `run`; a CommandError carries the end of the log.
    """
    _must_exist(argv[0])
    with log.open("ab") as out:
        process = start([*_around(contained=contained), *argv], output=out, env=env)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.wait()
            raise HarnessTimeout(
                f"`{' '.join(argv)}`", deadline=timeout, last="still running", log=f"log: {log}"
            ) from error
    if status != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise CommandError("host", argv, status, f"{tail}\nlog: {log}")


def daemon(argv: Sequence[str], *, output: IO[bytes], keep: Sequence[int] = ()) -> None:
    """Start a command that outlives this process, in a session of its own, with both its outputs in `output`.

    It keeps the file descriptors `keep`, by their numbers here.
    """
    _must_exist(argv[0])
    # setsid forks and ends at once: nobody is left who would have to wait for the daemon
    subprocess.run(
        ["setsid", "--fork", "--", *argv],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        check=True,
        env=_environment(),
        pass_fds=keep,
    )


def start(argv: Sequence[str], *, output: IO[bytes], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command and return it running, with both its outputs in `output`; it dies with this process."""
    _must_exist(argv[0])
    return subprocess.Popen(
        [*_DIE_WITH_PARENT, *argv],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=_environment(env),
    )


def replace(argv: Sequence[str]) -> None:
    """Become the command `argv`: for shells and consoles that a person talks to."""
    _must_exist(argv[0])
    os.execvpe(argv[0], list(argv), _environment())  # noqa: S606


def _around(*, contained: bool) -> tuple[str, ...]:
    return _ALL_END if contained and os.geteuid() == 0 else ()


def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    environment = {**os.environ, **(extra or {})}
    path = environment.get("PATH", os.defpath).split(os.pathsep)
    return {**environment, "PATH": os.pathsep.join((*path, *(each for each in _SBIN if each not in path)))}


def _must_exist(command: str) -> None:
    if find(command) is None:
        raise HostError(f"command not found: {command}", hint="`vdc doctor` names the packages that are missing")
