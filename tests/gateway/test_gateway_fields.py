"""Fields of DestinationRules and the mesh, served by a real Envoy: it takes them, and does what they say."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from gateway_cases import CASES, backend, load_objects, sources
from gateway_envoy import Answer, Lab, key_pair, lab

from lockgate.gateway.build import build
from lockgate.gateway.credentials import Authority, Credential, KeyPair
from lockgate.gateway.mesh import mesh
from lockgate.gateway.model import Gateway
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Answered, Forwarded, decide
from lockgate.gateway.workload import workload
from lockgate.resources import core

PAIR, SECURE = key_pair("upper.example"), key_pair("secure.example")
CA = "file-root:/etc/istio/ingressgateway-ca-certs/ca.pem"
LISTED = f"{CA}~/etc/istio/ingressgateway-ca-certs/list.pem"
MESH = {
    "accessLogFile": "/dev/stdout",
    "tcpKeepalive": {"probes": 3, "time": "60s"},
    "tlsDefaults": {"cipherSuites": ["ECDHE-ECDSA-AES128-GCM-SHA256"], "ecdhCurves": ["P-256", "X25519"]},
    "defaultConfig": {
        "proxyHeaders": {"preserveHttp1HeaderCase": True, "xForwardedHost": {"enabled": True}},
        "connectionSettings": {
            "profile": "EDGE",
            "httpMaxConnectionDuration": "1h",
            "httpMaxStreamDuration": "1h",
            "httpDrainTimeout": "1s",
            "clusterPerConnectionBufferLimitBytes": 65536,
        },
    },
}


class Backends:
    """What does not speak plain HTTP: `lines` are the first lines that they received."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(SECURE.chain + SECURE.key)
            file.flush()
            context.load_cert_chain(file.name)
        for name, serve, tls in (
            ("proxied", self._proxied, None),
            ("copied", self._copied, None),
            ("tunnel", self._tunnel, None),
            ("revoked", self._plain, context),
            ("verified", self._plain, context),
        ):
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
            self.ports[name] = server.sockets[0].getsockname()[1]

    async def _proxied(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.lines.append((await reader.readline()).decode())
        await self._plain(reader, writer)

    async def _copied(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.lines += [line for line in head.split("\r\n") if line.lower().startswith("host:")]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.lines.append(head.decode().partition("\r\n")[0])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.write(b"inside: " + await reader.readexactly(5))
        await writer.drain()
        writer.close()

    async def _plain(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()


def gateway(envoy: Lab, others: Backends) -> Gateway:
    manifests: list[dict[str, Any]] = list(yaml.safe_load_all((CASES / "served" / "fields.yaml").read_text()))
    one, two = envoy.backends
    named = dict.fromkeys(("one", "passed", "sticky", "limited", "hashed"), one)
    for name, port in {**named, "two": two, **others.ports}.items():
        service, slice_ = backend(f"default/{name}", {"http": 80})
        slice_["endpoints"], slice_["ports"] = [{"addresses": ["127.0.0.1"]}], [{"name": "http", "port": port}]
        manifests += [service, slice_]
    manifests += [
        _places("refused", [("127.0.0.1", 1, "r1/r1a")]),
        _places("near", [("127.0.0.1", two, "r2/r2a"), ("127.0.0.1", one, "r1/r1a")]),
        _places("far", [("127.0.0.1", 1, "r1/r1a"), ("127.0.0.1", two, "r2/r2a")]),
        _places("shared", [("127.0.0.1", one, "r1/r1a"), ("127.0.0.1", two, "r2/r2a"), ("127.0.0.1", 1, "r3/r3a")]),
    ]
    objects = load_objects(manifests)
    found = sources(objects)
    pod = next(each for each in objects if isinstance(each, core.Pod))
    built = build(found, workload(pod, []), mesh=mesh(MESH))
    assert [fault for fault in built.faults if "Secret" not in fault.message] == []
    return built.gateway


def _places(name: str, endpoints: list[tuple[str, int, str]]) -> dict[str, Any]:
    """A ServiceEntry, whose endpoints' names resolve to the loopback."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name},
        "spec": {
            "hosts": [f"{name}.example"],
            "resolution": "DNS",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "endpoints": [
                {"address": "localhost", "ports": {"http": port}, "locality": where} for _, port, where in endpoints
            ],
        },
    }


@pytest.fixture(scope="module")
def others() -> Backends:
    return Backends()


@pytest.fixture(scope="module")
def envoy(others: Backends) -> Iterator[Lab]:
    with lab(ports=(80, 443, 9000, 9001, 15021), backends=2) as running:
        running.run(others.start())
        credentials: dict[str, Credential] = {
            "kubernetes://one": PAIR,
            CA: Authority(SECURE.chain),
            LISTED: Authority(SECURE.chain, _list(SECURE, revoked=True)),
        }
        running.run(running.serve(gateway(running, others), credentials))
        yield running


def _list(pair: KeyPair, *, revoked: bool) -> bytes:
    """The revocation list of a self-signed certificate, with or without itself."""
    certificate = x509.load_pem_x509_certificate(pair.chain)
    key = serialization.load_pem_private_key(pair.key, None)
    now = datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(now).build()
    unsigned = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.subject)
        .last_update(now - timedelta(minutes=5))
        .next_update(now + timedelta(days=1))
    )
    if revoked:
        unsigned = unsigned.add_revoked_certificate(entry)
    made = unsigned.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    return made.public_bytes(serialization.Encoding.PEM)


def ask(envoy: Lab, target: str, **headers: str) -> Answer:
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    answer = envoy.run(envoy.send(Request(80, "a.example", target, headers=given)))
    assert answer is not None
    return answer


def test_envoy_takes_all_fields(envoy: Lab) -> None:
    assert envoy.rejections == []
    assert ask(envoy, "/").status == 200


def test_headers_are_replaced_before_they_are_appended_to(envoy: Lab) -> None:
    seen = ask(envoy, "/headers").seen["headers"]
    assert (seen["x-both"], seen["x-more"]) == ("route,destination", "two,one")


def test_a_rewritten_host_is_told(envoy: Lab) -> None:
    seen = ask(envoy, "/rewritten").seen["headers"]
    assert (seen["host"], seen["x-forwarded-host"]) == ("inner.example", "a.example")


def test_the_access_log_has_istios_response_flags(envoy: Lab) -> None:
    assert ask(envoy, "/refused").status == 503
    assert envoy.run(_logged(envoy, '"GET /refused HTTP/1.1" 503 UF upstream_reset_before_response_started'))


async def _logged(envoy: Lab, text: str) -> bool:
    """Envoy writes its log once a second."""
    for _ in range(100):
        if text in envoy.log.read_text():
            return True
        await asyncio.sleep(0.1)
    return False


def test_a_copy_keeps_its_host(envoy: Lab, others: Backends) -> None:
    others.lines.clear()
    assert ask(envoy, "/mirrored").status == 200
    envoy.run(_arrives(others))
    assert [line.lower() for line in others.lines] == ["host: a.example"]


def test_proxy_protocol_tells_the_client(envoy: Lab, others: Backends) -> None:
    others.lines.clear()
    assert ask(envoy, "/proxied").body == b"ok"
    assert others.lines[0].startswith("PROXY TCP4 127.0.0.1 ")


def test_a_tcp_server_goes_through_a_tunnel(envoy: Lab, others: Backends) -> None:
    others.lines.clear()
    assert envoy.run(_tcp(envoy, 9000, b"hello")) == b"inside: hello"
    assert others.lines == ["CONNECT inner.example:8080 HTTP/1.1"]


def test_passthrough_has_no_endpoint(envoy: Lab) -> None:
    assert ask(envoy, "/passed").status == 503
    outcome = decide(envoy.served[-1][0], Request(80, "a.example", "/passed")).outcome
    assert outcome == Answered(503, "UH")
    assert envoy.run(_logged(envoy, '"GET /passed HTTP/1.1" 503 UH no_healthy_upstream - "-" 0 19 '))


def test_the_hash_cookie_has_its_attributes(envoy: Lab) -> None:
    cookie = ask(envoy, "/cookie").headers["set-cookie"]
    assert cookie.startswith('stick="')
    assert "; SameSite=Lax; Secure" in cookie


def test_the_near_locality_answers(envoy: Lab) -> None:
    one, _ = envoy.backends
    assert {ask(envoy, "/near").seen["port"] for _ in range(10)} == {one}


def test_requests_fail_over_to_the_next_region(envoy: Lab) -> None:
    _, two = envoy.backends
    assert ask(envoy, "/far").seen["port"] == two


def test_a_distribution_weighs_localities_and_leaves_one_out(envoy: Lab) -> None:
    one, two = envoy.backends
    seen = Counter(ask(envoy, "/shared").seen["port"] for _ in range(60))
    assert seen.keys() <= {one, two}
    assert seen[two] > seen[one]


def test_the_edge_profile_refuses_and_redirects(envoy: Lab) -> None:
    answer = envoy.run(envoy.send(Request(80, "a.example", "/", headers=(("user_name", "me"),))))
    assert answer is not None
    assert answer.status == 400
    moved = ask(envoy, "/x%2Fy?q=1")
    assert (moved.status, moved.headers["location"]) == (307, "/x/y?q=1")


def test_the_case_of_a_servers_host_does_not_matter_to_clients(envoy: Lab) -> None:
    for name in ("upper.example", "UPPER.example"):
        request = Request(443, "upper.example", tls=True, sni=name)
        answer = envoy.run(envoy.send(request))
        assert answer is not None
        assert answer.status == 200
        assert isinstance(decide(envoy.served[-1][0], request).outcome, Forwarded)


def test_a_revoked_server_certificate_is_refused(envoy: Lab) -> None:
    """The last test of this file, as it changes what is served."""
    assert ask(envoy, "/verified").body == b"ok"
    assert ask(envoy, "/revoked").status == 503
    value, credentials = envoy.served[-1]
    envoy.run(envoy.serve(value, {**credentials, LISTED: Authority(SECURE.chain, _list(SECURE, revoked=False))}))
    envoy.run(_becomes(envoy, "/revoked", 200))


async def _arrives(others: Backends) -> None:
    while not others.lines:
        await asyncio.sleep(0.01)


async def _becomes(envoy: Lab, target: str, status: int) -> None:
    while (answer := await envoy.send(Request(80, "a.example", target))) is None or answer.status != status:
        await asyncio.sleep(0.01)


async def _tcp(envoy: Lab, port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*envoy.binds[port])
    writer.write(sent)
    received = await reader.read()
    writer.transport.abort()
    return received
