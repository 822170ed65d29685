"""Stops an edge from outside, in whatever state its supervisor is.

SIGTERM requests an orderly end, and SIGCONT resumes a supervisor that was stopped by SIGSTOP. A supervisor that does
not end in time, because its loop is blocked, is killed: the kernel kills its Envoys with it (`dataplane.guard`), and
any remaining ones are killed separately.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate.errors import CommandError
from lockgate.runtime.state import NotRunning, StateFolder

_ORDERLY = 5.0  # seconds for an orderly end, about ten times the usual duration
_KILLED = 5.0  # seconds for the kernel to end a killed process
_POLL = 0.02  # seconds


class DoesNotStop(CommandError):
    """A supervisor was killed, but still exists: it hangs in the kernel."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """`killed` means that it did not end by itself."""

    pid: int
    killed: bool


def stop(folder: StateFolder) -> Stopped:
    """Stops the edge, and waits until all of it is gone. Raises `NotRunning`, `DoesNotStop`."""
    try:
        pid = folder.pid()
    except NotRunning:
        folder.clear()  # the remains of a killed supervisor
        raise
    killed = end(pid, lambda: not folder.held())
    if folder.held():
        raise DoesNotStop(f"the edge {folder.name!r} (pid {pid}) does not end, not even by SIGKILL; see {folder.log}")
    folder.clear()
    return Stopped(pid, killed)


def end(pid: int, ended: Callable[[], bool]) -> bool:
    """Ends a supervisor and its children; returns whether it had to be killed."""
    _signal(pid, signal.SIGTERM)
    _signal(pid, signal.SIGCONT)
    if _wait(ended, _ORDERLY):
        return False
    children = _children(pid)
    _signal(pid, signal.SIGKILL)
    _wait(ended, _KILLED)
    for child in children:
        _signal(child, signal.SIGKILL)
    return True


def _wait(ended: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not ended():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _children(pid: int) -> tuple[int, ...]:
    """The children if the kernel lists them, as Linux does; elsewhere each child has a guard that ends it."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text().split())
    return tuple(found)
