"""What `lockgate check` costs: of the example, of 10,000 VirtualServices in one file, and of 10,000 objects in many.

The CPU time (user and system) of the command, with the interpreter's start: on a shared machine it varies less than the
clock.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import scale
from benchmarks.running import EXAMPLE, ROOT, Figures, environment, spread

OBJECTS = 10_000
_RUNS = 5


def run(objects: int = OBJECTS) -> Figures:
    inputs: dict[str, Callable[[Path], object]] = {
        "the example": lambda folder: shutil.copytree(EXAMPLE, folder),
        f"{objects:,} VirtualServices in one file": lambda folder: _one_file(folder, objects),
        f"{objects:,} objects in {objects // 11:,} files": lambda folder: scale.write(folder, objects * 10 // 11),
    }
    figures: Figures = {}
    for what, write in inputs.items():
        with tempfile.TemporaryDirectory() as folder:
            manifests = Path(folder) / "manifests"
            write(manifests)
            runs = [_measured(manifests, Path(folder)) for _ in range(_RUNS)]
        figures[f"{what}: CPU time"] = spread([cpu for cpu, _ in runs], "s")
        figures[f"{what}: wall clock"] = spread([clock for _, clock in runs], "s")
    return figures


def _one_file(folder: Path, objects: int) -> None:
    shutil.copytree(EXAMPLE, folder)
    (folder / "60-apps.yaml").write_text("---\n".join(scale.virtual_service(each, 0) for each in range(objects)))


def _measured(manifests: Path, home: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "lockgate", "check", "--fail-on", "never", str(manifests)]
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment(home), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit("lockgate check failed")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began
