"""What the cluster knows of a request: the gateway's access log, its addresses, its Secrets, and the Certificates."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lockgate.probe.evidence import Certificate, GatewayLog, gateway_log
from lockgate.resources.model import JsonObject

_SINCE = 120  # seconds of a log that are read
_LINES = 2000
_TRIES, _PAUSE = 8, 0.4  # Envoy writes its log once a second
_MOST_PODS = 10


class Cluster(Protocol):
    """A cluster's API. All methods raise `resources.status.ApiError`."""

    async def objects(
        self, api_version: str, plural: str, *, namespace: str = "", labels: str = ""
    ) -> list[JsonObject]: ...

    async def get(self, api_version: str, plural: str, name: str, namespace: str = "") -> JsonObject | None: ...

    async def log(self, namespace: str, pod: str, container: str, *, since_seconds: int, lines: int) -> str: ...


async def gateways(cluster: Cluster) -> list[JsonObject]:
    return await cluster.objects("networking.istio.io/v1", "gateways")


async def pods(cluster: Cluster, gateways: Sequence[JsonObject]) -> list[JsonObject]:
    """The Pods that Gateways select, at most ten."""
    selectors = {
        ",".join(f"{key}={value}" for key, value in sorted((each["spec"].get("selector") or {}).items()))
        for each in gateways
    }
    found: dict[tuple[str, str], JsonObject] = {}
    for selector in sorted(selectors - {""}):
        for pod in await cluster.objects("v1", "pods", labels=selector):
            found[pod["metadata"]["namespace"], pod["metadata"]["name"]] = pod
    return list(found.values())[:_MOST_PODS]


async def logged(cluster: Cluster, pods: Sequence[JsonObject], agent: str) -> GatewayLog | None:
    """The access log's line of the request with this User-Agent, once one of the Pods has written it."""
    for _ in range(_TRIES):
        texts = await asyncio.gather(*(_log(cluster, pod) for pod in pods))
        for text in texts:
            line = next((each for each in reversed(text.splitlines()) if agent in each), None)
            if line is not None:
                return gateway_log(line)
        if not any(texts):
            return None
        await asyncio.sleep(_PAUSE)
    return None


async def _log(cluster: Cluster, pod: JsonObject) -> str:
    metadata = pod["metadata"]
    return await cluster.log(metadata["namespace"], metadata["name"], "istio-proxy", since_seconds=_SINCE, lines=_LINES)


async def secret_keys(cluster: Cluster, gateways: Sequence[JsonObject], pods: Sequence[JsonObject]) -> dict[str, str]:
    """The certificates that gateways present: the SHA-256 of each public key, and its Secret. No key is kept."""
    namespaces = {pod["metadata"]["namespace"] for pod in pods}
    names = {
        server["tls"]["credentialName"]
        for each in gateways
        for server in each["spec"].get("servers") or ()
        if (server.get("tls") or {}).get("credentialName")
    }
    wanted = [(namespace, name) for namespace in sorted(namespaces) for name in sorted(names)]
    found = await asyncio.gather(*(cluster.get("v1", "secrets", name, namespace) for namespace, name in wanted))
    keys = ((_key(secret), at) for secret, at in zip(found, wanted, strict=True) if secret is not None)
    return {key: f"Secret {namespace}/{name}" for key, (namespace, name) in keys if key}


def _key(secret: JsonObject) -> str:
    data: Any = secret.get("data") or {}
    try:
        pem = base64.b64decode(data.get("tls.crt") or data.get("cert") or "", validate=True)
        found = x509.load_pem_x509_certificate(pem)
    except (binascii.Error, ValueError):
        return ""
    spki = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


async def certificates(cluster: Cluster, host: str) -> tuple[Certificate, ...]:
    """cert-manager's Certificates whose names cover `host`."""
    parent = f"*.{host.partition('.')[2]}"
    return tuple(
        _certificate(each)
        for each in await cluster.objects("cert-manager.io/v1", "certificates")
        if {host, parent} & set(each["spec"].get("dnsNames") or ())
    )


def _certificate(found: JsonObject) -> Certificate:
    status: Any = found.get("status") or {}
    ready: Any = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), {})
    metadata = found["metadata"]
    return Certificate(
        f"{metadata['namespace']}/{metadata['name']}",
        ready.get("status") == "True",
        ready.get("message", ""),
        status.get("notAfter", ""),
    )


async def addresses(cluster: Cluster, service: str, port: int) -> tuple[tuple[str, int], ...]:
    """The endpoints behind a port of the Service ``namespace/name``."""
    namespace, _, name = service.partition("/")
    found = await cluster.get("v1", "services", name, namespace)
    ports: Any = (found or {}).get("spec", {}).get("ports") or ()
    named = next((each.get("name", "") for each in ports if each.get("port") == port), None)
    if named is None:
        return ()
    slices = await cluster.objects(
        "discovery.k8s.io/v1", "endpointslices", namespace=namespace, labels=f"kubernetes.io/service-name={name}"
    )
    return tuple(
        (address, int(entry["port"]))
        for each in slices
        for entry in each.get("ports") or ()
        if (entry.get("name") or "") == named
        for endpoint in each.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    )
