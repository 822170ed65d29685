"""What lies in a folder does not keep its edge from starting, or stop it later: other files, broken ones, sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge.conftest import Start

pytestmark = pytest.mark.edge

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME}\nspec: {ports: [{port: 80}]}\n"
OLD = "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: old}\n"


def service(name: str) -> str:
    return SERVICE.replace("NAME", name)


def test_other_files_are_reported_at_the_start_as_later(up: Start, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(service("good"))
    (tmp_path / "package.json").write_text('{"name": "web"}')
    (tmp_path / "old.yaml").write_text(OLD)
    os.mkfifo(tmp_path / "pipe.yaml")
    edge = up(tmp_path)
    edge.until("LG0010")
    edge.until("npm's package.json")
    edge.until("a named pipe is not read")
    edge.ready()
    (tmp_path / "values.yaml").write_text("replicas: 2\n")
    edge.until("values for a Helm chart")
    os.mkfifo(tmp_path / "another.yaml")
    (tmp_path / "more.yaml").write_text(service("more"))
    edge.until("created Service default/more")
    names = edge.exec("kubectl", "get", "service", "-o", "name").split()
    assert {"service/good", "service/more"} <= set(names)


def test_nothing_usable_is_exit_code_1(up: Start, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text(OLD)
    edge = up(tmp_path)
    edge.until("LG0010")
    edge.until(f"nothing in {tmp_path} can be served")
    assert edge.process.wait(20) == 1


def test_an_overlay_is_followed_at_its_base(up: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    base, overlay = tmp_path / "base", tmp_path / "overlays" / "prod"
    base.mkdir()
    overlay.mkdir(parents=True)
    (base / "web.yaml").write_text(service("web"))
    (base / "kustomization.yaml").write_text("resources: [web.yaml]\n")
    (overlay / "kustomization.yaml").write_text("namePrefix: prod-\nresources: [../../base]\n")
    edge = up(overlay)
    edge.until(f"+ {overlay}: rendered with")
    edge.ready()
    (base / "web.yaml").write_text(service("web") + "---\n" + service("more"))
    edge.until("created Service default/prod-more")
    (overlay / "kustomization.yaml").write_text("namePrefix: prod-\nresources: [../../gone]\n")
    edge.until("LG0020")
    assert "service/prod-web" in edge.exec("kubectl", "get", "service", "-o", "name")
    (overlay / "kustomization.yaml").write_text("namePrefix: test-\nresources: [../../base]\n")
    edge.until("created Service default/test-more")


def test_what_a_shell_pipes_in_reaches_a_detached_edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKGATE_HOME", str(tmp_path / "home"))
    (tmp_path / "web.yaml").write_text(service("web"))
    lockgate = [sys.executable, "-m", "lockgate"]
    started = subprocess.run(
        ["bash", "-c", f"{' '.join(lockgate)} up --detach --name piped <(cat {tmp_path}/web.yaml)"],
        capture_output=True,
        text=True,
        timeout=80,
    )
    try:
        assert started.returncode == 0, started.stderr
        assert "1 object from 1 file" in started.stdout
    finally:
        subprocess.run([*lockgate, "down", "--name", "piped"], timeout=40, check=True)
