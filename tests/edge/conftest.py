"""Edges as a user runs them: the real command, real processes, real clients."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "tests" / "edge" / "guide"
PATIENCE = 40.0  # s: these machines may be slow


@dataclass
class Up:
    """A `lockgate up` in the foreground, and ways to meet it."""

    home: Path
    name: str
    arguments: list[str]
    process: subprocess.Popen[str] = field(init=False)
    lines: list[str] = field(default_factory=list)
    _said: queue.Queue[str | None] = field(default_factory=queue.Queue, repr=False)

    def start(self) -> Up:
        os.environ["LOCKGATE_HOME"] = str(self.home)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lockgate", "up", "--name", self.name, *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line)
        self._said.put(None)

    def until(self, text: str) -> str:
        """Read what it prints until a line holds `text`; that line."""
        deadline = time.monotonic() + PATIENCE
        with suppress(queue.Empty):
            while line := self._said.get(timeout=max(deadline - time.monotonic(), 0.01)):
                self.lines.append(line)
                if text in line:
                    return line
        raise AssertionError(f"never said {text!r}:\n{''.join(self.lines)}\n{self.log()}")

    def ready(self) -> Up:
        self.until("ready in")
        return self

    def log(self) -> str:
        file = self.home / self.name / "log"
        return file.read_text() if file.exists() else ""

    def lockgate(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "lockgate", arguments[0], "--name", self.name, *arguments[1:]],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}\n{self.log()}"
        return done

    def exec(self, *command: str, check: bool = True) -> str:
        return self.lockgate("exec", "--", *command, check=check).stdout

    def curl(self, *arguments: str) -> str:
        return self.exec("curl", "-sS", "--max-time", "20", *arguments)

    def status(self) -> dict[str, Any]:
        reported = json.loads(self.lockgate("status", "--output", "json", check=False).stdout)
        assert isinstance(reported, dict)
        return reported

    def wait(self, *, until: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < deadline, f"never: {what}\n{self.log()}"
            time.sleep(0.02)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


Start = Callable[..., Up]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start edges that end with the module's tests."""
    started: list[Up] = []
    home = tmp_path_factory.mktemp("home")

    def start(*arguments: str | Path, name: str | None = None) -> Up:
        edge = Up(home, name or f"t{len(started)}", [str(each) for each in arguments])
        started.append(edge)
        return edge.start()

    yield start
    for edge in started:
        edge.stop()


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    """A copy of the guide-shaped manifests that a test may change."""
    shutil.copytree(GUIDE, tmp_path / "manifests")
    return tmp_path / "manifests"


def pid_of(edge: Up, node: str) -> int | None:
    """The process of an Envoy, if one runs."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            if f"{edge.home}/{edge.name}/run/envoy-{node}.json" in command and "guard" not in command:
                return int(process.name)
        except OSError:
            continue
    return None
