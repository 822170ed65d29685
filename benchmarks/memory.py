"""Memory of the whole tree of processes at rest, as PSS: shared pages are counted once, in shares."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from benchmarks.running import Figures, edge

_REST = 5.0  # s after ready


def run() -> Figures:
    if sys.platform != "linux":
        return {"PSS": "only Linux shows it"}
    with edge() as running:
        status = running.wait_until_ready()
        time.sleep(_REST)
        supervisor = pss(running.process.pid)
        envoys = {node: pss(envoy["pid"]) for node, envoy in status["envoys"].items()}
    figures = {"supervisor": f"{supervisor:.0f} MiB"}
    figures.update({f"Envoy {node}": f"{size:.0f} MiB" for node, size in envoys.items()})
    figures["all"] = f"{supervisor + sum(envoys.values()):.0f} MiB"
    return figures


def pss(pid: int) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert match
    return int(match[1]) / 1024


def private(pid: int) -> float:
    """MiB that a process has for itself alone: what it shares, other processes change."""
    match = re.search(r"^RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match
    return int(match[1]) / 1024
