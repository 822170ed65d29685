"""Conversion webhooks of users' kinds: a real HTTPS server converts what a real kubectl reads and writes."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

from kubernetes_rig import Cluster
from test_kubernetes_calling_webhooks import Answer, Decide, Webhook, running

OLD = {"type": "object", "properties": {"size": {"type": "string", "maxLength": 4}}}
NEW = {"type": "object", "properties": {"metres": {"type": "integer"}, "colour": {"type": "string", "default": "red"}}}


def definition(made: Cluster, webhook: Webhook, path: str = "/convert", storage: str = "v1", **versions: Any) -> str:
    bundle = base64.b64encode(made.ca.read_bytes()).decode()
    client = {"url": f"https://127.0.0.1:{webhook.port}{path}", "caBundle": bundle}
    found = versions or {"v1": NEW, "v1beta1": OLD}
    spec = {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
        "conversion": {
            "strategy": "Webhook",
            "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
        },
        "versions": [
            {
                "name": name,
                "served": True,
                "storage": name == storage,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}},
            }
            for name, schema in found.items()
        ],
    }
    head = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return json.dumps({**head, "metadata": {"name": "boats.example.com"}, "spec": spec})


def converted(request: dict[str, Any]) -> Answer:
    """``size: 3m`` of v1beta1 is ``metres: 3`` of v1."""
    wanted, objects = request["desiredAPIVersion"], []
    for each in request["objects"]:
        spec = dict(each.get("spec") or {})
        if wanted.endswith("v1"):
            spec["metres"] = int(spec.pop("size", "0m")[:-1])
        else:
            spec["size"] = f"{spec.pop('metres', 0)}m"
            spec.pop("colour", None)
        metadata = {**each["metadata"], "labels": {"converted": "yes"}, "generation": 99}
        objects.append({**each, "apiVersion": wanted, "metadata": metadata, "spec": spec})
    return {"result": {"status": "Success"}, "convertedObjects": objects}


def broken(request: dict[str, Any]) -> Answer:
    return {"result": {"status": "Failed", "message": "the boat has sunk"}}


def renamed(request: dict[str, Any]) -> Answer:
    answer = converted(request)
    for each in answer["convertedObjects"]:
        each["metadata"]["name"] = "other"
    return answer


def boat(version: str = "v1beta1", name: str = "one", **spec: Any) -> str:
    return json.dumps(
        {"apiVersion": f"example.com/{version}", "kind": "Boat", "metadata": {"name": name}, "spec": spec}
    )


def test_objects_are_stored_in_one_version_and_read_in_each(tmp_path: Path) -> None:
    async def story() -> None:
        async with running(tmp_path, {"/convert": converted}) as (made, webhook):

            async def spec(version: str) -> Any:
                _, out, err = await made.kubectl("get", f"boats.{version}.example.com", "one", "-o", "json")
                found = json.loads(out or err)
                assert (found["apiVersion"], found["metadata"]["generation"]) == (f"example.com/{version}", generation)
                return found["spec"]

            generation = 1
            assert (await made.kubectl("apply", "-f", "-", stdin=definition(made, webhook)))[0] == 0
            code, _, err = await made.kubectl("create", "-f", "-", stdin=boat(size="300000m"))
            assert code == 1 and "spec.size: Too long: may not be more than 4 bytes" in err
            assert await made.kubectl("create", "-f", "-", stdin=boat(size="3m")) == (
                0,
                "boat.example.com/one created\n",
                "",
            )
            assert await spec("v1") == {"metres": 3, "colour": "red"}
            assert await spec("v1beta1") == {"size": "3m"}
            generation = 2
            patch = ("patch", "boats.v1beta1.example.com", "one", "--type=merge", "-p", '{"spec":{"size":"4m"}}')
            assert (await made.kubectl(*patch))[0] == 0
            assert await spec("v1") == {"metres": 4, "colour": "red"}
            generation = 3
            applied = ("apply", "--server-side", "--force-conflicts", "-f", "-")
            assert (await made.kubectl(*applied, stdin=boat(size="5m")))[0] == 0
            assert await spec("v1") == {"metres": 5, "colour": "red"}
            watch = (
                "get",
                "boats.v1beta1.example.com",
                "--watch",
                "--request-timeout=1s",
                "-o",
                "jsonpath={.spec.size}",
            )
            assert "5m" in (await made.kubectl(*watch))[1]
            asked = len(webhook.asked)
            await spec("v1beta1")
            assert len(webhook.asked) == asked  # what was converted is kept

            other = definition(made, webhook, storage="v1beta1")
            assert (await made.kubectl("apply", "-f", "-", stdin=other))[0] == 0
            stored = ("get", "crd", "boats.example.com", "-o", "jsonpath={.status.storedVersions}")
            assert (await made.kubectl(*stored))[1] == '["v1","v1beta1"]'
            assert await spec("v1") == {"metres": 5, "colour": "red"}
            assert await spec("v1beta1") == {"size": "5m"}
            generation = 4
            patch = ("patch", "boats.v1.example.com", "one", "--type=merge", "-p", '{"spec":{"metres":6}}')
            assert (await made.kubectl(*patch))[0] == 0
            assert await spec("v1beta1") == {"size": "6m"}
            shorter = definition(made, webhook, storage="v1beta1", v1beta1=OLD)
            code, _, err = await made.kubectl("apply", "-f", "-", stdin=shorter)
            assert code == 1 and 'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions' in err

    asyncio.run(asyncio.wait_for(story(), 90))


def test_a_webhook_that_fails_is_reported(tmp_path: Path) -> None:
    async def story() -> None:
        decisions: dict[str, Decide] = {"/convert": converted, "/broken": broken, "/renamed": renamed}
        async with running(tmp_path, decisions) as (made, webhook):
            await made.kubectl("apply", "-f", "-", stdin=definition(made, webhook))
            await made.kubectl("create", "-f", "-", stdin=boat("v1", metres=3))
            for path, why in (
                ("/broken", "failed: the boat has sunk"),
                ("/renamed", "returned invalid object: must have the same name: one != other"),
            ):
                await made.kubectl("apply", "-f", "-", stdin=definition(made, webhook, path))
                code, _, err = await made.kubectl("get", "boats.v1beta1.example.com")
                assert (code, err) == (
                    1,
                    "Error from server: conversion webhook for example.com/v1, Kind=Boat " + why + "\n",
                )
                assert (await made.kubectl("get", "boats.v1.example.com"))[0] == 0
                code, _, err = await made.kubectl("create", "-f", "-", stdin=boat(name="two", size="1m"))
                assert code == 1 and "conversion webhook for example.com/v1beta1, Kind=Boat" in err

    asyncio.run(asyncio.wait_for(story(), 60))
