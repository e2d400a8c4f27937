"""Locks of files and folders, which the kernel frees on any death of their holder (flock(2))."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file, made if it is not there, or of a folder that is.

    Raises BlockingIOError: another process holds it, and `wait` is not set.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    with _locked(path, flags, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
        yield


@contextmanager
def exclusive_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; nothing is made. Raises FileNotFoundError: it is gone."""
    with _locked(folder, os.O_RDONLY | os.O_DIRECTORY, fcntl.LOCK_EX):
        yield


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Keep others from holding the lock of a folder exclusively. Raises FileNotFoundError: it is gone."""
    with _locked(folder, os.O_RDONLY | os.O_DIRECTORY, fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(path: Path, flags: int, operation: int) -> Iterator[None]:
    handle = os.open(path, flags | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, operation)
        yield
    finally:
        os.close(handle)
