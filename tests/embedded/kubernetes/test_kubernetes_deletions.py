"""Deletion policies, terminating namespaces, and lists in pages. Compared with kube-apiserver 1.37."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from test_kubernetes_api import MAPS, client, config_map

from lockgate.embedded.kubernetes.pages import SNAPSHOT_TTL
from lockgate.embedded.kubernetes.store import Store


async def owned(http: httpx.AsyncClient, name: str, owner: str, *, block: bool = True, **metadata: Any) -> None:
    uid = (await http.get(f"{MAPS}/{owner}")).json()["metadata"]["uid"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid, "blockOwnerDeletion": block}
    body = config_map(name)
    body["metadata"] |= {"ownerReferences": [reference], **metadata}
    assert (await http.post(MAPS, json=body)).status_code == 201


async def names(http: httpx.AsyncClient) -> list[str]:
    return [each["metadata"]["name"] for each in (await http.get(MAPS)).json()["items"]]


def test_in_the_foreground_an_owner_waits_for_dependents() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await http.post(MAPS, json=config_map("owner"))
            await owned(http, "held", "owner", finalizers=["example.com/hold"])
            await owned(http, "free", "owner")
            await owned(http, "inner", "held")
            gone = (await http.delete(f"{MAPS}/owner", params={"propagationPolicy": "Foreground"})).json()
            assert (gone["kind"], gone["metadata"]["finalizers"]) == ("ConfigMap", ["foregroundDeletion"])
            assert await names(http) == ["held", "owner"]
            assert (await http.get(f"{MAPS}/held")).json()["metadata"]["deletionTimestamp"]
            merge = {"content-type": "application/merge-patch+json"}
            await http.patch(f"{MAPS}/held", json={"metadata": {"finalizers": None}}, headers=merge)
            assert await names(http) == []

    asyncio.run(story())


def test_dependents_that_do_not_block_are_not_waited_for() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await http.post(MAPS, json=config_map("owner"))
            await owned(http, "held", "owner", block=False, finalizers=["example.com/hold"])
            await http.delete(f"{MAPS}/owner", params={"propagationPolicy": "Foreground"})
            assert await names(http) == ["held"]

    asyncio.run(story())


def test_orphans_stay() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await http.post(MAPS, json=config_map("owner"))
            await owned(http, "child", "owner")
            gone = await http.request("DELETE", f"{MAPS}/owner", json={"propagationPolicy": "Orphan"})
            assert gone.json()["metadata"]["finalizers"] == ["orphan"]
            assert await names(http) == ["child"]
            assert "ownerReferences" not in (await http.get(f"{MAPS}/child")).json()["metadata"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"propagationPolicy": "Orphan", "orphanDependents": True}, 422, "orphanDependents and deletionPropagation"),
        ({"propagationPolicy": "Soon"}, 422, 'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported'),
        (
            {"preconditions": {"uid": "other"}},
            409,
            'on ConfigMap "a": the UID in the precondition (other) does not match',
        ),
        (
            {"preconditions": {"resourceVersion": "1"}},
            409,
            "the ResourceVersion in the precondition (1) does not match",
        ),
    ],
)
def test_refused_options(options: dict[str, Any], code: int, message: str) -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await http.post(MAPS, json=config_map("a"))
            answer = await http.request("DELETE", f"{MAPS}/a", json=options)
            assert (answer.status_code, message in answer.json()["message"]) == (code, True), answer.text
            assert await names(http) == ["a"]

    asyncio.run(story())


def test_nothing_is_created_in_a_terminating_namespace() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await http.post("/api/v1/namespaces", json={"metadata": {"name": "old"}})
            held = config_map("held")
            held["metadata"]["finalizers"] = ["example.com/hold"]
            await http.post("/api/v1/namespaces/old/configmaps", json=held)
            assert (await http.delete("/api/v1/namespaces/old")).json()["status"]["phase"] == "Terminating"
            refused = await http.post("/api/v1/namespaces/old/configmaps", json=config_map("new"))
            assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")
            assert refused.json()["details"]["causes"][0]["reason"] == "NamespaceTerminating"

    asyncio.run(story())


def test_pages_are_of_one_state() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    async def story() -> None:
        nonlocal now
        async with client(Store(clock=lambda: now)) as http:
            for number in range(5):
                await http.post(MAPS, json=config_map(f"m{number}"))
            first = (await http.get(MAPS, params={"limit": 2})).json()
            assert first["metadata"]["remainingItemCount"] == 3
            await http.delete(f"{MAPS}/m3")
            await http.post(MAPS, json=config_map("m2a"))
            query = {"limit": 2, "continue": first["metadata"]["continue"]}
            second = (await http.get(MAPS, params=query)).json()
            assert [each["metadata"]["name"] for each in second["items"]] == ["m2", "m3"]
            assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

            now += SNAPSHOT_TTL + timedelta(seconds=1)
            expired = await http.get(MAPS, params=query)
            assert (expired.status_code, expired.json()["reason"]) == (410, "Expired")
            query["continue"] = expired.json()["metadata"]["continue"]
            rest = (await http.get(MAPS, params=query)).json()
            assert [each["metadata"]["name"] for each in rest["items"]] == ["m2", "m2a"]

    asyncio.run(story())


def test_a_selected_list_does_not_count_the_rest() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            for number in range(3):
                await http.post(MAPS, json=config_map(f"m{number}"))
            listed = (await http.get(MAPS, params={"limit": 1, "labelSelector": "!none"})).json()
            assert "remainingItemCount" not in listed["metadata"]
            assert listed["metadata"]["continue"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            {"resourceVersionMatch": "Exact"},
            422,
            "resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        ({"resourceVersion": "1", "resourceVersionMatch": "Odd"}, 422, 'Unsupported value: "Odd"'),
        ({"resourceVersion": "0", "resourceVersionMatch": "Exact"}, 422, 'forbidden for resourceVersion "0"'),
        ({"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
        ({"watch": "1", "sendInitialEvents": "true"}, 422, "requires setting resourceVersionMatch to NotOlderThan"),
        ({"watch": "1", "resourceVersionMatch": "NotOlderThan"}, 422, "forbidden for watch unless sendInitialEvents"),
        ({"limit": "-1"}, 200, ""),
        ({"resourceVersion": "abc"}, 400, 'invalid resource version: resourceVersion: Invalid value: "abc"'),
        ({"labelSelector": "-a"}, 400, 'unable to parse requirement: <nil>: Invalid value: "-a": name part must'),
    ],
)
def test_options_of_lists(query: dict[str, str], code: int, message: str) -> None:
    async def story() -> None:
        async with client(Store()) as http:
            answer = await http.get(MAPS, params=query)
            assert (answer.status_code, message in answer.text.replace('\\"', '"')) == (code, True), answer.text

    asyncio.run(asyncio.wait_for(story(), 10))
