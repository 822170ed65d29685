"""Records the guide of ship.md: `plan`, `apply`, `verify` and `destroy` against an empty account and cluster.

The recording is `ship.cast`, which `asciinema play` shows; its parts are drawn as pictures.
"""

from __future__ import annotations

import json
import os
import pty
import sys
import time
from pathlib import Path

import terminal

_COLUMNS, _ROWS = 120, 48
_VERBS = (
    ("plan", (), "what apply would do"),
    ("apply", ("--yes",), "the steps as they are done"),
    ("verify", (), "the edge as it is"),
    ("destroy", ("--yes",), "the edge is deleted"),
)


def record(docs: Path) -> None:
    """Of the running edge of the environment."""
    said: list[tuple[float, str]] = []
    began = time.monotonic()
    for verb, options, label in _VERBS:
        shown = " ".join(("lockgate", verb, "examples/edge", *options))
        command = [sys.executable, "-m", "lockgate", "exec", "--", sys.executable, "-m", "lockgate"]
        part = [(time.monotonic() - began, f"$ {shown}\r\n")]
        part += [(at - began, text) for at, text in _said([*command, verb, "examples/edge", *options])]
        said += part
        text = "".join(text for _, text in part).replace("\r\n", "\n")
        if verb == "apply":  # the plan has a picture of its own
            text = f"$ {shown}\n" + text[text.index("  0:0") :]
        (docs / f"ship-{verb}.svg").write_text(terminal.svg(text, label))
    header = {"version": 2, "width": _COLUMNS, "height": _ROWS, "title": "lockgate: an edge in an empty account"}
    lines = [json.dumps(header), *(json.dumps([round(at, 3), "o", text]) for at, text in said)]
    (docs / "ship.cast").write_text("\n".join(lines) + "\n")


def _said(command: list[str]) -> list[tuple[float, str]]:
    """What a program prints on a terminal, and when."""
    pid, terminal_ = pty.fork()
    if pid == 0:
        os.environ |= {"COLUMNS": str(_COLUMNS), "LINES": str(_ROWS), "TERM": "xterm-256color"}
        os.execv(command[0], command)
    found: list[tuple[float, str]] = []
    pending = b""
    while True:
        try:
            read = os.read(terminal_, 65536)
        except OSError:  # the program has ended
            read = b""
        if not read:
            break
        whole, newline, pending = (pending + read).rpartition(b"\n")
        if newline:
            found.append((time.monotonic(), (whole + newline).decode(errors="replace")))
    os.waitpid(pid, 0)
    return found
