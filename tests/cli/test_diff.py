"""`lockgate diff`: two folders, two commits, exit codes, JSON and Markdown."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lockgate.cli.diff import diff

EXAMPLE = Path(__file__).parents[2] / "examples" / "edge"
ROUTE = """    - match:
        - uri:
            prefix: /api/
"""
CANARY = """    - match:
        - uri: {prefix: /cart}
      route:
        - destination: {host: api, port: {number: 8080}}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits; the second adds a route."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(EXAMPLE, tmp_path / "k8s")
    _git(tmp_path, "init", "-q", "-b", "main")
    _commit(tmp_path)
    _add_route(tmp_path / "k8s")
    _commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _add_route(folder: Path) -> None:
    file = folder / "50-routes.yaml"
    text = file.read_text()
    assert ROUTE in text
    file.write_text(text.replace(ROUTE, CANARY + ROUTE))


def _commit(folder: Path) -> None:
    _git(folder, "add", "-A")
    _git(folder, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "-q", "-m", "change")


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(("git", *arguments), cwd=folder, check=True, capture_output=True)


def run(*arguments: str) -> tuple[int, Result]:
    done = CliRunner().invoke(diff, arguments, standalone_mode=False)
    return (done.return_value if done.exception is None else getattr(done.exception, "exit_code", 99)), done


def test_commits_and_the_working_tree(repository: Path) -> None:
    code, done = run("git:HEAD~1", "k8s")
    assert code == 1
    assert "https 443 towpath.example, www.towpath.example, path begins with /cart" in done.output
    assert " - shop/web:3000  HEAD~1:k8s/50-routes.yaml:21:7\n" in done.output
    assert " + shop/api:8080  k8s/50-routes.yaml:12:11\n" in done.output
    assert "curl -i https://towpath.example/cart" in done.output
    assert "1 class of requests differs" in done.output
    assert run("git:HEAD", "k8s")[0] == 0
    assert run("git:HEAD:k8s", "git:HEAD~1:k8s")[0] == 1
    assert run("git:HEAD", "git:HEAD~1:k8s")[0] == 1


def test_from_a_folder_below(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "docs").mkdir()
    monkeypatch.chdir(repository / "docs")
    assert run("git:HEAD", "../k8s")[0] == 0
    assert run("git:HEAD~1:../k8s", "../k8s")[0] == 1


def test_the_repository_is_left_as_it_is(repository: Path) -> None:
    (repository / "k8s" / "60-new.yaml").write_text("# not committed\n")
    before = subprocess.run(("git", "status", "--short"), capture_output=True, check=True).stdout
    run("git:HEAD~1", "k8s")
    assert subprocess.run(("git", "status", "--short"), capture_output=True, check=True).stdout == before


def test_what_other_programs_read(repository: Path) -> None:
    code, done = run("git:HEAD~1", "k8s", "--output", "json")
    found = json.loads(done.output)
    assert code == 1
    assert found["equal"] is False
    (one,) = found["classes"]
    assert one["witness"]["url"] == "https://towpath.example/cart"
    assert one["changes"] == [{"aspect": "backend", "old": "shop/web:3000", "new": "shop/api:8080"}]
    assert one["new"] == {"answer": "shop/api:8080", "at": "k8s/50-routes.yaml:12:11"}


def test_a_comment_for_a_pull_request(repository: Path) -> None:
    code, done = run("git:HEAD~1", "k8s", "--output", "markdown")
    assert code == 1
    assert "| requests | `git:HEAD~1` | `k8s` |\n| --- | --- | --- |" in done.output
    row = "| https 443 towpath.example, www.towpath.example, path begins with /cart | shop/web:3000 | shop/api:8080 |"
    assert row in done.output


@pytest.mark.parametrize(
    ("old", "words"),
    [
        ("git:nowhere", "no commit nowhere"),
        ("git:--output=x", "'--output=x' is not a commit"),
        ("git:HEAD:none", "HEAD has no none"),
        ("git:HEAD:../..", "is outside the repository"),
        ("none", "none does not exist"),
    ],
)
def test_wrong_usage(repository: Path, old: str, words: str) -> None:
    code, done = run(old, "k8s")
    assert code == 2
    assert words in str(done.exception)


def test_a_link_that_leads_outside_is_not_followed(repository: Path) -> None:
    (repository / "k8s" / "outside.yaml").symlink_to("/etc/hostname")
    _commit(repository)
    assert run("git:HEAD", "git:HEAD~1:k8s")[0] == 0


def test_what_cannot_be_read_is_said(repository: Path) -> None:
    (repository / "k8s" / "60-broken.yaml").write_text("kind: [\n")
    code, done = run("git:HEAD", "k8s")
    assert code == 0
    assert "equal: no request" in done.stdout
    assert "k8s/60-broken.yaml:" in done.stderr
    assert "error: " in done.stderr
