"""What `lockgate plan` of 1,000 Ingresses costs, in an account and a cluster that have them.

Client and server share this machine, so the CPU time of both says more than the clock.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import ingresses
from benchmarks.running import Figures, edge, environment

_PLANS = 3


def run() -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        ingresses.written(Path(folder))
        with edge(path=Path(folder)) as running:
            ingresses.until_made(running)
            command = ["exec", "--", sys.executable, "-m", "lockgate", "plan", folder]
            samples = []
            for _ in range(_PLANS):
                before = _seconds(running.process.pid)
                own = resource.getrusage(resource.RUSAGE_CHILDREN)
                began = time.monotonic()
                subprocess.run(
                    [sys.executable, "-m", "lockgate", *command],
                    env=environment(running.home),
                    stdout=subprocess.DEVNULL,
                    check=False,  # 1: other managers own the objects
                )
                clock = time.monotonic() - began
                used = resource.getrusage(resource.RUSAGE_CHILDREN)
                client = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
                samples.append((clock, client, _seconds(running.process.pid) - before))
    clock, client, server = min(samples)
    return {
        "plan of 1,000 Ingresses in 100 load balancers": f"{clock:.1f} s",
        "  CPU time of the command": f"{client:.1f} s",
        "  CPU time of the APIs meanwhile, with all controllers": f"{server:.1f} s",
    }


def _seconds(pid: int) -> float:
    """CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
