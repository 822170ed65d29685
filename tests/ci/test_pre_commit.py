"""The pre-commit hook, installed and run by the real pre-commit from a clone of this repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 600  # s, in which a slow machine has installed what Lockgate needs

pytestmark = pytest.mark.edge


def test_its_description_is_valid() -> None:
    done = pre_commit(ROOT, "validate-manifest", ".pre-commit-hooks.yaml")
    assert done.returncode == 0, done.stdout


def test_a_commit_with_a_fault_is_refused(tmp_path: Path) -> None:
    hooks, project = tmp_path / "hooks", tmp_path / "project"
    _copy_of_this_repository(hooks)
    shutil.copytree(ROOT / "examples" / "edge", project / "k8s")
    _committed(project)
    (project / ".pre-commit-config.yaml").write_text(
        f"repos: [{{repo: {hooks}, rev: {_committed(hooks)}, hooks: [{{id: lockgate-check, args: [k8s]}}]}}]\n"
    )
    installed = pre_commit(project, "install", "--install-hooks", home=tmp_path / "home")
    if "No matching distribution" in installed.stdout or "Failed to establish a new connection" in installed.stdout:
        pytest.skip("pip reaches no packages here")
    assert installed.returncode == 0, installed.stdout

    gateway = project / "k8s" / "40-gateway.yaml"
    good = gateway.read_text()
    gateway.write_text(good.replace('hosts: ["*"]', "hosts: [towpath.example]"))
    refused = _commit(project, home=tmp_path / "home")
    assert refused.returncode == 1
    assert "k8s/40-gateway.yaml:15:7: error: " in refused.stdout
    assert "[LG5001]" in refused.stdout

    gateway.write_text(good + "# as it was\n")
    accepted = _commit(project, home=tmp_path / "home")
    assert accepted.returncode == 0, accepted.stdout
    (project / "readme.txt").write_text("no manifest\n")
    assert "(no files to check)Skipped" in _commit(project, home=tmp_path / "home").stdout


def pre_commit(folder: Path, *arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    return _run([sys.executable, "-m", "pre_commit", *arguments], folder, home)


def _commit(project: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Through git, which runs the hook."""
    _run(["git", "add", "-A"], project)
    return _run(["git", *_AUTHOR, "commit", "-m", "a change"], project, home)


def _committed(folder: Path) -> str:
    """The revision of all that is in a folder."""
    for command in (["init", "-q"], ["add", "-A"], [*_AUTHOR, "commit", "-qm", "all"]):
        done = _run(["git", *command], folder)
        assert done.returncode == 0, done.stdout
    return _run(["git", "rev-parse", "HEAD"], folder).stdout.strip()


_AUTHOR = ("-c", "user.name=Test", "-c", "user.email=test@towpath.example")


def _copy_of_this_repository(target: Path) -> None:
    """With what is not committed yet."""
    listed = _run(["git", "ls-files", "-co", "--exclude-standard"], ROOT)
    if listed.returncode:
        pytest.skip("not a clone: pre-commit installs from git")
    for file in listed.stdout.splitlines():
        if (ROOT / file).is_file():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, target / file)


def _run(command: list[str], folder: Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    # The hook's own environment has Lockgate, not the one of these tests.
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "GIT_DIR")}
    return subprocess.run(
        command,
        cwd=folder,
        env={**inherited, **({"PRE_COMMIT_HOME": str(home)} if home else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
