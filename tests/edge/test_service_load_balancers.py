"""Services with a Network Load Balancer, by the real command: Istio's gateway behind one, TLS at it, UDP, PROXY."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.edge.conftest import PATIENCE, Start, Up
from tests.edge.test_serving import aws

pytestmark = pytest.mark.edge

CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/5f1d6c1e-7a55-4a0e-9d0b-2f6f0c9d7e11"
MANIFESTS = f"""
apiVersion: v1
kind: Service
metadata:
  name: istio-ingressgateway
  namespace: istio-system
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-type: external
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: {CERTIFICATE}
    service.beta.kubernetes.io/aws-load-balancer-ssl-ports: '443'
    service.beta.kubernetes.io/aws-load-balancer-alpn-policy: HTTP2Preferred
spec:
  type: LoadBalancer
  selector: {{istio: ingressgateway}}
  ports:
    - {{name: status-port, port: 15021}}
    - {{name: http2, port: 80, targetPort: 8080}}
    - {{name: https, port: 443, targetPort: 8081}}
    - {{name: tls, port: 8443}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - {{port: {{number: 80, name: http, protocol: HTTP}}, hosts: [shop.example], tls: {{httpsRedirect: true}}}}
    - {{port: {{number: 443, name: https, protocol: HTTP}}, hosts: [shop.example]}}
    - port: {{number: 8443, name: tls, protocol: HTTPS}}
      hosts: [shop.example]
      tls: {{mode: SIMPLE, credentialName: shop}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec:
  hosts: [shop.example]
  gateways: [istio-system/edge]
  http: [{{route: [{{destination: {{host: web, port: {{number: 80}}}}}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: v1
kind: Service
metadata:
  name: names
  namespace: shop
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-enable-tcp-udp-listener: "true"
    external-dns.alpha.kubernetes.io/hostname: names.shop.example
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  selector: {{app: names}}
  ports:
    - {{name: dns, port: 53, protocol: UDP}}
    - {{name: dns-tcp, port: 53, protocol: TCP}}
    - {{name: syslog, port: 5514, protocol: UDP}}
---
apiVersion: v1
kind: Service
metadata:
  name: raw
  namespace: shop
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-proxy-protocol: '*'
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  selector: {{app: raw}}
  ports: [{{name: raw, port: 7000}}]
"""


@contextmanager
def program() -> Iterator[int]:
    """Sends back all that each connection sends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                while data := connection.recv(4096):
                    connection.sendall(data)

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def edge(up: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("manifests")
    (folder / "edge.yaml").write_text(MANIFESTS)
    with program() as port:
        yield up(folder, "--backend", f"shop/raw:7000=http://127.0.0.1:{port}").ready()


def place(edge: Up, service: str, port: int) -> tuple[str, int]:
    """The real address of a port of a Service's load balancer."""
    shown = json.loads(edge.exec("kubectl", "get", "service", "-n", "shop", service, "-o", "json"))
    name = shown["status"]["loadBalancer"]["ingress"][0]["hostname"]
    (hop,) = [each for each in edge.status()["hops"] if each["hop"] == "load balancer"]
    (found,) = [each for each in hop["load_balancers"] if each["dns_name"].lower() == name]
    (number,) = [each["local_port"] for each in found["listeners"] if each["port"] == port]
    return found["address"], number


def ask(address: tuple[str, int], text: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.sendto(text, address)
        answer = json.loads(client.recv(4096))
        assert isinstance(answer, dict)
        return answer


def test_a_gateway_behind_a_load_balancer_that_ends_tls(edge: Up) -> None:
    received = json.loads(edge.curl("--http2", "https://shop.example/any"))
    assert received["service"] == "shop/web:80"
    assert edge.curl("-o", "/dev/null", "-w", "%{http_version}", "--http2", "https://shop.example/") == "2"
    answer = edge.curl("-i", "http://shop.example/any")
    assert "location: https://shop.example/any" in answer.lower()


def test_tls_that_the_gateway_ends_passes_unread(edge: Up) -> None:
    assert json.loads(edge.curl("https://shop.example:8443/any"))["service"] == "shop/web:80"


URLS = (
    "https://shop.example/any",
    "https://shop.example:8443/any",
    "http://shop.example/any",
    "http://shop.example:443/",
)


@pytest.mark.parametrize("url", URLS)
def test_prediction_and_wire_agree(edge: Up, url: str) -> None:
    done = edge.lockgate("trace", "--against", "running", "--output", "json", url, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(done.stdout)
    assert shown["differences"] == []


def test_the_api_shows_listeners_of_all_protocols(edge: Up) -> None:
    found: set[tuple[int, str]] = set()
    for balancer in aws(edge, "elbv2", "describe-load-balancers")["LoadBalancers"]:
        shown = aws(edge, "elbv2", "describe-listeners", "--load-balancer-arn", balancer["LoadBalancerArn"])
        found |= {(each["Port"], each["Protocol"]) for each in shown["Listeners"]}
    assert {(80, "TCP"), (443, "TLS"), (53, "TCP_UDP"), (5514, "UDP"), (7000, "TCP")} <= found


def test_datagrams_are_answered_through_the_load_balancer(edge: Up) -> None:
    for port in (53, 5514):
        answer = ask(place(edge, "names", port), b"who?")
        assert (answer["service"], answer["body"]) == (f"shop/names:{port}", {"bytes": 4, "text": "who?"})
    with socket.create_connection(place(edge, "names", 53), PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while data := client.recv(4096):
            received += data
        assert b"shop/names:53" in received


def test_proxy_protocol_goes_before_the_clients_bytes(edge: Up) -> None:
    with socket.create_connection(place(edge, "raw", 7000), PATIENCE) as client:
        client.sendall(b"hello")
        received = b""
        while not received.endswith(b"hello") and (data := client.recv(4096)):
            received += data
    assert received.startswith(b"\r\n\r\n\x00\r\nQUIT\n")


def test_a_name_of_a_service_is_an_alias_of_its_load_balancer(edge: Up) -> None:
    records = edge.exec(
        "aws", "route53", "list-hosted-zones", "--query", "HostedZones[].Id", "--output", "text"
    ).split()
    sets = [
        record
        for zone in records
        for record in aws(edge, "route53", "list-resource-record-sets", "--hosted-zone-id", zone)["ResourceRecordSets"]
    ]
    (alias,) = [each for each in sets if (each["Name"], each["Type"]) == ("names.shop.example.", "A")]
    assert ".elb.eu-west-1.amazonaws.com" in alias["AliasTarget"]["DNSName"]
