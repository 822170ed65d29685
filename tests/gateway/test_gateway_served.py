"""A gateway with everything at once, served by a real Envoy, which accepts and does all of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from gateway_cases import CASES, backend, load_objects, sources
from gateway_envoy import Lab, key_pair, lab

from lockgate.gateway.build import build
from lockgate.gateway.credentials import Authority, Credential
from lockgate.gateway.mesh import mesh
from lockgate.gateway.model import Gateway
from lockgate.gateway.request import Request
from lockgate.gateway.workload import workload
from lockgate.resources import core

ONE, TWO, CLIENT, BACKEND = (
    key_pair("one.example"),
    key_pair("two.example"),
    key_pair("client.example"),
    key_pair("secure.example"),
)
PORTS = (80, 443, 9000, 9443, 9444, 15021)


def gateway(envoy: Lab, secure: int, slow: int) -> Gateway:
    manifests: list[dict[str, Any]] = list(yaml.safe_load_all((CASES / "served" / "everything.yaml").read_text()))
    echo, other = envoy.backends
    for name, port in (
        ("plain", echo),
        ("sticky", echo),
        ("mirror", other),
        ("secure", secure),
        ("opaque", secure),
        ("slow", slow),
        ("down", 1),
    ):
        service, slice_ = backend(f"default/{name}", {"http": 80})
        slice_["endpoints"] = [{"addresses": ["127.0.0.1"]}]
        slice_["ports"] = [{"name": "http", "port": port}]
        manifests += [service, slice_]
    manifests.append(
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": "named", "namespace": "default"},
            "spec": {
                "hosts": ["named.test"],
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": echo}],
                "resolution": "DNS",
                "endpoints": [{"address": "localhost"}],
            },
        }
    )
    objects = load_objects(manifests)
    pod = next(one for one in objects if isinstance(one, core.Pod))
    built = build(
        sources(objects), workload(pod, []), mesh=mesh({"defaultConfig": {"gatewayTopology": {"numTrustedProxies": 1}}})
    )
    missing = [fault for fault in built.faults if "Secret" not in fault.message]
    assert missing == []
    return built.gateway


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=PORTS, backends=2) as running:
        credentials: dict[str, Credential] = {
            "kubernetes://one": ONE,
            "kubernetes://two": TWO,
            "kubernetes://one-cacert": Authority(CLIENT.chain),
            "kubernetes://backend-ca-cacert": Authority(BACKEND.chain),
        }
        secure, slow = running.run(_backends())
        value = gateway(running, secure, slow)
        running.run(running.serve(value, credentials))
        yield running


def test_envoy_takes_all_of_it(envoy: Lab) -> None:
    assert envoy.rejections == []
    answer = envoy.run(envoy.send(Request(15021, "probe", "/healthz/ready")))
    assert answer is not None
    assert answer.status == 200
    answer = envoy.run(envoy.send(Request(15021, "probe", "/other")))
    assert answer is not None
    assert answer.status == 404


def ask(envoy: Lab, target: str, method: str = "GET", **headers: str) -> Any:
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    answer = envoy.run(envoy.send(Request(80, "a.example", target, method=method, headers=given)))
    assert answer is not None
    return answer


def test_faults_and_answers_of_its_own(envoy: Lab) -> None:
    assert ask(envoy, "/faulty").status == 418
    words = ask(envoy, "/words")
    assert (words.status, words.body, words.headers["content-type"]) == (503, b"as asked", "text/x-words")
    assert words.headers["server"] == "istio-envoy"


def test_preflights_are_answered_for_the_origins_named_and_passed_on_for_others(envoy: Lab) -> None:
    asked = {"access_control_request_method": "PUT"}
    allowed = ask(envoy, "/cors", "OPTIONS", origin="https://shop.example", **asked)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert allowed.headers["access-control-allow-methods"] == "GET,PUT"
    assert allowed.headers["access-control-max-age"] == "600"
    assert allowed.headers["access-control-allow-credentials"] == "true"
    other = ask(envoy, "/cors", "OPTIONS", origin="https://evil.example", **asked)
    assert other.seen["method"] == "OPTIONS"


def test_a_cookie_is_made_for_consistent_hashing(envoy: Lab) -> None:
    assert ask(envoy, "/cookie").headers["set-cookie"].startswith('session="')


def test_rewrites_subsets_and_names(envoy: Lab) -> None:
    assert ask(envoy, "/v7/list").seen["target"] == "/list?version=7"
    assert ask(envoy, "/named").seen["target"] == "/named"


def test_a_backend_that_is_down_or_slow(envoy: Lab) -> None:
    assert ask(envoy, "/broken").status == 503
    assert ask(envoy, "/slow").status == 504


def test_tls_to_the_backend_with_its_name_and_authority(envoy: Lab) -> None:
    answer = ask(envoy, "/tls")
    assert answer.body == b"secure.example"  # the SNI that the backend saw
    assert answer.headers["x-way"] == "tls"
    assert "x-envoy-upstream-service-time" not in answer.headers


def test_a_trusted_proxy_sets_the_client_address(envoy: Lab) -> None:
    seen = ask(envoy, "/", x_forwarded_for="192.0.2.1", x_forwarded_proto="https").seen["headers"]
    assert seen["x-forwarded-for"] == "192.0.2.1,127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-envoy-external-address"] == "192.0.2.1"
    assert seen["x-envoy-attempt-count"] == "1"


def test_each_server_has_its_own_certificate(envoy: Lab, tmp_path: Path) -> None:
    assert envoy.run(_presented(envoy, 443, "one.example")) == ONE.chain
    assert envoy.run(_presented(envoy, 443, "two.example")) == TWO.chain
    assert envoy.run(_presented(envoy, 443, "late.example")) is None  # its Secret has not come
    assert envoy.run(_presented(envoy, 443, "none.example")) is None
    assert envoy.run(_presented(envoy, 9443, "pass.example")) == BACKEND.chain
    assert envoy.run(_presented(envoy, 9444, "any.example")) == ONE.chain


def test_client_certificates(envoy: Lab, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_bytes(CLIENT.chain)
    (tmp_path / "key.pem").write_bytes(CLIENT.key)
    for host, with_certificate, answered in (
        ("mutual.example", True, True),
        ("mutual.example", False, False),
        ("optional.example", True, True),
        ("optional.example", False, True),
    ):
        context = _unverified()
        if with_certificate:
            context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
        status = envoy.run(_status(envoy, host, context))
        assert (status == 200) is answered, (host, with_certificate)


def test_a_certificate_that_comes_later_is_presented_without_a_restart(envoy: Lab) -> None:
    """The last test of this file, as it changes what is served."""
    late = key_pair("late.example")
    value, credentials = envoy.served[-1]
    envoy.run(envoy.serve(value, {**credentials, "kubernetes://late": late}))
    envoy.run(_becomes(envoy, "late.example", late.chain))
    assert envoy.run(_presented(envoy, 443, "one.example")) == ONE.chain


async def _becomes(envoy: Lab, name: str, chain: bytes) -> None:
    while await _presented(envoy, 443, name) != chain:
        await asyncio.sleep(0.01)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _presented(envoy: Lab, port: int, name: str) -> bytes | None:
    """The certificate that a server shows for a name, as PEM; None where it closes the connection."""
    host, local = envoy.binds[port]
    try:
        _, writer = await asyncio.open_connection(host, local, ssl=_unverified(), server_hostname=name)
    except (ConnectionError, ssl.SSLError):
        return None
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return ssl.DER_cert_to_PEM_cert(der).encode()


async def _status(envoy: Lab, name: str, context: ssl.SSLContext) -> int | None:
    host, port = envoy.binds[443]
    try:
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
        writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        line = await reader.readline()
    except (ConnectionError, ssl.SSLError):
        return None
    writer.transport.abort()
    return int(line.split(b" ")[1]) if line else None


async def _backends() -> tuple[int, int]:
    """A TLS backend that answers with the SNI it saw, and one that never answers."""
    import tempfile

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(BACKEND.chain + BACKEND.key)
        file.flush()
        context.load_cert_chain(file.name)
    context.sni_callback = lambda connection, name, _: setattr(connection, "asked_for", name)

    async def described(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = getattr(writer.get_extra_info("ssl_object"), "asked_for", "").encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    secure = await asyncio.start_server(described, "127.0.0.1", 0, ssl=context)
    slow = await asyncio.start_server(silent, "127.0.0.1", 0)
    return secure.sockets[0].getsockname()[1], slow.sockets[0].getsockname()[1]
