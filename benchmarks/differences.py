"""CPU seconds of `lockgate diff`: the example, and two revisions of 10,000 VirtualServices of which one differs.

The whole command is measured: the interpreter, imports, reading both revisions, building both edges, comparing them.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.running import EXAMPLE, Figures, environment, spread
from benchmarks.scale import app_file, write

_SIZE = 10_000
_SMALL, _LARGE = 7, 3  # rounds


def run() -> Figures:
    figures = {"the example against itself": spread([_cpu(EXAMPLE, EXAMPLE, 0) for _ in range(_SMALL)], "s")}
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "old", Path(folder) / "new"
        write(old, _SIZE)
        shutil.copytree(old, new)
        file = app_file(new, _SIZE // 2)
        file.write_text(file.read_text().replace("410", "418"))
        seconds = [_cpu(old, new, 1) for _ in range(_LARGE)]
        figures[f"{_SIZE:,} VirtualServices, ten of which differ"] = spread(seconds, "s")
    return figures


def _cpu(old: Path, new: Path, code: int) -> float:
    before = _children()
    command = [sys.executable, "-m", "lockgate", "diff", str(old), str(new)]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(command, env=environment(Path(home)), stdout=subprocess.DEVNULL, check=False)
    if done.returncode != code:
        raise SystemExit(f"{os.linesep}{' '.join(command)} ended with {done.returncode}, not {code}")
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
