"""Makes the pictures of the documentation from a running example: `python docs/pictures.py`.

The drawings come from Lockgate itself. Screenshots need Chromium on PATH, those of the console Playwright, and two
drawings pytest and pre-commit; without them, those in the repository stay.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import editor
import shipping
import terminal

DOCS = Path(__file__).parent
EXAMPLE = DOCS.parent / "examples" / "edge"
URL = "https://towpath.example/api/v1/orders?x=1"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {"LOCKGATE_HOME": home, "LOCKGATE_EDGE": "pictures"}
        lockgate("up", str(EXAMPLE), "--detach")
        try:
            (DOCS / "trace.svg").write_text(lockgate("trace", URL, str(EXAMPLE), "--output", "svg"))
            browser = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
            if browser is None:
                print("Chromium is not installed: the screenshots stay as they are")
            else:
                screenshot(browser, URL, DOCS / "echo.png", home)
        finally:
            lockgate("down")
        if browser is None or find_spec("playwright") is None:
            print("Chromium or Playwright is not installed: the console's pictures stay as they are")
        else:
            console(browser)
        os.chdir(DOCS.parent)  # lines are shown with the path that is given
        os.environ["LOCKGATE_EDGE"] = "example"
        lockgate("up", "examples/edge", "--empty", "--detach")
        try:
            shipping.record(DOCS)
        finally:
            lockgate("down")
        edited = Path(home) / "edited"
        shutil.copytree(EXAMPLE, edited)
        (DOCS / "editors.svg").write_text(editor.picture(edited))
        for name, module, draw in (("pytest", "pytest", failed_test), ("pre-commit", "pre_commit", refused_commit)):
            if find_spec(module) is None:
                print(f"{name} is not installed: its picture stays as it is")
            else:
                (DOCS / f"{name}.svg").write_text(draw(Path(home) / name))
    return 0


def console(browser: str) -> None:
    """Of an edge with an application that does not answer: nothing listens on port 9."""
    import screens

    os.environ["LOCKGATE_EDGE"] = "example"
    os.chdir(DOCS.parent)  # lines are shown with the path that is given
    lockgate("up", "examples/edge", "--detach", "--backend", "shop/web:3000=http://127.0.0.1:9")
    try:
        screens.draw(browser, DOCS, lockgate("console").strip())
    finally:
        lockgate("down")


TEST = """\
def test_the_api_is_served(edge):
    answer = edge.get("https://towpath.example/api/v1/orders")
    assert answer.status_code == 200
"""


def failed_test(project: Path) -> str:
    """A server that has become one for named hosts, and a test that notices."""
    with_named_host(project)
    (project / "test_routes.py").write_text(TEST)
    command = ["pytest", "-p", "lockgate.pytest", "--lockgate-manifests=k8s", "--color=yes", "-q", "--rootdir=."]
    variables = {**os.environ, "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, env=variables, stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == 1, done.stdout
    return terminal.svg(f"$ pytest\n{done.stdout}", "a failed test, followed by the trace of its request")


HOOK = """\
repos:
  - repo: local
    hooks:
      - {id: lockgate-check, name: lockgate check, language: system, entry: PYTHON -m lockgate check k8s --select LG5,
         types: [yaml], pass_filenames: false}
"""


def refused_commit(project: Path) -> str:
    with_named_host(project)
    (project / ".pre-commit-config.yaml").write_text(HOOK.replace("PYTHON", sys.executable))
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    command = [sys.executable, "-m", "pre_commit", "run", "--color=always"]
    done = subprocess.run(command, cwd=project, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1, done.stdout
    return terminal.svg(f"$ git commit\n{done.stdout}", "a commit that is refused, with the line and the fix")


def with_named_host(project: Path) -> None:
    shutil.copytree(EXAMPLE, project / "k8s")
    gateway = project / "k8s" / "40-gateway.yaml"
    gateway.write_text(re.sub(r'hosts: \["\*"\]', "hosts: [towpath.example]", gateway.read_text()))


def lockgate(*arguments: str) -> str:
    command = [sys.executable, "-m", "lockgate", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def screenshot(browser: str, url: str, picture: Path, home: str) -> None:
    """Through the edge's proxy; Chromium has a trust store of its own, so the certificate is accepted by its flag."""
    proxy = next(
        line.partition("=")[2] for line in lockgate("env").splitlines() if line.startswith("export HTTPS_PROXY=")
    )
    quiet: Sequence[str] = (
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
    )
    run = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", *quiet]
    run += [f"--user-data-dir={home}/browser", f"--proxy-server={proxy}", "--ignore-certificate-errors"]
    run += ["--window-size=1000,900", f"--screenshot={picture}", url]
    subprocess.run(run, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
