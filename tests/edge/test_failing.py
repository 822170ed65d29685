"""Failures have one clear line with a hint, the right exit code, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.embedded.http import listen
from tests.edge.conftest import GUIDE, Start

pytestmark = pytest.mark.edge


def run(home: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lockgate", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "LOCKGATE_HOME": str(home), **environment},
    )


def left(home: Path) -> list[str]:
    """Files beside the logs and locks, and processes that know the folder."""
    files = [str(each) for each in home.rglob("*") if each.is_file() and each.name not in ("log", "lock")]
    return files + [f"pid {pid}" for pid in processes(str(home))]


def processes(text: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in command and "envoy" in command:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "no manifests in "),
        ("---\n", "a.yaml:1:1: info: "),
        ("kind: [\n", "a.yaml:2:1: error: "),
        ("kind: Service\nmetadata: {name: x}\n", "apiVersion"),
    ],
)
def test_nothing_to_run(tmp_path: Path, content: str | None, line: str) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    if content is not None:
        (folder / "a.yaml").write_text(content)
    done = run(tmp_path / "home", "up", folder)
    assert done.returncode == 1
    assert line in done.stderr
    *faults, last = done.stderr.splitlines()
    assert len(faults) == (content is not None)
    assert last.startswith("lockgate: ") and last.endswith("name files or folders with Kubernetes manifests")
    assert left(tmp_path / "home") == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["up"], "Missing argument"),
        (["up", "x", "--name", "Not A Name"], "is not a name for an edge"),
        (["up", "x", "--backend", "nonsense"], "is not NAMESPACE/SERVICE:PORT=URL"),
        (["up", "x", "--port", "etcd=1"], "is not NAME=PORT"),
        (["frobnicate"], "No such command"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], line: str) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert line in done.stderr


@pytest.mark.parametrize("command", [["status"], ["logs"], ["down"], ["env"], ["exec", "--", "true"]])
def test_nothing_runs(tmp_path: Path, command: list[str]) -> None:
    done = run(tmp_path, *command)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no edge 'default' is running — start one with `lockgate up PATH…`" in done.stderr


@pytest.mark.parametrize("name", ["kubernetes", "aws", "acme", "dns", "proxy"])
def test_a_port_in_use(tmp_path: Path, name: str) -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        done = run(tmp_path, "up", GUIDE, "--port", f"{name}={port}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"lockgate: 127.0.0.1:{port} is already in use — choose another with --port NAME=PORT, "
        "or leave it out for a free one"
    )
    assert left(tmp_path) == []


def test_a_second_one_under_the_same_name(up: Start) -> None:
    edge = up(GUIDE).ready()
    done = run(edge.home, "up", GUIDE, "--name", edge.name)
    assert done.returncode == 1
    assert f"the edge {edge.name!r} is already running (pid {edge.process.pid}) — stop it with" in done.stderr
    assert edge.status()["ready"] is True


@pytest.mark.parametrize("after", ["certificate", "kubernetes api"])
def test_interrupted_while_it_starts(up: Start, after: str) -> None:
    edge = up(GUIDE)
    edge.until(after)
    edge.process.send_signal(signal.SIGINT)
    assert edge.process.wait(20) in (0, 130)
    assert left(edge.home / edge.name) == []


def test_stopped_and_nothing_is_left(up: Start) -> None:
    edge = up(GUIDE).ready()
    assert processes(str(edge.home / edge.name))
    done = run(edge.home, "down", "--name", edge.name)
    assert (done.returncode, done.stdout) == (0, f"stopped {edge.name} (pid {edge.process.pid})\n")
    assert edge.process.wait(20) == 0
    assert left(edge.home / edge.name) == []


def test_a_killed_supervisor_leaves_no_envoy_and_the_next_up_works(up: Start) -> None:
    edge = up(GUIDE, name="killed").ready()
    assert len(processes(str(edge.home / "killed"))) == 2
    edge.process.kill()
    edge.process.wait()
    edge.wait(until=lambda: not processes(str(edge.home / "killed")), what="its Envoys are gone")
    again = up(GUIDE, name="killed").ready()
    assert "quay-service" in again.curl("https://quay.example/")


def test_detached_it_returns_when_ready_and_reports_why_it_is_not(tmp_path: Path) -> None:
    done = run(tmp_path, "up", "-d", GUIDE, "--name", "back")
    assert done.returncode == 0, done.stderr
    assert "load balancer" in done.stdout
    try:
        asked = run(tmp_path, "exec", "--name", "back", "--", "curl", "-sS", "https://quay.example/")
        assert "quay-service" in asked.stdout
        assert "start of back" in run(tmp_path, "logs", "--name", "back").stdout
        assert run(tmp_path, "logs", "--name", "back", "--envoy", "gateway").returncode == 0
        assert (
            "no Envoy is called 'other': there is alb, gateway"
            in run(tmp_path, "logs", "--name", "back", "--envoy", "other").stderr
        )
    finally:
        assert run(tmp_path, "down", "--name", "back").returncode == 0
    failed = run(tmp_path, "up", "-d", tmp_path / "missing", "--name", "back")
    assert failed.returncode == 1
    assert "does not exist" in failed.stderr
    assert left(tmp_path) == []


def test_a_ca_that_refuses_is_reported(up: Start, manifests: Path) -> None:
    file = manifests / "certificates.yaml"
    text = file.read_text().replace("https://acme-v02.api.letsencrypt.org/directory", "https://127.0.0.1:1/directory")
    file.write_text(text)
    edge = up(manifests, "--timeout", "4")
    edge.until("not ready after")
    certificate = next((line for line in edge.lines if "istio-system/quay " in line), None)
    assert "127.0.0.1:1" in (certificate or edge.until("istio-system/quay "))
    assert edge.stop() in (1, 130)


def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run(tmp_path / "file" / "home", "up", GUIDE)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "Not a directory" in done.stderr


def test_a_full_disk(tmp_path: Path) -> None:
    """A file system with no room at all: /dev/full answers every write so."""
    home = tmp_path / "home" / "default"
    home.mkdir(parents=True)
    (home / "log").symlink_to("/dev/full")
    done = run(tmp_path / "home", "up", GUIDE)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert processes(str(tmp_path)) == []


def test_an_envoy_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path, "up", GUIDE, LOCKGATE_ENVOY=str(tmp_path / "no-envoy"))
    assert done.returncode == 1
    assert "no-envoy" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_an_object_that_the_api_refuses_is_reported_and_the_rest_runs(up: Start, manifests: Path) -> None:
    text = (manifests / "ingress.yaml").read_text().replace("name: quay\n", "name: other\n", 1)
    text = text.replace("    kubernetes.io/ingress.class: alb\n", "").replace(
        "spec:\n", "spec:\n  ingressClassName: gone\n", 1
    )
    (manifests / "refused.yaml").write_text(text)
    edge = up(manifests).ready()
    assert "quay-service" in edge.curl("https://quay.example/")
    states = {(each["kind"], each["name"]): each["state"] for each in edge.status()["objects"]}
    assert states["Ingress", "other"] == "refused"
    assert states["Ingress", "quay"] == "ready"
    [reported] = [line for line in edge.lines if "gone" in line]  # once, with the field
    place = next(number for number, line in enumerate(text.splitlines(), 1) if "ingressClassName: gone" in line)
    assert f"refused.yaml:{place}:" in reported
    assert "[LG9002]" in reported
