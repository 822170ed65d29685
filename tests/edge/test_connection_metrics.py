"""Istio's metrics of TCP connections through a gateway."""

from __future__ import annotations

import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.edge.conftest import Start, Up

pytestmark = pytest.mark.edge

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  type: NodePort
  selector: {istio: ingressgateway}
  ports: [{name: tcp, port: 9000, nodePort: 31900}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: raw, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 9000, name: tcp, protocol: TCP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: raw, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [istio-system/raw]
  tcp: [{match: [{port: 9000}], route: [{destination: {host: raw.shop.svc.cluster.local, port: {number: 7000}}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: raw, namespace: shop}
spec: {selector: {app: raw}, ports: [{name: tcp, port: 7000}]}
"""


@pytest.fixture(scope="module")
def doubling() -> Iterator[socket.socket]:
    """A server that sends everything back twice."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while received := connection.recv(4096):
                connection.sendall(received * 2)

    threading.Thread(target=serve, daemon=True).start()
    yield server
    server.close()


def test_connections_and_their_bytes(up: Start, doubling: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text(MANIFESTS)
    edge = up(tmp_path, "--backend", f"shop/raw:7000=http://127.0.0.1:{doubling.getsockname()[1]}").ready()
    backend = next(hop for hop in edge.status()["hops"] if hop["hop"] == "backend")
    host, _, port = backend["node_ports"]["31900"][0].rpartition(":")
    connections = [socket.create_connection((host, int(port)), timeout=20) for _ in range(3)]
    for connection in connections:
        connection.sendall(b"x" * 100)
        received = b""
        while len(received) < 200:
            received += connection.recv(4096)
    edge.wait(until=lambda: _metrics(edge).get("connections_opened") == 3, what="three open connections")
    assert _metrics(edge) == {"connections_opened": 3, "connections_closed": 0, "received_bytes": 0, "sent_bytes": 0}
    for connection in connections[:2]:
        connection.close()
    ended = {"connections_opened": 3, "connections_closed": 2, "received_bytes": 200, "sent_bytes": 400}
    edge.wait(until=lambda: _metrics(edge) == ended, what=f"{ended}")
    connections[2].close()


def _metrics(edge: Up) -> dict[str, int]:
    with urllib.request.urlopen(edge.status()["addresses"]["metrics"], timeout=20) as answer:
        text = answer.read().decode()
    found = re.findall(r"^istio_tcp_(\w+)_total\{(.*)\} (\S+)$", text, re.MULTILINE)
    assert all('destination_service_name="raw"' in labels and 'response_flags="-"' in labels for _, labels, _ in found)
    return {name: int(value) for name, _, value in found}
