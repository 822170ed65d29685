"""istiod fetches the keys of JWTs, and gives them to Envoy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from test_istiod import EDGE, POD, Lab, codes, running

from lockgate.gateway.policies.keys import NOBODYS
from lockgate.gateway.policies.model import Jwt

POLICY = """
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: jwt, namespace: istio-system}}
spec: {{jwtRules: [{{issuer: "{issuer}", {keys}}}]}}
"""
FIRST, SECOND = (json.dumps({"keys": [{"kty": "oct", "k": each}]}) for each in ("b25l", "dHdv"))


class Server:
    """Answers each path with its text, or 404."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []  # path and Host header
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = head[0].split(" ")[1]
        host = next(line.partition(": ")[2] for line in head if line.lower().startswith("host:"))
        self.asked.append((path, host))
        body = self.answers.get(path, "")
        status = "200 OK" if body else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    made = Server()
    listening = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield made


def keys(lab: Lab) -> list[str | None]:
    """The keys of the gateway's JWT rules."""
    assert lab.istiod is not None
    proxy = lab.istiod.proxies.get("gateway")
    filters = proxy.gateway.filters if proxy and proxy.gateway else None
    found = [each for each in filters.http if isinstance(each, Jwt)] if filters else []
    return [provider.jwks for each in found for provider in each.providers]


def test_keys_are_fetched_and_until_then_nobodys_are_used() -> None:
    async def scenario() -> None:
        async with serving() as server, running(EDGE, POD) as lab:
            await lab.apply(POLICY.format(issuer="a", keys=f'jwksUri: "http://127.0.0.1:{server.port}/jwks"'))
            await lab.until(lambda: keys(lab) == [NOBODYS] and "LG2041" in codes(lab))
            assert lab.istiod is not None
            (fault,) = (each for each in lab.istiod.faults if each.code.id == "LG2041")
            assert "status 404" in fault.message
            assert fault.origin is not None
            server.answers["/jwks"] = FIRST
            await lab.until(lambda: keys(lab) == [FIRST] and "LG2041" not in codes(lab))

    asyncio.run(scenario())


def test_keys_are_discovered_from_the_issuer() -> None:
    async def scenario() -> None:
        async with serving() as server, running(EDGE, POD) as lab:
            issuer = f"http://127.0.0.1:{server.port}/realm/"
            uri = f"http://127.0.0.1:{server.port}/keys"
            server.answers["/realm/.well-known/openid-configuration"] = json.dumps({"jwks_uri": uri})
            server.answers["/keys"] = SECOND
            await lab.apply(POLICY.format(issuer=issuer, keys="audiences: [a]"))
            await lab.until(lambda: keys(lab) == [SECOND])

    asyncio.run(scenario())


def test_a_service_of_the_cluster_is_asked_by_its_name() -> None:
    async def scenario() -> None:
        async with serving() as server, running(EDGE, POD) as lab:
            server.answers["/jwks"] = FIRST
            await lab.apply(f"""
apiVersion: v1
kind: Service
metadata: {{name: keys, namespace: default}}
spec: {{ports: [{{name: http, port: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: keys-1, namespace: default, labels: {{kubernetes.io/service-name: keys}}}}
addressType: IPv4
endpoints: [{{addresses: [127.0.0.1]}}]
ports: [{{name: http, port: {server.port}}}]
""")
            uri = "http://keys.default.svc.cluster.local:8080/jwks"
            await lab.apply(POLICY.format(issuer="a", keys=f'jwksUri: "{uri}"'))
            await lab.until(lambda: keys(lab) == [FIRST])
            assert ("/jwks", "keys.default.svc.cluster.local:8080") in server.asked

    asyncio.run(scenario())


def test_keys_of_a_policy_of_another_namespace_are_not_fetched() -> None:
    async def scenario() -> None:
        async with serving() as server, running(EDGE, POD) as lab:
            policy = POLICY.format(issuer="a", keys=f'jwksUri: "http://127.0.0.1:{server.port}/jwks"')
            await lab.apply(policy.replace("namespace: istio-system", "namespace: default"))
            await lab.apply(POLICY.format(issuer="a", keys=f"jwks: '{FIRST}'"))
            await lab.until(lambda: keys(lab) == [FIRST])
            assert server.asked == []

    asyncio.run(scenario())
