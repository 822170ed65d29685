"""Edges start, are seen, and end, whatever the moment and whatever state they are in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.runtime.stopping import end
from tests.edge.conftest import GUIDE, PATIENCE, Start
from tests.edge.test_failing import left, processes, run

pytestmark = pytest.mark.edge


def spawn(home: Path, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lockgate", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "LOCKGATE_HOME": str(home)},
    )


def seen(home: Path, name: str) -> None:
    """Wait until an edge has its name."""
    deadline = time.monotonic() + PATIENCE
    while not (home / name / "edge.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Short enough that an edge's sockets are in it, and not elsewhere: its processes are found by this path."""
    path = tmp_path_factory.mktemp("home")
    yield path
    run(path, "down", "--name", "x")


@pytest.mark.parametrize("moment", ["starting", "ready in"])
def test_an_interrupt_ends_it_even_where_a_shell_ignored_interrupts(home: Path, moment: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "lockgate", "up", str(GUIDE), "--name", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "LOCKGATE_HOME": str(home)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    if moment == "starting":
        seen(home, "x")
    else:
        assert process.stdout is not None
        assert any(moment in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert left(home) == []


@pytest.mark.parametrize("detach", [[], ["-d"]])
@pytest.mark.parametrize("after", [0.0, 0.3, 0.6])
def test_down_while_it_starts(home: Path, detach: list[str], after: float) -> None:
    process = spawn(home, "up", GUIDE, "--name", "x", *detach)
    seen(home, "x")
    time.sleep(after)
    done = run(home, "down", "--name", "x")
    assert (done.returncode, done.stderr) == (0, "")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0, said
    assert left(home) == []
    assert run(home, "status", "--name", "x").returncode == 1


def test_status_while_it_starts(home: Path) -> None:
    process = spawn(home, "up", GUIDE, "--name", "x")
    seen(home, "x")
    early = run(home, "status", "--name", "x", "--output", "json")
    assert early.returncode == 1
    assert json.loads(early.stdout)["ready"] is False
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)


def test_of_many_at_once_one_runs_and_the_others_report_it(home: Path) -> None:
    started = [spawn(home, "up", "-d", GUIDE, "--name", "x") for _ in range(6)]
    said = [process.communicate(timeout=PATIENCE * 2)[0] for process in started]
    codes = [process.returncode for process in started]
    assert sorted(codes) == [0, 1, 1, 1, 1, 1], said
    for code, text in zip(codes, said, strict=True):
        assert ("ready in" if code == 0 else "the edge 'x' is already running (pid ") in text
    assert run(home, "status", "--name", "x").returncode == 0


def test_a_supervisor_that_was_stopped_is_woken_and_ends(up: Start) -> None:
    edge = up(GUIDE, name="stopped").ready()
    edge.process.send_signal(signal.SIGSTOP)
    done = edge.lockgate("down")
    assert done.stdout == f"stopped stopped (pid {edge.process.pid})\n"
    assert left(edge.home / "stopped") == []


HANGS = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_one_that_hangs_is_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.runtime.stopping._ORDERLY", 0.2)
    process = subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert end(process.pid, lambda: process.poll() is not None)
    assert process.returncode == -signal.SIGKILL
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{child}").exists() and "State:\tZ" not in Path(f"/proc/{child}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


BLOCKS = "import signal, time\nsignal.signal(signal.SIGUSR1, lambda *_: time.sleep(600))\n"


def test_a_blocked_supervisor_is_killed_with_its_envoys(home: Path, tmp_path: Path) -> None:
    """The handler runs on the loop's thread, so that nothing else does."""
    (tmp_path / "sitecustomize.py").write_text(BLOCKS)
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    assert run(home, "up", "-d", GUIDE, "--name", "x", PYTHONPATH=path).returncode == 0
    assert len(processes(str(home))) == 2
    pid = json.loads((home / "x" / "edge.json").read_text())["pid"]
    os.kill(pid, signal.SIGUSR1)
    done = run(home, "down", "--name", "x")
    assert (done.returncode, done.stdout) == (0, f"stopped x (pid {pid}, which had to be killed)\n")
    assert left(home) == []


def test_the_third_interrupt_ends_even_a_blocked_supervisor(
    up: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BLOCKS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    edge = up(GUIDE, name="blocked").ready()
    edge.process.send_signal(signal.SIGUSR1)
    while edge.process.poll() is None:  # signals that arrive together are one
        edge.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert edge.process.returncode == 130
    edge.wait(until=lambda: not processes(str(edge.home / "blocked")), what="its Envoys are gone")


def test_detached_says_what_the_foreground_says(home: Path, manifests: Path) -> None:
    ingress = manifests / "ingress.yaml"
    unknown = "    alb.ingress.kubernetes.io/no-such: x\n"
    ingress.write_text(ingress.read_text().replace("  annotations:\n", f"  annotations:\n{unknown}"))
    done = run(home, "up", "-d", manifests, "--name", "x")
    assert done.returncode == 0, done.stderr
    assert " + hosted zone quay.example" in done.stdout
    assert "load balancer" in done.stdout
    assert "ready in" in done.stdout
    assert "[LG1101]" in done.stderr
    asked = run(home, "status", "--name", "x")
    assert " + hosted zone quay.example" in asked.stdout
    assert "[LG1101]" in asked.stderr


def test_detached_goes_on_when_its_terminal_is_closed(home: Path) -> None:
    process = spawn(home, "up", "-d", GUIDE, "--name", "x")
    assert process.stdout is not None
    process.stdout.close()  # nobody reads what it says
    assert process.wait(PATIENCE) == 0
    assert run(home, "status", "--name", "x").returncode == 0


def test_an_edge_that_is_not_ready_in_time_continues(home: Path) -> None:
    done = run(home, "up", "-d", GUIDE, "--name", "x", "--timeout", "0.01")
    assert done.returncode == 1
    assert "not ready after" in done.stdout
    deadline = time.monotonic() + PATIENCE
    while (shown := run(home, "status", "--name", "x")).returncode != 0:
        assert time.monotonic() < deadline, f"{shown.stdout}{shown.stderr}{(home / 'x' / 'log').read_text()}"


def test_interrupting_the_wait_stops_the_edge(home: Path) -> None:
    process = spawn(home, "up", "-d", GUIDE, "--name", "x")
    seen(home, "x")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert left(home) == []


def test_an_edge_with_a_refused_object_is_ready_but_not_complete(home: Path, tmp_path: Path) -> None:
    meta = "metadata: {name: web, namespace: shop}"
    service = f"apiVersion: v1\nkind: Service\n{meta}\nspec: {{ports: [{{port: 80}}]}}\n"
    refused = f"---\napiVersion: v1\nkind: ConfigMap\n{meta}\ndata: [1]\n"
    (tmp_path / "shop.yaml").write_text(service + refused)
    assert run(home, "up", "-d", tmp_path / "shop.yaml", "--name", "x").returncode == 0
    shown = run(home, "status", "--name", "x", "--output", "json")
    assert shown.returncode == 0
    reported = json.loads(shown.stdout)
    assert (reported["ready"], reported["complete"]) == (True, False)
    assert run(home, "down", "--name", "x").returncode == 0


def test_status_knows_of_a_frozen_envoy_and_of_a_deleted_object(up: Start) -> None:
    edge = up(GUIDE, name="truth").ready()
    pid = edge.status()["envoys"]["alb"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    edge.until(f"its Envoy (pid {pid}) does not answer")
    assert edge.lockgate("status", check=False).returncode == 1
    os.kill(pid, signal.SIGCONT)
    edge.until(" ✓ load balancer")
    edge.exec("kubectl", "--namespace", "istio-system", "delete", "ingress", "quay")
    assert "was deleted through the Kubernetes API" in edge.until("[LG9007]")
    assert "Ingress istio-system/quay" in edge.lockgate("status", check=False).stderr
