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


# --- the comment of a pull request -------------------------------------------------------------------------------

GH = """\
#!/bin/sh
echo "$@" >>calls
case "$*" in
  *--paginate*) cat before ;;
  *--method*) for last; do :; done; cp "${last#body=@}" posted ;;
esac
"""


@pytest.fixture
def pull_request(job: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A pull request that takes a route away, and a `gh` that writes down what it is asked."""
    monkeypatch.delenv("GH_TOKEN", raising=False)
    shutil.copy(ROOT / "examples" / "edge" / "40-gateway.yaml", job / "k8s")
    _git(job, "init", "-q")
    _git(job, "add", "k8s")
    _git(job, "-c", "user.name=Test", "-c", "user.email=test@towpath.example", "commit", "-qm", "base")
    base = _git(job, "rev-parse", "HEAD")
    routes = job / "k8s" / "50-routes.yaml"
    routes.write_text(routes.read_text().replace("prefix: /api/", "prefix: /v2/"))
    (job / "before").write_text("")
    (job / "bin").mkdir()
    (job / "bin" / "gh").write_text(GH)
    (job / "bin" / "gh").chmod(0o755)
    return {
        "LOCKGATE_PATH": "k8s\n",
        "LOCKGATE_BASE": base,
        "LOCKGATE_PULL_REQUEST": "7",
        "GITHUB_REPOSITORY": "towpath/edge",
        "GH_TOKEN": "token",
        "PATH": f"{job / 'bin'}:{os.environ['PATH']}",
    }


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_a_comment_says_which_requests_change(job: Path, pull_request: dict[str, str]) -> None:
    done = step(job, "diff.sh", **pull_request)
    assert done.returncode == 0, done.stdout + done.stderr
    posted = (job / "posted").read_text()
    assert posted.startswith("<!-- lockgate diff -->\n")
    assert "/api/" in posted and "shop/web:3000" in posted
    assert (job / "summary").read_text() == posted
    assert (job / "output").read_text() == "differs=1\n"
    assert "--method POST repos/towpath/edge/issues/7/comments" in (job / "calls").read_text()


def test_the_comment_from_before_is_replaced(job: Path, pull_request: dict[str, str]) -> None:
    (job / "before").write_text("11\n12\n")
    step(job, "diff.sh", **pull_request)
    assert "--method PATCH repos/towpath/edge/issues/comments/11" in (job / "calls").read_text()
    assert "POST" not in (job / "calls").read_text()


def test_where_nothing_changes_no_comment_is_made(job: Path, pull_request: dict[str, str]) -> None:
    shutil.copy(ROOT / "examples" / "edge" / "50-routes.yaml", job / "k8s")
    assert step(job, "diff.sh", **pull_request).returncode == 0
    assert not (job / "posted").exists()
    assert (job / "output").read_text() == "differs=0\n"


@pytest.mark.parametrize("token", ["", "read-only"])
def test_without_permission_the_summary_has_it(job: Path, pull_request: dict[str, str], token: str) -> None:
    """As in a pull request from a fork."""
    (job / "bin" / "gh").write_text("#!/bin/sh\necho 'HTTP 403: Resource not accessible by integration' >&2; exit 1\n")
    done = step(job, "diff.sh", **{**pull_request, "GH_TOKEN": token})
    assert done.returncode == 0, done.stderr
    assert "::notice title=Lockgate::The changed requests are in the summary of the job: " in done.stdout
    assert "/api/" in (job / "summary").read_text()


def test_the_base_is_fetched_where_the_checkout_has_not_got_it(job: Path, pull_request: dict[str, str]) -> None:
    clone = job / "clone"
    _git(job, "-c", "user.name=Test", "-c", "user.email=test@towpath.example", "commit", "-qam", "change")
    _git(job, "clone", "-q", "--depth=1", job.as_uri(), str(clone))
    for name in ("temp", "bin", "before"):
        (clone / name).symlink_to(job / name)
    done = step(clone, "diff.sh", **pull_request)
    assert done.returncode == 0, done.stderr
    assert "/api/" in (clone / "posted").read_text()


def test_what_cannot_be_compared_fails(job: Path, pull_request: dict[str, str]) -> None:
    assert step(job, "diff.sh", **{**pull_request, "LOCKGATE_PATH": "nowhere"}).returncode == 2
