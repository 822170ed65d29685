"""An issuer that names another ACME server: Pebble, really contacted, and its certificate at the gateway."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lockgate.embedded.http import listen
from lockgate.runtime.trust import Trust
from tests.edge.conftest import Start
from tests.edge.test_serving import presented

pytestmark = [
    pytest.mark.edge,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed"),
]


def free_port() -> int:
    with listen("127.0.0.1", 0) as sock:
        return int(sock.getsockname()[1])


@contextmanager
def pebble(folder: Path, trust: Trust, dns_port: int) -> Iterator[str]:
    folder.mkdir()
    chain, key = trust.server_certificate(folder, "pebble")
    port = free_port()
    config = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{free_port()}",
        "certificate": str(chain),
        "privateKey": str(key),
        "httpPort": 5002,
        "tlsPort": 5001,
    }
    (folder / "config.json").write_text(json.dumps({"pebble": config}))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["pebble", "-config", str(folder / "config.json"), "-dnsserver", f"127.0.0.1:{dns_port}"],
            env={**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20", "PEBBLE_AUTHZREUSE": "0"},
            stdout=log,
            stderr=log,
        )
    try:
        yield f"https://127.0.0.1:{port}/dir"
    finally:
        process.kill()
        process.wait()


def test_the_gateway_presents_what_pebble_issued(up: Start, manifests: Path, tmp_path: Path) -> None:
    trust = Trust.make("pebble")
    dns_port = free_port()
    with pebble(tmp_path / "pebble", trust, dns_port) as url:
        bundle = base64.b64encode(trust.root.root_pem.encode()).decode()
        file = manifests / "certificates.yaml"
        server = "    server: https://acme-v02.api.letsencrypt.org/directory\n"
        text = file.read_text()
        assert server in text
        file.write_text(text.replace(server, f"    server: {url}\n    caBundle: {bundle}\n"))
        edge = up(manifests, "--port", f"dns={dns_port}").ready()
        assert '"default/quay-service:8072"' in edge.curl("https://quay.example/")
        backend = next(hop for hop in edge.status()["hops"] if hop["hop"] == "backend")
        ports = [int(each.rpartition(":")[2]) for addresses in backend["node_ports"].values() for each in addresses]
        assert any("Pebble" in presented(port, edge, "") for port in ports)
