"""The GitHub Action: its description is valid, and its steps do here what they do on a runner."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job's folder, with a Gateway that is only for a named host, and the command as the first step installs it."""
    shutil.copytree(ROOT / "examples" / "edge", tmp_path / "k8s")
    gateway = tmp_path / "k8s" / "40-gateway.yaml"
    gateway.write_text(gateway.read_text().replace('hosts: ["*"]', "hosts: [towpath.example]"))
    command = tmp_path / "temp" / "lockgate" / "bin" / "lockgate"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m lockgate "$@"\n')
    command.chmod(0o755)
    return tmp_path


def step(job: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    runner = {"RUNNER_TEMP": "temp", "GITHUB_OUTPUT": "output", "GITHUB_STEP_SUMMARY": "summary"}
    return subprocess.run(
        ["bash", str(ROOT / "action" / script)],
        cwd=job,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **runner, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_its_description_is_valid() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions"]
    done = subprocess.run([*checker, str(ROOT / "action.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_description_names_scripts_and_variables_that_exist() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    for each in action["runs"]["steps"]:
        script = ROOT / each["run"].strip('"').removeprefix("$GITHUB_ACTION_PATH/")
        assert os.access(script, os.X_OK)
        text = script.read_text()
        for variable, value in each.get("env", {}).items():
            assert variable in text
            for name in re.findall(r"inputs\.([\w-]+)", value):
                assert name in action["inputs"]


def test_findings_are_annotations_and_a_summary(job: Path) -> None:
    done = step(job, "check.sh", LOCKGATE_PATH="k8s\n", LOCKGATE_OPTIONS="--select LG5")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=k8s/40-gateway.yaml,line=15,col=7,title=LG5001 ")
    assert (job / "output").read_text() == "findings=1\n"
    assert "k8s/40-gateway.yaml:15:7: error: " in (job / "summary").read_text()


def test_options_reach_the_command(job: Path) -> None:
    done = step(job, "check.sh", LOCKGATE_PATH="k8s", LOCKGATE_OPTIONS="--select LG5 --ignore LG5001")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (job / "output").read_text() == "findings=0\n"
    assert step(job, "check.sh", LOCKGATE_PATH="k8s", LOCKGATE_FAIL_ON="never").returncode == 0


def test_several_paths_may_have_spaces(job: Path) -> None:
    (job / "k8s" / "40-gateway.yaml").rename(job / "the gateway.yaml")
    done = step(job, "check.sh", LOCKGATE_PATH="k8s\nthe gateway.yaml\n")
    assert "::error file=the gateway.yaml,line=15," in done.stdout, done.stderr


def test_wrong_usage_is_not_taken_for_findings(job: Path) -> None:
    done = step(job, "check.sh", LOCKGATE_PATH="k8s", LOCKGATE_OPTIONS="--nonsense")
    assert done.returncode == 2
    assert "No such option" in done.stderr
    assert not (job / "output").exists()
