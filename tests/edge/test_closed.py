"""What a running edge keeps closed: its ports to other hosts' pages, its files to other users."""

from __future__ import annotations

import json
import resource
import socket
import ssl
import stat
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.edge.conftest import GUIDE, Start, Up

pytestmark = pytest.mark.edge


@pytest.fixture(scope="module")
def guide(up: Start) -> Up:
    return up(GUIDE).ready()


def _about(edge: Up) -> dict[str, Any]:
    about = json.loads((edge.home / edge.name / "edge.json").read_text())
    assert isinstance(about, dict)
    return about


def _ask(url: str, host: str, ca: str) -> tuple[int, str]:
    request = urllib.request.Request(url, headers={"Host": host})
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
    )
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("part", ["kubernetes", "aws", "acme", "metrics", "console", "proxy"])
def test_no_port_answers_for_another_host(guide: Up, part: str) -> None:
    """A page whose name resolves to 127.0.0.1 carries its own name in Host."""
    about = _about(guide)
    url = about["addresses"][part]
    status, text = _ask(url, "rebound.example", about["files"]["ca_bundle"])
    if part == "proxy":  # takes nothing but requests for a proxy, which no page can send
        assert (status, "this is a forward proxy" in text) == (400, True)
    else:
        assert (status, "this server is not for 'rebound.example'" in text) == (421, True)
        assert _ask(url, "localhost", about["files"]["ca_bundle"])[0] != 421


def test_every_file_of_an_edge_is_its_owners(guide: Up) -> None:
    def readable(path: Path) -> bool:
        return bool(path.lstat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)) and not path.is_symlink()

    folder = guide.home / guide.name
    assert not readable(folder), oct(folder.stat().st_mode)
    about = _about(guide)
    for name in ("kubeconfig", "ca_bundle", "log"):
        assert not readable(Path(about["files"][name])), name
    run = next(iter(folder.glob("run")), None)
    assert run is None or not readable(run)


def test_no_secret_is_logged_or_an_argument_of_a_process(guide: Up) -> None:
    about = _about(guide)
    kubeconfig = json.loads(Path(about["files"]["kubeconfig"]).read_text())
    secrets = [about["aws"]["secret_access_key"], kubeconfig["users"][0]["user"]["token"]]
    key = guide.exec("kubectl", "get", "secret", "-A", "-o", "jsonpath={.items[*].data.tls\\.key}").split()
    secrets += [each[200:260] for each in key]
    assert len(secrets) > 2
    guide.exec("aws", "route53", "get-hosted-zone", "--id", "Z0NOTHING", check=False)
    guide.exec("kubectl", "get", "secret", "nothing", check=False)
    reported = guide.log() + json.dumps(guide.status())
    if sys.platform == "linux":
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                reported += (process / "cmdline").read_bytes().decode("utf-8", "replace")
    for secret in secrets:
        assert secret not in reported


def test_a_thousand_idle_clients_do_not_keep_others_out(up: Start) -> None:
    """With the limit of open files that most systems give: the edge raises it to what it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        edge = up(GUIDE).ready()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    about = _about(edge)
    idle: list[socket.socket] = []
    try:
        for part in ("proxy", "aws", "kubernetes", "metrics"):
            host, _, port = about["addresses"][part].partition("://")[2].partition("/")[0].rpartition(":")
            for _ in range(300):
                client = socket.create_connection((host, int(port)), timeout=20)
                client.sendall(b"GET /" if len(idle) % 2 else b"")
                idle.append(client)
        assert edge.curl("-o", "/dev/null", "-w", "%{http_code}", "https://quay.example/") == "200"
        assert "quay" in edge.exec("kubectl", "get", "virtualservices", "-A")
        assert _ask(about["addresses"]["metrics"], "127.0.0.1", about["files"]["ca_bundle"])[0] == 200
    finally:
        for client in idle:
            client.close()
