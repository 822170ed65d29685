"""An edge for a benchmark, in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Figures = dict[str, str]

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "edge"
PATIENCE = 120.0


@dataclass
class Running:
    home: Path
    process: subprocess.Popen[bytes]
    began: float

    def ask(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "lockgate", *arguments]
        return subprocess.run(command, env=environment(self.home), capture_output=True, text=True, check=False).stdout

    def status(self) -> dict[str, Any]:
        found = json.loads(self.ask("status", "--output", "json") or "{}")  # a busy edge may not answer in time
        assert isinstance(found, dict)
        return found

    def about(self) -> dict[str, Any]:
        """What the supervisor wrote, once everything listens."""
        file = self.home / "default" / "edge.json"
        while not (file.exists() and "addresses" in (found := json.loads(file.read_text()))):
            self._still_there()
            time.sleep(0.002)
        assert isinstance(found, dict)
        return found

    def wait_until_ready(self, patience: float = PATIENCE) -> dict[str, Any]:
        """Reads the log until then: an edge that is asked for its status has less time to start."""
        self.about()
        log = self.home / "default" / "log"
        while "lockgate.runtime: ready\n" not in log.read_text():
            self._still_there(patience)
            time.sleep(0.02)
        while not (found := self.status()).get("announced"):
            self._still_there(patience)
            time.sleep(0.1)
        return found

    def _still_there(self, patience: float = PATIENCE) -> None:
        if self.process.poll() is not None or time.monotonic() - self.began > patience:
            raise SystemExit("the edge did not start; `lockgate up examples/edge` reports why")


@contextmanager
def edge(*arguments: str, path: Path = EXAMPLE) -> Iterator[Running]:
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "lockgate", "up", str(path), *arguments],
            env=environment(Path(home)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Running(Path(home), process, began)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def environment(home: Path) -> dict[str, str]:
    """Without what would make every start compile every import again."""
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "LOCKGATE_HOME": str(home)}


def trusting(bundle: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=bundle)


def median(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def percentile(samples: Sequence[float], share: float) -> float:
    return sorted(samples)[min(int(len(samples) * share), len(samples) - 1)]


def spread(samples: Sequence[float], unit: str, digits: int = 2) -> str:
    """Median and range, which describe a shared machine better than a mean."""
    low, middle, high = min(samples), median(samples), max(samples)
    return f"{middle:.{digits}f} {unit}  ({low:.{digits}f} to {high:.{digits}f}, n={len(samples)})"
