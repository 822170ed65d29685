"""An edge as a child process, which ends with the test run however that ends.

It is `lockgate up` in the foreground. On Ctrl-C pytest tears its fixtures down, which stops the edge in order: so the
child is in a session of its own, where the terminal's signal does not reach it. If pytest is killed, `dataplane.guard`
kills the edge.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lockgate.dataplane import guard
from lockgate.errors import CommandError
from lockgate.pytest.edge import Edge
from lockgate.runtime.state import StateFolder

_PATIENCE = 120.0  # s: twice what `up` waits for its parts, unless `--timeout` sets another limit
_ORDERLY = 15.0  # s for an orderly end


class NotReady(CommandError):
    """The edge did not become ready. The message has what `up` printed."""


@contextmanager
def run(paths: Sequence[str], options: Sequence[str], *, home: Path, cwd: Path) -> Iterator[Edge]:
    """Runs an edge with its state in `home`. Raises `NotReady`."""
    name = f"pytest-{os.getpid()}"
    folder = StateFolder(name, home / name)
    printed = home / "up.txt"
    command = [sys.executable, "-P", "-m", "lockgate", "up", "--name", name, "--output", "json", *options, "--", *paths]
    with printed.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603  our own command
            [sys.executable, "-I", "-S", guard.__file__, *command],
            stdin=subprocess.PIPE,  # the guard's, where it needs one
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=cwd,
            env={**os.environ, "LOCKGATE_HOME": str(home)},
            start_new_session=True,
        )
    try:
        outcome = _outcome(process)
        if not outcome.get("ready"):
            raise NotReady(_reasons(paths, printed, outcome))
        yield Edge(folder, folder.read(), tuple(outcome["urls"]))
    finally:
        _end(process)
        folder.clear()


def _outcome(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The line of JSON with which `up` says how it went; empty if it ended without one."""
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], _PATIENCE)[0]:
        return {}
    line = process.stdout.readline()
    outcome: dict[str, Any] = json.loads(line) if line else {}
    return outcome


def _reasons(paths: Sequence[str], printed: Path, outcome: dict[str, Any]) -> str:
    missing = " · ".join(outcome.get("shortfall", ()))
    said = printed.read_text("utf-8", "replace").rstrip()
    how = "is not ready" if outcome else "does not start"
    return f"the edge of {', '.join(paths)} {how}{f' ({missing})' if missing else ''}:\n{said}"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_ORDERLY)
        except subprocess.TimeoutExpired:
            process.kill()  # the kernel ends its Envoys with it
            process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
