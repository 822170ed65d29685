"""What the other commands do with a running edge: ask it, read its log, stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lockgate.runtime import control
from lockgate.runtime.state import AlreadyRunning, NotRunning, StateFolder

_STOP_PATIENCE = 10.0  # s
_TAIL = 64 * 1024  # bytes of a log that are shown first


class DoesNotStop(Exception):
    """A supervisor was asked to stop, and is still there."""


class DidNotStart(Exception):
    """A detached supervisor ended before the edge was ready. The message is what it said."""


def ask_status(folder: StateFolder) -> dict[str, Any]:
    """Raises `NotRunning`, `control.NoAnswer`."""
    folder.read()
    return control.ask(folder.control_socket, "status")


def stop(folder: StateFolder) -> int:
    """Stop the edge and wait for it to be gone; its pid. Raises `NotRunning`, `DoesNotStop`."""
    pid = folder.read()["pid"]
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_PATIENCE
    while folder.held():
        if time.monotonic() > deadline:
            raise DoesNotStop(f"the edge {folder.name!r} (pid {pid}) does not stop; see {folder.log}")
        time.sleep(0.02)
    return int(pid)


def detach(arguments: Sequence[str], folder: StateFolder) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a supervisor that outlives this command; the process, and the file with what it says."""
    if folder.held():
        raise AlreadyRunning(folder.name, None)
    folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    said = folder.path.parent / f".{folder.name}.up"
    with said.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  our own command again
            [sys.executable, "-m", "lockgate", *arguments],
            stdin=None if "-" in arguments else subprocess.DEVNULL,  # manifests may come that way
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return process, said


def wait_until_ready(
    process: subprocess.Popen[bytes], folder: StateFolder, said: Path, patience: float
) -> dict[str, Any]:
    """Raises `DidNotStart`, after stopping what did not get ready."""
    deadline = time.monotonic() + patience
    latest: dict[str, Any] = {}
    while process.poll() is None:
        with suppress(NotRunning, control.NoAnswer):
            latest = ask_status(folder)
            if latest.get("announced"):
                said.unlink(missing_ok=True)
                return latest
        if time.monotonic() > deadline:
            process.terminate()
            process.wait(_STOP_PATIENCE)
            missing = [
                f"{each['part']} {each['name']}: {each['detail']}"
                for each in latest.get("parts", ())
                if each["state"] != "ready"
            ]
            said.unlink(missing_ok=True)
            raise DidNotStart(f"not ready after {patience:.0f} s: " + ("; ".join(missing) or "it does not answer"))
        time.sleep(0.05)
    text = said.read_text(errors="replace").strip()
    said.unlink(missing_ok=True)
    raise DidNotStart(text or f"the supervisor ended with exit code {process.returncode}")


def read_log(folder: StateFolder, *, follow: bool) -> Iterator[str]:
    """The log's last lines, and with `follow` those that come, until the edge ends. Raises `NotRunning`."""
    try:
        file = folder.log.open(errors="replace")
    except FileNotFoundError:
        raise NotRunning(folder.name) from None
    with file:
        size = folder.log.stat().st_size
        if size > _TAIL:
            file.seek(size - _TAIL)
            file.readline()
        yield from file
        while follow:
            if line := file.readline():
                yield line
            elif folder.held():
                time.sleep(0.1)
            else:
                return
