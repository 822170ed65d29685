"""How much of each pure room its own tests run: `make coverage`, or `python -m benchmarks.coverage edge dns`.

A room's tests are those of its folder, in one process: tests of whole edges are left out. Rooms in which tests run
longest come last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOMS = (
    "dns",
    "certificates",
    "trace",
    "check",
    "gateway",
    "resources",
    "ingress",
    "loadbalancer",
    "edge",
    "xds",
)
_FOLDERS = {"xds": ("xds", "gateway")}  # the gateway's configuration is tested beside its routing, by real Envoys


def measured(room: str) -> tuple[int, int]:
    """The lines of a room, and how many of them its tests do not run."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "COVERAGE_FILE": str(Path(folder) / "data")}
        coverage = [sys.executable, "-m", "coverage"]
        tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not edge"]
        tests += [f"tests/{folder}" for folder in _FOLDERS.get(room, (room,))]
        done = subprocess.run(
            [*coverage, "run", f"--source=src/lockgate/{room}", *tests],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout, file=sys.stderr)
        report = subprocess.run(
            [*coverage, "report"], env=environment, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
    _, lines, missed, _ = report.strip().split("\n")[-1].split()
    return int(lines), int(missed)


def main(rooms: list[str]) -> None:
    print("| room | lines | run by its own tests |\n| --- | --- | --- |")
    for room in rooms or ROOMS:
        lines, missed = measured(room)
        print(f"| {room} | {lines:,} | {100 * (lines - missed) / lines:.1f} % |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
