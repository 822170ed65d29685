"""The pytest plugin in a real pytest, with real edges."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.edge.conftest import PATIENCE, ROOT

pytestmark = pytest.mark.edge
pytest_plugins = ["pytester"]

PASSING = """
import os, ssl
import pytest

URL = "https://towpath.example"

def test_a_request_takes_both_hops(edge):
    answer = edge.get(f"{URL}/api/v1/orders?x=1", headers={"x-canary": "always"})
    echo = answer.json()
    assert (answer.status_code, echo["service"], echo["path"]) == (200, "shop/api:8080", "/v1/orders")
    assert ["x-canary", "always"] in [[name.lower(), value] for name, value in echo["headers"]]

def test_prediction_and_wire_agree(edge):
    answer, trace = edge.get("http://towpath.example/x?y=1"), edge.trace("http://towpath.example/x?y=1", follow=True)
    assert answer.status_code == trace.status == 301
    assert answer.headers["location"] == trace.location
    assert trace.by == "load balancer" and trace.followed.backend == "shop/web:3000"
    assert trace.hop("rule")["at"].startswith("examples/edge/30-load-balancer.yaml:")
    with pytest.raises(KeyError, match="no hop 'nope'; there are dns, "):
        trace.hop("nope")

def test_each_request_is_on_its_own_but_in_a_client(edge):
    assert edge.post(URL, content=b"body").status_code == 200
    with edge.client(base_url=URL, follow_redirects=True) as client:
        assert client.put("/x").json()["method"] == "PUT"
        assert client.get("http://towpath.example/y").json()["path"] == "/y"

def test_no_other_ca_is_trusted(edge):
    with edge.client(verify=ssl.create_default_context()) as client, pytest.raises(edge_error()):
        client.get(URL)

def edge_error():
    import httpx
    return httpx.ConnectError

def test_asyncio(edge):
    import asyncio
    async def send():
        async with edge.async_client(http2=True) as client:
            return await client.get(URL)
    assert asyncio.run(send()).http_version == "HTTP/2"

def test_programs_use_the_edge(edge):
    assert "shop/web:3000" in edge.exec("curl", "-sS", URL, check=True).stdout
    names = edge.exec("kubectl", "get", "certificates", "-A", "-o", "name", check=True).stdout
    assert names == "certificate.cert-manager.io/towpath\\n"
    assert edge.exec("sh", "-c", "echo $X $LOCKGATE_EDGE; exit 3", env={"X": "1"}).stdout == f"1 {edge.name}\\n"

@pytest.mark.manifests("examples/plain-alb")
def test_others_manifests(edge):
    assert "https://mooring.example/" in edge.urls

@pytest.fixture(scope="module")
def client(edge):
    with edge.client(base_url=URL) as client:
        yield client

def test_the_first_edge_is_still_there(client):
    assert client.get("/").status_code == 200

@pytest.mark.parametrize("edge", ["examples/edge"], indirect=True)
def test_manifests_may_be_a_parameter(edge):
    assert edge.get(URL).status_code == 200
"""

FAILING = """
import pytest

def test_answered(edge):
    assert edge.get("https://towpath.example/", headers={"Host": "other.example"}).status_code == 200

def test_not_answered(edge):
    edge.get("https://nope.towpath.example/")

def test_predicted(edge):
    assert edge.trace("https://towpath.example/x").backend == "shop/api:8080"

def test_program(edge):
    edge.exec("curl", "-sSf", "https://towpath.example:8443/", check=True)

def test_silent(edge):
    assert not edge.urls
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with the examples in it."""
    monkeypatch.delenv("LOCKGATE_HOME", raising=False)
    shutil.copytree(ROOT / "examples", pytester.path / "examples")
    pytester.makeini("[pytest]\nlockgate_manifests = examples/edge\n")
    return pytester


def test_requests_predictions_and_programs(project: pytest.Pytester) -> None:
    project.makepyfile(PASSING)
    result = project.runpytest_subprocess("-p", "lockgate.pytest", "-v", timeout=PATIENCE * 3)
    result.assert_outcomes(passed=9)
    # Tests with the same manifests run one after the other, whatever their order in the file.
    result.stdout.fnmatch_lines(["*::test_the_first_edge_is_still_there PASSED*", "*::test_others_manifests PASSED*"])


def test_a_failure_says_what_the_edge_does_and_where(project: pytest.Pytester) -> None:
    project.makepyfile(FAILING)
    result = project.runpytest_subprocess(
        "-p", "lockgate.pytest", "--show-capture=no", "--junitxml=r.xml", timeout=PATIENCE * 2
    )
    result.assert_outcomes(failed=5)
    first = next(ElementTree.parse(project.path / "r.xml").iter("failure"))
    assert "examples/edge/40-gateway.yaml:11:7" in (first.text or "")
    text = result.stdout.str().split("____ test_")
    answered, unanswered, predicted, program, silent = text[1:]
    assert "GET https://towpath.example/ → 404 Not Found" in answered
    assert "→ The gateway answers 404: no VirtualService of this server has the host other.example." in answered
    assert "examples/edge/40-gateway.yaml:11:7" in answered
    assert "fix: Add the host to a VirtualService" in answered
    assert "GET https://nope.towpath.example/ → no response" in unanswered
    assert "→ nope.towpath.example has no record" in unanswered
    assert "httpcore" not in unanswered, "calls in httpx hide the test's own line"
    assert "→ shop/web:3000 answers" in predicted
    assert "→ exit code 22\ncurl: (22)" in program
    assert "has no listener on port 8443" in program
    assert "- lockgate -" not in silent


def test_an_edge_that_does_not_start_says_why(project: pytest.Pytester) -> None:
    project.makepyfile(test_a="def test_a(edge): pass\ndef test_b(edge): pass")
    result = project.runpytest_subprocess("-p", "lockgate.pytest", "--lockgate-manifests", "nope", timeout=PATIENCE)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["the edge of nope does not start:", "lockgate: nope does not exist*"])
    assert "During handling" not in result.stdout.str()


def test_an_edge_that_is_not_ready_says_why(project: pytest.Pytester) -> None:
    """An issuer whose account is at a server that nobody runs."""
    project.makeconftest(
        "import pytest\n@pytest.fixture(scope='session')\ndef lockgate_options(): return ['--timeout', '30']\n"
    )
    file = project.path / "examples" / "edge" / "10-certificate.yaml"
    text = file.read_text()
    assert "server: https://acme-v02.api.letsencrypt.org/directory" in text
    file.write_text(text.replace("https://acme-v02.api.letsencrypt.org/directory", "https://127.0.0.1:9/directory"))
    project.makepyfile(test_a="def test_a(edge): pass")
    result = project.runpytest_subprocess("-p", "lockgate.pytest", timeout=PATIENCE * 2)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the edge of examples/edge is not ready*", "*certificate*istio-system/towpath*"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_after(project: pytest.Pytester, number: signal.Signals) -> None:
    project.makepyfile(
        "import pathlib, time\n"
        "def test_a(edge):\n"
        "    pathlib.Path('pid.new').write_text(str(edge.folder.pid()))\n"
        "    pathlib.Path('pid.new').rename('pid')\n"
        "    time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, "-m", "pytest", "-p", "lockgate.pytest"], stdout=subprocess.DEVNULL)
    _wait_for(lambda: (project.path / "pid").exists())
    pid = int((project.path / "pid").read_text())
    envoys = _children(pid)
    assert _alive(pid) and len(envoys) >= 2
    run.send_signal(number)
    run.wait(PATIENCE)
    _wait_for(lambda: not any(_alive(each) for each in (pid, *envoys)))


def test_a_fixture_of_the_same_name_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.fixture(params=['north', 'south'])\n"
        "def edge(request): return request.param\n"
        "def test_own(edge): assert edge in ('north', 'south')\n"
        "@pytest.mark.parametrize('edge', ['east'])\n"
        "def test_direct(edge): assert edge == 'east'\n"
    )
    result = pytester.runpytest_inprocess("-p", "lockgate.pytest", "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*::test_own[[]north[]] PASSED*", "*::test_direct[[]east[]] PASSED*"])


def test_without_manifests_the_failure_says_how_to_name_them(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_a(edge): pass")
    result = pytester.runpytest_inprocess("-p", "lockgate.pytest")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["no manifests: set lockgate_manifests in pytest's configuration*"])


def _wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [int(each) for file in tasks.glob("*/children") for each in file.read_text().split()]
