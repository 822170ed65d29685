"""Protobuf: each built-in kind in both directions, and clients that speak nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes_rig import TOKEN, cluster
from test_kubernetes_api import client

from lockgate.embedded.kubernetes import protobuf
from lockgate.embedded.kubernetes.catalogue import is_built_in
from lockgate.embedded.kubernetes.protobuf.wire import fields
from lockgate.embedded.kubernetes.reviews import REVIEWS
from lockgate.embedded.kubernetes.store import Store
from lockgate.resources.model import JsonObject

# Objects with all their fields set, as client-go writes them: see `peers/messages`.
SAMPLES = [
    (base64.b64decode(raw), json.loads(text))
    for raw, text in (
        line.split("\t")
        for line in (Path(__file__).parents[2] / "cases/embedded/kubernetes/protobuf.tsv").read_text().splitlines()
    )
]
MEDIA = "application/vnd.kubernetes.protobuf"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "leader", "namespace": "default"},
    "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-01-02T03:04:05.678901Z"},
}


def written(body: JsonObject) -> bytes:
    encoder = protobuf.Encoder.of(body["apiVersion"], body["kind"])
    assert encoder is not None
    return encoder.object(encoder.message(body))


def without_empty(value: Any) -> Any:
    """Without nulls, empty structs and empty strings. Go's JSON has some where a message has nothing."""
    if isinstance(value, dict):
        parts = {name: without_empty(part) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part not in (None, {}, "")}
    return [without_empty(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("raw", "text"), SAMPLES, ids=[f"{text['apiVersion']} {text['kind']}" for _, text in SAMPLES])
def test_every_field_of_every_kind(raw: bytes, text: JsonObject) -> None:
    assert without_empty(protobuf.decode(raw)) == without_empty(text)
    assert protobuf.decode(written(text)) == protobuf.decode(raw)


def test_every_built_in_kind_has_messages() -> None:
    for kind in (*(model.KIND for model in Store().catalogue), *REVIEWS):
        for version in kind.versions:
            api_version = f"{kind.group}/{version}" if kind.group else version
            found = protobuf.Encoder.of(api_version, kind.kind) is not None
            assert found is is_built_in(kind.group), (api_version, kind.kind)


def test_unset_and_zero_differ_only_for_pointers() -> None:
    """A Deployment with no replicas is scaled down; one without the field has the default."""
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [{"name": "c"}]}}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}
    assert "replicas" not in protobuf.decode(written(deployment))["spec"]
    assert protobuf.decode(written({**deployment, "spec": {**spec, "replicas": 0}}))["spec"]["replicas"] == 0
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "a"}}
    spec = {"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}}]}]}
    assert protobuf.decode(written({**policy, "spec": spec}))["spec"] == spec


def test_leader_election(tmp_path: Path) -> None:
    """Created, read with its managed fields, updated, listed and watched, all as protobuf."""

    async def story() -> None:
        async with cluster(tmp_path) as kubernetes:
            headers = {"authorization": f"Bearer {TOKEN}", "accept": f"{MEDIA},application/json", "content-type": MEDIA}
            async with httpx.AsyncClient(
                base_url=kubernetes.api.url,
                verify=ssl.create_default_context(cafile=str(kubernetes.ca)),
                headers=headers,
            ) as http:
                created = await http.post(LEASES, content=written(LEASE), params={"fieldManager": "leader"})
                assert (created.status_code, created.headers["content-type"]) == (201, MEDIA)
                lease = protobuf.decode(created.content)
                assert lease["spec"] == LEASE["spec"]
                owned = lease["metadata"]["managedFields"][0]
                assert (owned["manager"], owned["fieldsV1"]["f:spec"]["f:holderIdentity"]) == ("leader", {})
                lease["spec"]["holderIdentity"] = "b"
                updated = await http.put(f"{LEASES}/leader", content=written(lease))
                assert protobuf.decode(updated.content)["spec"]["holderIdentity"] == "b"
                stale = await http.put(f"{LEASES}/leader", content=written(lease))
                status = protobuf.decode(stale.content)
                assert (stale.status_code, status["kind"], status["reason"]) == (409, "Status", "Conflict")

                listed = await http.get(LEASES)
                envelope: Any = dict(fields(memoryview(listed.content)[4:]))
                assert bytes(dict(fields(envelope[1]))[2]) == b"LeaseList"
                items = [item for number, item in fields(envelope[2]) if number == 2]
                assert len(items) == 1

                async with http.stream("GET", LEASES, params={"watch": "true"}) as stream:
                    assert stream.headers["content-type"] == f"{MEDIA};stream=watch"
                    async for chunk in stream.aiter_bytes():
                        size = int.from_bytes(chunk[:4], "big")
                        event: Any = dict(fields(memoryview(chunk)[4 : 4 + size]))
                        seen = protobuf.decode(bytes(dict(fields(event[2]))[1]))
                        assert (bytes(event[1]), seen["spec"]["holderIdentity"]) == (b"ADDED", "b")
                        break

    asyncio.run(asyncio.wait_for(story(), 30))


CERTIFICATES = "/apis/cert-manager.io/v1/namespaces/default/certificates"
PARTIAL = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize(
    ("accept", "path", "status", "content_type"),
    [
        (MEDIA, LEASES, 200, MEDIA),
        (f"application/json,{MEDIA}", LEASES, 200, "application/json"),
        (f"application/json;q=0.5,{MEDIA}", LEASES, 200, MEDIA),
        (f"{MEDIA};{PARTIAL},application/json;{PARTIAL}", LEASES, 200, MEDIA),
        ("application/json", CERTIFICATES, 200, "application/json"),
        (f"{MEDIA},application/json", CERTIFICATES, 200, "application/json"),
        (MEDIA, CERTIFICATES, 406, MEDIA),
        (f"{MEDIA};{PARTIAL},application/json;{PARTIAL}", CERTIFICATES, 200, MEDIA),
        ("application/yaml", LEASES, 200, "application/yaml"),
        (f"{MEDIA},application/json", f"{LEASES}/none", 404, MEDIA),
    ],
)
def test_negotiation(accept: str, path: str, status: int, content_type: str) -> None:
    async def story() -> None:
        async with client(Store()) as http:
            answer = await http.get(path, headers={"accept": accept})
            assert (answer.status_code, answer.headers["content-type"]) == (status, content_type), answer.text

    asyncio.run(story())


@pytest.mark.parametrize("api_version", ["cert-manager.io/v1", "example.com/v1", "v2"])
def test_kinds_without_messages_are_refused(api_version: str) -> None:
    async def story() -> None:
        body = written(LEASE).replace(
            b"\x0a\x16coordination.k8s.io/v1", bytes((10, len(api_version))) + api_version.encode()
        )
        body = body.replace(body[4:6], bytes((10, len(api_version) + 2 + 7)))
        async with client(Store()) as http:
            answer = await http.post(CERTIFICATES, content=body, headers={"content-type": MEDIA})
            assert (answer.status_code, answer.json()["reason"]) == (415, "UnsupportedMediaType")
            assert "accepted media types include: application/json, application/yaml" in answer.json()["message"]

    asyncio.run(story())


KINDS = yaml.safe_load((Path(__file__).parents[2] / "cases/embedded/kubernetes/kinds.yaml").read_text())


@pytest.mark.parametrize("manifest", KINDS, ids=[each["kind"] for each in KINDS])
def test_protobuf_and_json_store_the_same(manifest: JsonObject) -> None:
    """As `peers/clientgo` does with client-go, which is too large to build for each run of the tests."""

    async def story() -> None:
        stored = []
        for content, media in ((json.dumps(manifest).encode(), "application/json"), (written(manifest), MEDIA)):
            store = Store()
            kind = store.model(manifest["apiVersion"], manifest["kind"]).KIND
            scope = "/namespaces/default" if kind.namespaced else ""
            path = f"/api{'s' if kind.group else ''}/{kind.api_version}{scope}/{kind.plural}"
            async with client(store) as http:
                created = await http.post(path, content=content, headers={"content-type": media})
                assert created.status_code == 201, created.text
                item = f"{path}/{manifest['metadata']['name']}"
                plain = (await http.get(item)).json()
                read = protobuf.decode((await http.get(item, headers={"accept": MEDIA})).content)
                assert without_empty(read) == without_empty(plain)
                first = (await http.put(item, content=written(plain), headers={"content-type": MEDIA})).json()
                again = (await http.put(item, content=written(first), headers={"content-type": MEDIA})).json()
                assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
                stored.append({name: part for name, part in plain.items() if name != "metadata"})
        assert without_empty(stored[0]) == without_empty(stored[1])

    asyncio.run(story())
