"""What is asked about hosts while records come and go."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.certificates.authority import dns_content, self_signed
from lockgate.certificates.keys import encode_key
from lockgate.controllers.istiod import Istiod
from lockgate.dns.model import Zone
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources.model import JsonObject
from lockgate.runtime.observe import Observer, proxy
from lockgate.xds.snapshot import EMPTY, SECRET, Snapshot


class Dns:
    def __init__(self, *resolving: str) -> None:
        self.resolving = set(resolving)
        self.asked: list[str] = []

    async def addresses_of(self, host: str) -> list[str]:
        self.asked.append(host)
        return ["127.0.0.1"] if host in self.resolving else []


HOSTS = ("a.example", "*.b.example", "c.example")


def zones() -> tuple[Zone, ...]:
    """A tuple of its own each time, as the server gives one after each change."""
    return (Zone("Z1", "example.", ()),)


def test_only_missing_hosts_are_asked_about_while_records_are_made() -> None:
    dns = Dns("a.example")
    edge: Any = SimpleNamespace(places=SimpleNamespace(dns=dns), addresses={"lb": "127.0.0.2"})
    observer = Observer(edge)

    def resolved(current: tuple[Zone, ...]) -> tuple[set[str], list[str]]:
        dns.asked = []
        return set(asyncio.run(observer._which_resolve(HOSTS, current))), dns.asked

    first = zones()
    assert resolved(first) == ({"a.example"}, ["a.example", "any.b.example", "c.example"])
    assert resolved(first) == ({"a.example"}, [])
    dns.resolving |= {"any.b.example"}
    assert resolved(zones()) == ({"a.example", "*.b.example"}, ["any.b.example", "c.example"])
    dns.resolving |= {"c.example"}
    assert resolved(zones())[0] == set(HOSTS)
    dns.resolving -= {"a.example"}
    assert resolved(zones())[0] == {"*.b.example", "c.example"}


def test_hosts_that_resolved_are_doubted_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_DOUBTED_EVERY", "_REST"):
        monkeypatch.setattr(f"lockgate.runtime.observe.{name}", 0.0)
    dns = Dns("a.example")
    observer = Observer(cast(Any, SimpleNamespace(places=SimpleNamespace(dns=dns), addresses={})))
    assert set(asyncio.run(observer._which_resolve(HOSTS, zones()))) == {"a.example"}
    dns.resolving = set()
    assert set(asyncio.run(observer._which_resolve(HOSTS, zones()))) == set()


def test_another_load_balancer_address_is_a_reason_to_ask_again() -> None:
    dns = Dns("a.example")
    edge: Any = SimpleNamespace(places=SimpleNamespace(dns=dns), addresses={"lb": "127.0.0.2"})
    observer, current = Observer(edge), zones()
    assert set(asyncio.run(observer._which_resolve(HOSTS, current))) == {"a.example"}
    dns.resolving = {"c.example"}
    edge.addresses = {}
    assert set(asyncio.run(observer._which_resolve(HOSTS, current))) == {"c.example"}


# --- what is not built yet ---------------------------------------------------------------------------------------

GATEWAY = """
apiVersion: v1
kind: Pod
metadata:
  name: gateway
  namespace: istio-system
  labels: {istio: ingressgateway, lockgate.dev/proxy: istio}
  annotations: {lockgate.dev/node-id: gateway}
spec: {containers: [{name: istio-proxy, image: proxyv2}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["*"], tls: {mode: SIMPLE, credentialName: edge-cert}}
"""


def test_a_gateway_is_settled_only_once_its_configuration_has_the_secret_that_was_just_written() -> None:
    """A watch delivers a Secret some turns of the loop after it is written: a report in between must not be ready."""

    async def story() -> None:
        store, published = Store(), {"gateway": EMPTY}
        await store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}})
        for manifest in yaml.safe_load_all(GATEWAY):
            await store.apply(manifest, manager="test")
        istiod = Istiod(store, publish=published.__setitem__, modules_folder=Path("/nowhere"), settle=0.0)
        running = asyncio.create_task(istiod.run())
        edge = cast(Any, edge_of(store, istiod, published))
        async with asyncio.timeout(20):
            while not (istiod.proxies and proxy(edge, "gateway").settled):
                await asyncio.sleep(0)
            await store.create(secret())
            while not proxy(edge, "gateway").settled:
                await asyncio.sleep(0)
        assert published["gateway"].names(SECRET) == {"kubernetes://edge-cert"}
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())


def edge_of(store: Store, istiod: Istiod, published: dict[str, Snapshot]) -> SimpleNamespace:
    """An edge whose Envoy accepts everything at once."""
    ads = SimpleNamespace(is_settled=lambda _: True, rejections=lambda _: (), snapshot=published.__getitem__)
    return SimpleNamespace(
        places=SimpleNamespace(store=store, ads=ads),
        istiod=istiod,
        nodes=SimpleNamespace(current=True),
        workloads=SimpleNamespace(current=True),
        envoys={"gateway": SimpleNamespace(pid=1, restarts=0, trouble="")},
        external_istiod=None,
    )


def secret() -> JsonObject:
    key = ec.generate_private_key(ec.SECP256R1())
    times = {"not_before": datetime.now(UTC), "not_after": datetime.now(UTC) + timedelta(days=1)}
    certificate = self_signed(key, dns_content(["edge.example"]), serial=1, **times)
    data = {"tls.crt": certificate.encode(), "tls.key": encode_key(key)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "edge-cert", "namespace": "istio-system"},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(pem).decode() for name, pem in data.items()},
    }
