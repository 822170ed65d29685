"""The HTTP surface below kubectl: authentication, watches, negotiation, limits, and what is refused how."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes_rig import TOKEN, Cluster, cluster

from lockgate.embedded.kubernetes import openapi_v2
from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.exchange import Request
from lockgate.embedded.kubernetes.forms import Form
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.kubernetes.watches import Watch, lines
from lockgate.resources import core
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def client(store: Store, token: str = TOKEN) -> httpx.AsyncClient:
    """In process: no sockets."""
    application: Any = KubernetesApi(store, token=TOKEN)  # httpx types scopes as any mapping, we as dicts
    transport = httpx.ASGITransport(application)
    headers = {"authorization": f"Bearer {token}"}
    return httpx.AsyncClient(transport=transport, base_url="http://kubernetes.test", headers=headers)


def ask(method: str, path: str, store: Store | None = None, token: str = TOKEN, **more: Any) -> httpx.Response:
    async def story() -> httpx.Response:
        async with client(store or Store(), token) as http:
            return await http.request(method, path, **more)

    return asyncio.run(asyncio.wait_for(story(), 10))


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic c2VzYW1l", TOKEN, f"Bearer {TOKEN}x"])
def test_without_the_token_nothing(header: str | None) -> None:
    async def story() -> None:
        async with client(Store()) as http:
            del http.headers["authorization"]
            headers = {"authorization": header} if header else {}
            for path in ("/api", "/apis/apps/v1", "/api/v1/secrets", "/openapi/v3", "/nowhere"):
                answer = await http.get(path, headers=headers)
                assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")
            assert (await http.get("/version", headers=headers)).json()["minor"] == "32"
            assert (await http.get("/readyz", headers=headers)).text == "ok"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("method", "path", "more", "code", "message"),
    [
        ("GET", "/api/v1/nothings", {}, 404, "the server could not find the requested resource"),
        ("GET", "/openapi/v1", {}, 404, "the server could not find the requested resource"),
        (
            "GET",
            "/openapi/v2",
            {"headers": {"accept": "text/html"}},
            406,
            "only the following media types are accepted",
        ),
        ("GET", f"{MAPS}/none", {}, 404, 'configmaps "none" not found'),
        ("GET", f"{MAPS}/none/scale", {}, 404, "the server could not find the requested resource"),
        ("POST", "/api/v1/configmaps", {"json": config_map("a")}, 405, "the server does not allow this method"),
        ("DELETE", "/apis", {}, 405, "the server does not allow this method on the requested resource"),
        ("GET", MAPS, {"headers": {"accept": "text/html"}}, 406, "only the following media types are accepted"),
        ("POST", MAPS, {"content": b"{" * 10}, 400, "couldn't get version/kind; json parse error"),
        ("POST", MAPS, {"content": b"[]"}, 400, "expected an object, found a list"),
        ("POST", MAPS, {"content": b'{"a":NaN}'}, 400, "NaN is not JSON"),
        ("POST", MAPS, {"content": b'{"a":1e400}'}, 400, "cannot unmarshal number 1e400"),
        ("POST", MAPS, {"content": b"a: .inf", "headers": {"content-type": "application/yaml"}}, 400, "not JSON"),
        ("POST", MAPS, {"content": b'{"a":' * 100_000 + b"1" + b"}" * 100_000}, 400, "json parse error"),
        ("POST", MAPS, {"content": b'{"a":' * 300 + b"1" + b"}" * 300}, 400, "exceeded max depth 200"),
        ("POST", MAPS, {"content": b"x" * (3 * 1024 * 1024 + 1)}, 413, "limit is 3145728"),
        (
            "POST",
            MAPS,
            {"content": b"a", "headers": {"content-type": "text/plain"}},
            415,
            "accepted media types include: application/json, application/yaml",
        ),
        (
            "POST",
            MAPS,
            {"content": b"a: &a [1]\nb: [*a, *a]", "headers": {"content-type": "application/yaml"}},
            400,
            "aliases are not accepted",
        ),
        (
            "POST",
            MAPS,
            {"content": b"k8s\0\xff\xff", "headers": {"content-type": "application/vnd.kubernetes.protobuf"}},
            400,
            "unable to decode protobuf",
        ),
        ("POST", MAPS, {"json": {**config_map("a"), "kind": "Secret"}}, 400, "does not match the expected API version"),
        ("POST", MAPS, {"json": {"metadata": {"name": "a", "namespace": "b"}}}, 400, "the namespace of the provided"),
        ("POST", MAPS, {"json": config_map("a"), "params": {"dryRun": "Some"}}, 422, "Unsupported value"),
        ("PUT", f"{MAPS}/a", {"json": config_map("b")}, 400, "the name of the object (b) does not match"),
        ("PATCH", f"{MAPS}/a", {"content": b"{}"}, 415, "415: Unsupported Media Type"),
        ("GET", MAPS, {"params": {"labelSelector": "a=="}}, 200, ""),
        ("GET", MAPS, {"params": {"labelSelector": "=a"}}, 400, "found '=', expected: !, identifier"),
        (
            "GET",
            "/apis/networking.k8s.io/v1/ingresses",
            {"params": {"fieldSelector": "spec.ingressClassName=alb"}},
            400,
            '"spec.ingressClassName" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("GET", "/api/v1/pods", {"params": {"fieldSelector": "spec.image=a"}}, 400, "field label not supported"),
        ("GET", "/api/v1/pods", {"params": {"fieldSelector": "status.phase!=Running"}}, 200, ""),
        ("GET", MAPS, {"headers": {"Impersonate-User": "alice"}}, 403, "impersonation is not served here"),
        ("GET", MAPS, {"params": {"limit": "many"}}, 400, "invalid syntax"),
        ("GET", MAPS, {"params": {"limit": "9" * 5000}}, 400, "value out of range"),
        ("GET", MAPS, {"params": {"resourceVersion": "9" * 5000}}, 400, "value out of range"),
        ("GET", MAPS, {"params": {"resourceVersion": str(2**64)}}, 400, "value out of range"),
        ("GET", MAPS, {"params": {"continue": "x"}}, 400, "continue key is not valid"),
        ("GET", MAPS, {"params": {"resourceVersion": "9" * 18}}, 504, "Too large resource version"),
        ("GET", MAPS, {"params": {"watch": "1", "resourceVersion": "5"}}, 410, "too old resource version: 5"),
        ("DELETE", f"{MAPS}/a", {}, 404, 'configmaps "a" not found'),
    ],
)
def test_refusals_are_status_objects(method: str, path: str, more: dict[str, Any], code: int, message: str) -> None:
    answer = ask(method, path, **more)
    assert answer.status_code == code, answer.text
    if code >= 400:
        status = answer.json()
        assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)
        assert message in status["message"]


LONE = "\\ud800"  # half of a surrogate pair, as JSON spells it


@pytest.mark.parametrize(
    ("method", "path", "media", "body"),
    [
        ("POST", MAPS, "application/json", f'{{"metadata":{{"name":"odd"}},"data":{{"k":"{LONE}"}}}}'),
        ("POST", MAPS, "application/yaml", f'{{"metadata":{{"name":"odd"}},"data":{{"k":"{LONE}"}}}}'),
        ("POST", MAPS, "application/json", b'{"metadata":{"name":"odd"},"data":{"k":"\xff"}}'),
        ("PATCH", f"{MAPS}/even", "application/merge-patch+json", f'{{"data":{{"k":"{LONE}"}}}}'),
        ("PATCH", f"{MAPS}/even", "application/strategic-merge-patch+json", f'{{"data":{{"k":"{LONE}"}}}}'),
        (
            "PATCH",
            f"{MAPS}/even",
            "application/json-patch+json",
            f'[{{"op":"add","path":"/data","value":{{"k":"{LONE}"}}}}]',
        ),
        (
            "PATCH",
            f"{MAPS}/even?fieldManager=m&force=true",
            "application/apply-patch+yaml",
            f'{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"even"}},"data":{{"k":"{LONE}"}}}}',
        ),
    ],
)
def test_invalid_utf_8_becomes_the_replacement_character(method: str, path: str, media: str, body: str | bytes) -> None:
    """As Go reads JSON; kept as it is, one such object would fail every list of its kind."""

    async def story() -> None:
        async with client(Store()) as http:
            await http.post(MAPS, json=config_map("even", data={"k": "v"}))
            answer = await http.request(method, path, content=body, headers={"content-type": media})
            assert answer.status_code in (200, 201), answer.text
            assert answer.json()["data"] == {"k": "\ufffd"}
            found = (await http.get(MAPS)).json()["items"]
            assert "\ufffd" in [each["data"]["k"] for each in found]

    asyncio.run(story())


def test_pairs_of_surrogates_are_characters() -> None:
    body = b'{"metadata":{"name":"a"},"data":{"k":"\\ud83d\\ude00"}}'
    answer = ask("POST", MAPS, content=body, headers={"content-type": "application/json"})
    assert answer.json()["data"] == {"k": "\U0001f600"}


def test_warnings_escape_characters_that_headers_cannot_contain() -> None:
    odd = 'a\r\nSet-Cookie: b="c"\x00é'
    answer = ask("POST", MAPS, json={**config_map("a"), odd: 1})
    assert answer.status_code == 201
    assert answer.headers.get_list("warning") == [
        """299 - "unknown field \\"[a\\\\r\\\\nSet-Cookie: b=\\"c\\"\\\\x00é]\\"\""""
    ]


SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("127.8.8.8", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("169.254.169.254", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("0.0.0.0", "may not be unspecified (0.0.0.0 or ::)"),
        ("224.0.0.1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("::1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        ("::ffff:127.0.0.1", "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
    ],
)
def test_clients_cannot_make_endpoints_of_this_machine(address: str, why: str) -> None:
    """Only the edge itself does: see `rules.core.endpoint_addresses`."""

    async def story() -> None:
        async with client(Store()) as http:
            family = "IPv6" if ":" in address else "IPv4"
            slice_ = {"metadata": {"name": "s"}, "addressType": family, "endpoints": [{"addresses": [address]}]}
            answer = await http.post(SLICES, json=slice_)
            assert (answer.status_code, why in answer.text) == (422, True), answer.text
            endpoints = {"metadata": {"name": "e"}, "subsets": [{"addresses": [{"ip": address}]}]}
            answer = await http.post("/api/v1/namespaces/default/endpoints", json=endpoints)
            assert (answer.status_code, why in answer.text) == (422, True), answer.text

    asyncio.run(story())


def test_clients_may_change_the_endpoints_that_the_edge_made() -> None:
    async def story() -> None:
        store = Store()
        made = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "s", "namespace": "default"},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"]}],
        }
        await store.apply(made, manager="nodes")
        with pytest.raises(ApiError):
            await store.apply({**made, "endpoints": [{"addresses": ["127.0.0.2"]}]}, manager="files", outside=True)
        async with client(store) as http:
            media = {"content-type": "application/merge-patch+json"}
            answer = await http.patch(f"{SLICES}/s", content=b'{"metadata":{"labels":{"a":"b"}}}', headers=media)
            assert answer.status_code == 200
            answer = await http.patch(
                f"{SLICES}/s", content=b'{"endpoints":[{"addresses":["127.0.0.2"]}]}', headers=media
            )
            assert answer.status_code == 422

    asyncio.run(story())


def test_refusals_show_terminal_escapes_escaped() -> None:
    odd = "\x1b]0;title\x07"
    answer = ask("POST", MAPS, json={**config_map("a"), odd: 1}, params={"fieldValidation": "Strict"})
    message = answer.json()["message"]
    assert (answer.status_code, "\\x1b]0;title\\x07" in message) == (400, True)
    assert message.isprintable()


def test_many_warnings_are_cut() -> None:
    answer = ask("POST", MAPS, json={**config_map("a"), **{f"{number:0300}": 1 for number in range(30)}})
    warnings = answer.headers.get_list("warning")
    assert len(warnings) == 16
    assert {len(each) for each in warnings} == {len('299 - ""') + 256 + 1}


def test_patches_do_not_nest_an_object_for_ever() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await http.post("/api/v1/namespaces/default/configmaps", json=config_map("a", data={"k": "v"}))
            nested: Any = 1
            for _ in range(150):
                nested = {"a": nested}
            media = {"content-type": "application/json-patch+json"}
            patch = [{"op": "add", "path": "/metadata/annotations", "value": nested}]
            patch += [{"op": "add", "path": "/metadata/annotations" + "/a" * 140, "value": nested}]
            answer = await http.patch(f"{MAPS}/a", content=json.dumps(patch), headers=media)
            assert (answer.status_code, answer.json()["message"]) == (400, "exceeded max depth 200")

    asyncio.run(story())


def test_an_object_through_its_life() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            created = await http.post(MAPS, json=config_map("a", data={"x": "1"}))
            assert created.status_code == 201
            body = created.json()
            assert (await http.get(f"{MAPS}/a/")).json() == body
            dry = await http.put(f"{MAPS}/a", params={"dryRun": "All"}, json={**body, "data": {"x": "2"}})
            assert dry.json()["data"] == {"x": "2"}
            assert (await http.get(f"{MAPS}/a")).json() == body
            updated = await http.put(f"{MAPS}/a", json={**body, "data": {"x": "2"}})
            assert updated.status_code == 200
            stale = await http.put(f"{MAPS}/a", json={**body, "data": {"x": "3"}})
            assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")
            wrong = await http.request("DELETE", f"{MAPS}/a", json={"preconditions": {"uid": "other"}})
            assert (wrong.status_code, wrong.json()["reason"]) == (409, "Conflict")
            gone = await http.delete(f"{MAPS}/a")
            assert gone.json()["status"] == "Success"
            assert gone.json()["details"]["uid"] == body["metadata"]["uid"]

    asyncio.run(story())


def test_lists_come_in_pages() -> None:
    async def story() -> None:
        store = Store()
        for number in range(5):
            await store.create(config_map(f"m{number}"))
        async with client(store) as http:
            pages: list[list[str]] = []
            token = ""
            while True:
                page = (await http.get(MAPS, params={"limit": "2", "continue": token})).json()
                pages.append([item["metadata"]["name"] for item in page["items"]])
                token = page["metadata"].get("continue", "")
                if not token:
                    break
                assert page["metadata"]["remainingItemCount"] == 5 - 2 * len(pages)
        assert pages == [["m0", "m1"], ["m2", "m3"], ["m4"]]

    asyncio.run(story())


def test_a_collection_is_deleted_by_selector() -> None:
    async def story() -> None:
        store = Store()
        for name, labels in (("a", {"x": "1"}), ("b", {"x": "1"}), ("c", {})):
            await store.create({**config_map(name), "metadata": {"name": name, "labels": labels}})
        async with client(store) as http:
            await http.delete(MAPS, params={"labelSelector": "x=1"})
        assert [one.name for one in await store.list(core.ConfigMap)] == ["c"]

    asyncio.run(story())


def test_tables_have_the_columns_of_the_kind() -> None:
    async def story() -> None:
        store = Store()
        await store.create(config_map("a", data={"x": "1", "y": "2"}))
        async with client(store) as http:
            table = (await http.get(MAPS, headers={"accept": TABLE})).json()
            assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
            assert table["rows"][0]["cells"][:2] == ["a", 2]
            assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
            whole = await http.get(MAPS, headers={"accept": TABLE}, params={"includeObject": "Object"})
            assert whole.json()["rows"][0]["object"]["data"] == {"x": "1", "y": "2"}
            alone = await http.get(MAPS, headers={"accept": TABLE}, params={"includeObject": "None"})
            assert alone.json()["rows"][0]["object"] is None

    asyncio.run(story())


def test_only_metadata_when_asked() -> None:
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    answer = ask("GET", "/api/v1/namespaces", headers={"accept": accept}).json()
    assert answer["kind"] == "PartialObjectMetadataList"
    assert "status" not in answer["items"][0]


def test_a_kind_is_served_in_all_its_versions() -> None:
    async def story() -> None:
        path = "/apis/networking.istio.io/{}/namespaces/default/virtualservices"
        manifest = {
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": "VirtualService",
            "metadata": {"name": "shop"},
            "spec": {"hosts": ["a.test"], "http": [{"route": [{"destination": {"host": "shop"}}]}]},
        }
        async with client(Store()) as http:
            created = await http.post(path.format("v1beta1"), json=manifest)
            assert created.json()["apiVersion"] == "networking.istio.io/v1beta1"
            for version in ("v1", "v1beta1", "v1alpha3"):
                item = (await http.get(f"{path.format(version)}/shop")).json()
                listed = (await http.get(path.format(version))).json()
                assert {item["apiVersion"], listed["apiVersion"], listed["items"][0]["apiVersion"]} == {
                    f"networking.istio.io/{version}"
                }

    asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api", "APIVersions"),
        ("/apis", "APIGroupList"),
        ("/apis/apps", "APIGroup"),
        ("/apis/apps/v1", "APIResourceList"),
        ("/api/v1/", "APIResourceList"),
    ],
)
def test_legacy_discovery(path: str, kind: str) -> None:
    assert ask("GET", path).json()["kind"] == kind


def test_the_openapi_document_of_version_2() -> None:
    protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"

    async def story() -> None:
        async with client(Store()) as http:
            answer = await http.get("/openapi/v2")
            deployment = answer.json()["definitions"]["io.k8s.api.apps.v1.Deployment"]["properties"]
            assert deployment["spec"] == {"$ref": "#/definitions/io.k8s.api.apps.v1.DeploymentSpec"}
            path = answer.json()["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
            assert [each["name"] for each in path["put"]["parameters"]][:2] == ["body", "dryRun"]
            again = await http.get("/openapi/v2", headers={"if-none-match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            binary = await http.get("/openapi/v2", headers={"accept": f"application/json;q=0.5,{protobuf}"})
            assert binary.headers["content-type"] == protobuf.replace("@", ".")  # Go cannot read a type with an @
            assert binary.content.startswith(b"\x0a\x032.0")

    asyncio.run(story())


def test_a_table_of_events_is_the_same_in_both_groups() -> None:
    async def story() -> None:
        store = Store()
        about = {"kind": "Pod", "name": "web", "namespace": "default"}
        event = {"metadata": {"name": "one"}, "involvedObject": about, "message": "it is there", "reason": "There"}
        await store.create({"apiVersion": "v1", "kind": "Event", **event})
        async with client(store) as http:
            headers = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
            cells = [
                (await http.get(f"/{root}/namespaces/default/events", headers=headers)).json()["rows"][0]["cells"]
                for root in ("api/v1", "apis/events.k8s.io/v1")
            ]
            assert cells[0] == cells[1]
            assert "it is there" in cells[0] and "pod/web" in cells[0]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"nullable": True, "type": "object", "properties": {"a": {}}}, {}),
        ({"type": "array", "items": {"type": "string", "nullable": True}}, {"type": "array", "items": {}}),
        ({"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": {}}},
         {"x-kubernetes-preserve-unknown-fields": True}),
        ({"type": "object", "required": ["a", "b"], "properties": {"a": {"nullable": True}, "b": {}}},
         {"type": "object", "required": ["b"], "properties": {"a": {}, "b": {}}}),
        ({"type": "string", "oneOf": [{"minLength": 1}], "not": {}}, {"type": "string"}),
        ({"allOf": [{"$ref": "#/components/schemas/a.B"}], "default": {}, "description": "It."},
         {"$ref": "#/definitions/a.B", "description": "It."}),
    ],
)  # fmt: skip
def test_what_version_2_cannot_say_is_left_out(given: JsonObject, expected: JsonObject) -> None:
    document = {"info": {}, "paths": {}, "components": {"schemas": {"it": given}}}
    assert openapi_v2.swagger([document])["definitions"] == {"it": expected}


def test_aggregated_discovery_and_its_documents_agree() -> None:
    async def story() -> None:
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
        async with client(Store()) as http:
            index = (await http.get("/openapi/v3")).json()["paths"]
            for root in ("/api", "/apis"):
                answer = await http.get(root, headers={"accept": accept})
                assert "as=APIGroupDiscoveryList" in answer.headers["content-type"]
                for group in answer.json()["items"]:
                    name = group["metadata"].get("name", "")
                    for version in group["versions"]:
                        at = f"apis/{name}/{version['version']}" if name else f"api/{version['version']}"
                        plain = (await http.get(f"/{at}")).json()["resources"]
                        reported = {resource["resource"] for resource in version["resources"]}
                        assert reported == {one["name"] for one in plain if "/" not in one["name"]}
                        if name in ("authentication.k8s.io", "authorization.k8s.io"):
                            continue
                        document = (await http.get(index[at]["serverRelativeURL"])).json()
                        for resource in version["resources"]:
                            gvk = resource["responseKind"]
                            assert any(
                                operation["x-kubernetes-group-version-kind"] == gvk
                                and {"dryRun", "fieldValidation"} <= {one["name"] for one in operation["parameters"]}
                                for path in document["paths"].values()
                                for verb, operation in path.items()
                                if verb == "patch"
                            ), gvk

    asyncio.run(story())


# Watches need a connection that streams.


@asynccontextmanager
async def streaming(tmp_path: Path) -> AsyncIterator[tuple[Cluster, httpx.AsyncClient]]:
    async with cluster(tmp_path) as kubernetes:
        trust = ssl.create_default_context(cafile=str(kubernetes.ca))
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=kubernetes.api.url, verify=trust, headers=headers) as http:
            yield kubernetes, http


async def events(response: httpx.Response, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async for line in response.aiter_lines():
        found.append(json.loads(line))
        if len(found) == count:
            break
    return found


def reported(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in found]


def test_a_watch_starts_where_the_list_ended(tmp_path: Path) -> None:
    async def story() -> None:
        async with streaming(tmp_path) as (kubernetes, http):
            await kubernetes.store.create(config_map("old"))
            revision = (await http.get(MAPS)).json()["metadata"]["resourceVersion"]
            await kubernetes.store.create(config_map("between"))
            params = {"watch": "true", "resourceVersion": revision}
            async with http.stream("GET", MAPS, params=params) as response:
                await kubernetes.store.create(config_map("new"))
                await kubernetes.store.delete(core.ConfigMap, "old", "default")
                found = await events(response, 3)
            assert reported(found) == [("ADDED", "between"), ("ADDED", "new"), ("DELETED", "old")]
            revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in found]
            assert revisions == sorted(revisions)
            assert revisions[0] > int(revision)

    asyncio.run(asyncio.wait_for(story(), 20))


def test_an_object_enters_and_leaves_what_a_watch_selects(tmp_path: Path) -> None:
    async def story() -> None:
        async with streaming(tmp_path) as (kubernetes, http):
            await kubernetes.store.create(config_map("a"))
            params = {"watch": "1", "labelSelector": "x=1", "resourceVersion": str(kubernetes.store.storage.revision)}
            async with http.stream("GET", MAPS, params=params) as response:
                for labels in ({"x": "1"}, {"x": "1", "y": "1"}, {"x": "2"}, {"x": "3"}, {"x": "1"}):
                    await kubernetes.store.patch(core.ConfigMap, "a", "default", {"metadata": {"labels": labels}})
                found = await events(response, 4)
            assert [event["type"] for event in found] == ["ADDED", "MODIFIED", "DELETED", "ADDED"]

    asyncio.run(asyncio.wait_for(story(), 20))


def test_a_streamed_list_ends_with_its_bookmark(tmp_path: Path) -> None:
    async def story() -> None:
        async with streaming(tmp_path) as (kubernetes, http):
            await kubernetes.store.create(config_map("a"))
            params = {
                "watch": "true",
                "sendInitialEvents": "true",
                "resourceVersionMatch": "NotOlderThan",
                "allowWatchBookmarks": "true",
            }
            async with http.stream("GET", MAPS, params=params) as response:
                found = await events(response, 2)
            assert reported(found) == [("ADDED", "a"), ("BOOKMARK", "")]
            assert found[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    asyncio.run(asyncio.wait_for(story(), 20))


def test_a_watch_ends_when_its_time_is_up() -> None:
    async def story() -> None:
        store = Store()
        form = Form.of(Request("GET", MAPS, {}, {}), core.ConfigMap.KIND, "v1", store.clock)
        watch = Watch(form, "", lambda _: True, revision=None, timeout=0.001)
        assert [chunk async for chunk in lines(store.storage, watch)] == [b""]

    asyncio.run(asyncio.wait_for(story(), 20))


def test_watches_of_the_same_share_what_they_send() -> None:
    async def story() -> None:
        store = Store()
        form = Form.of(Request("GET", MAPS, {}, {}), core.ConfigMap.KIND, "v1", store.clock)
        watches = [
            Watch(form, "", lambda _: True, revision=store.storage.revision, view=view) for view in ("a", "a", "b")
        ]
        chunks = [lines(store.storage, watch) for watch in watches]
        assert [await anext(each) for each in chunks] == [b"", b"", b""]
        following = [asyncio.ensure_future(anext(each)) for each in chunks]
        await asyncio.sleep(0)
        for name in ("one", "two"):
            await store.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
        first, second, other = await asyncio.gather(*following)
        assert first is second
        assert first == other
        assert [json.loads(line)["object"]["metadata"]["name"] for line in first.splitlines()] == ["one", "two"]

    asyncio.run(asyncio.wait_for(story(), 20))


def test_a_watch_of_an_expired_revision_is_reported(tmp_path: Path) -> None:
    async def story() -> None:
        async with streaming(tmp_path) as (kubernetes, http):
            store = kubernetes.store
            async with http.stream("GET", MAPS, params={"watch": "true"}) as response:
                for number in range(9000):  # in one step of the loop: the watch cannot keep up
                    store.storage.put(_key(number), {"metadata": {"uid": str(number), "name": str(number)}})
                found = await events(response, 1)
            assert (found[0]["type"], found[0]["object"]["code"]) == ("ERROR", 410)

    asyncio.run(asyncio.wait_for(story(), 20))


def _key(number: int) -> Any:
    from lockgate.resources.model import ObjectKey

    return ObjectKey("", "ConfigMap", "default", str(number))


def test_a_client_that_disconnects_leaves_no_watch_behind(tmp_path: Path) -> None:
    async def story() -> None:
        async with streaming(tmp_path) as (kubernetes, http):
            async with http.stream("GET", MAPS, params={"watch": "true"}):
                assert kubernetes.api.watches == 1, "while the client is there"
            while kubernetes.api.watches:
                await asyncio.sleep(0)
            assert (await http.get("/readyz")).text == "ok"

    asyncio.run(asyncio.wait_for(story(), 20))


def test_the_server_stops_while_it_is_watched(tmp_path: Path) -> None:
    async def story() -> None:
        async with (
            streaming(tmp_path) as (kubernetes, http),
            http.stream("GET", MAPS, params={"watch": "true"}) as response,
        ):
            await kubernetes.api.stop()
            assert [line async for line in response.aiter_lines()] == []

    asyncio.run(asyncio.wait_for(story(), 20))


SCALE = "/apis/apps/v1/namespaces/default/deployments/web/scale"


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/merge-patch+json", b'{"spec": {"replicas": 3}}'),
        ("application/strategic-merge-patch+json", b'{"spec": {"replicas": 3}}'),
        ("application/json-patch+json", b'[{"op": "replace", "path": "/spec/replicas", "value": 3}]'),
        ("application/apply-patch+yaml", b"spec: {replicas: 3}"),
    ],
)
def test_replicas_change_by_any_patch(media: str, body: bytes) -> None:
    async def story() -> None:
        store = Store()
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        metadata = {"name": "web", "namespace": "default"}
        await store.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
        async with client(store) as http:
            params = {"fieldManager": "me"} if "apply" in media else {}
            answer = await http.patch(SCALE, content=body, headers={"content-type": media}, params=params)
            assert (answer.status_code, answer.json()["spec"]) == (200, {"replicas": 3})
            assert (await http.get(SCALE)).json()["spec"] == {"replicas": 3}

    asyncio.run(story())
