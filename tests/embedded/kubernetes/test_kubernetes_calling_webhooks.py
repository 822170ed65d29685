"""Users' own admission webhooks: a real HTTPS server decides about the writes of a real kubectl."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kubernetes_rig import Cluster, cluster

from lockgate.embedded.asgi import Receive, Scope, Send
from lockgate.embedded.http import serve

Answer = dict[str, Any]
Decide = Callable[[dict[str, Any]], Awaitable[Answer] | Answer]

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1'}\n"


class Webhook:
    """A webhook server: each path is decided by a function, and every request is kept."""

    def __init__(self, decide: dict[str, Decide]) -> None:
        self._decide = decide
        self.asked: list[dict[str, Any]] = []
        self.port = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        review = json.loads(body)
        request = review["request"]
        self.asked.append({**request, "path": scope["path"]})
        answer = self._decide[scope["path"]](request)
        made = answer if isinstance(answer, dict) else await answer
        response = {"uid": request["uid"], **made}
        text = json.dumps({**review, "request": None, "response": response})
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})


@asynccontextmanager
async def running(home: Path, decide: dict[str, Decide]) -> AsyncIterator[tuple[Cluster, Webhook]]:
    async with cluster(home) as made:
        webhook = Webhook(decide)
        server = await serve(webhook, certificate=(home / "chain.pem", home / "key.pem"), hosts=None)
        webhook.port = server.port
        try:
            yield made, webhook
        finally:
            await server.stop()


def configuration(made: Cluster, webhook: Webhook, kind: str, path: str, **more: Any) -> str:
    bundle = base64.b64encode(made.ca.read_bytes()).decode()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]}
    one = {
        "name": f"{path.strip('/')}.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{webhook.port}{path}", "caBundle": bundle},
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }
    metadata = {"name": f"{kind.lower()}-{path.strip('/')}"}
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": f"{kind}WebhookConfiguration"}
    return json.dumps({**head, "metadata": metadata, "webhooks": [one]})


def allowed(_: dict[str, Any]) -> Answer:
    return {"allowed": True}


def labelled(_: dict[str, Any]) -> Answer:
    patch = [{"op": "add", "path": "/metadata/labels", "value": {"team": "edge"}}]
    return {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(patch).encode()).decode(),
        "warnings": ["the label team was added"],
    }


def denied(_: dict[str, Any]) -> Answer:
    return {"allowed": False, "status": {"code": 403, "reason": "Forbidden", "message": "not on a Sunday"}}


def test_a_mutation_is_stored_and_validated(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, {"/label": labelled, "/check": allowed}) as (made, webhook):
            for kind, path in (("Mutating", "/label"), ("Validating", "/check")):
                await made.kubectl("create", "-f", "-", stdin=configuration(made, webhook, kind, path))
            code, _, err = await made.kubectl("apply", "--server-side", "-f", "-", stdin=MAP)
            assert (code, err) == (0, "Warning: the label team was added\n")
            _, labels, _ = await made.kubectl("get", "configmap", "settings", "-o", "jsonpath={.metadata.labels}")
            assert json.loads(labels) == {"team": "edge"}
            first, second = webhook.asked
            assert (first["path"], first["operation"], first["name"]) == ("/label", "CREATE", "settings")
            assert first["userInfo"]["username"] == "lockgate" and first["options"]["fieldManager"] == "kubectl"
            assert second["object"]["metadata"]["labels"] == {"team": "edge"} and second["oldObject"] is None

    asyncio.run(scenario())


def test_denials_of_creation_change_and_deletion(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, {"/deny": denied}) as (made, webhook):
            await made.kubectl("create", "-f", "-", stdin=MAP)
            await made.kubectl("create", "-f", "-", stdin=configuration(made, webhook, "Validating", "/deny"))
            for arguments in (
                ("create", "configmap", "other"),
                ("label", "configmap", "settings", "a=b"),
                ("delete", "configmap", "settings"),
                ("delete", "configmap", "--all"),
            ):
                code, _, err = await made.kubectl(*arguments)
                assert code == 1
                text = 'admission webhook "deny.example.com" denied the request: not on a Sunday'
                assert text in err, (arguments, err)
            _, names, _ = await made.kubectl("get", "configmap", "-o", "name")
            assert "configmap/settings" in names and "configmap/other" not in names
            assert webhook.asked[2]["operation"] == "DELETE" and webhook.asked[2]["object"] is None
            assert webhook.asked[2]["oldObject"]["data"] == {"a": "1"}

    asyncio.run(scenario())


def test_selectors_leave_objects_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, {"/deny": denied, "/quiet": denied}) as (made, webhook):
            selector = {"matchExpressions": [{"key": "policy", "operator": "NotIn", "values": ["off"]}]}
            for path, more in (("/deny", {"namespaceSelector": selector}), ("/quiet", {"objectSelector": {
                "matchLabels": {"watched": "yes"}}})):  # fmt: skip
                text = configuration(made, webhook, "Validating", path, **more)
                await made.kubectl("create", "-f", "-", stdin=text)
            await made.kubectl("create", "-f", "-", stdin='{"apiVersion":"v1","kind":"Namespace","metadata":'
                               '{"name":"free","labels":{"policy":"off"}}}')  # fmt: skip
            assert (await made.kubectl("create", "configmap", "a", "-n", "free"))[0] == 0
            assert (await made.kubectl("create", "configmap", "a"))[0] == 1
            assert (await made.kubectl("label", "configmap", "a", "-n", "free", "watched=yes"))[0] == 1

    asyncio.run(scenario())


def test_failures_and_the_policy_for_them(tmp_path: Path) -> None:
    async def slow(_: dict[str, Any]) -> Answer:
        await asyncio.sleep(5)
        return {"allowed": True}

    def unpaired(_: dict[str, Any]) -> Answer:
        return {"allowed": True, "uid": "another"}

    async def scenario() -> None:
        async with running(tmp_path, {"/slow": slow, "/unpaired": unpaired}) as (made, webhook):
            cases = (
                (configuration(made, webhook, "Validating", "/slow", timeoutSeconds=1), "context deadline exceeded"),
                (configuration(made, webhook, "Validating", "/unpaired"), "expected response.uid="),
                (
                    configuration(made, webhook, "Validating", "/gone", clientConfig={"url": "https://127.0.0.1:1/"}),
                    'failed calling webhook "gone.example.com": failed to call webhook: Post "https://127.0.0.1:1/"',
                ),
                (
                    configuration(
                        made,
                        webhook,
                        "Validating",
                        "/service",
                        clientConfig={"service": {"namespace": "ops", "name": "policy"}},
                    ),
                    'service "policy" not found',
                ),
            )
            for text, why in cases:
                name = json.loads(text)["metadata"]["name"]
                await made.kubectl("create", "-f", "-", stdin=text)
                code, _, err = await made.kubectl("create", "configmap", "a")
                assert code == 1 and "Internal error occurred: failed calling webhook" in err and why in err, err
                ignoring = json.loads(text)
                ignoring["webhooks"][0]["failurePolicy"] = "Ignore"
                await made.kubectl("apply", "-f", "-", stdin=json.dumps(ignoring))
                assert (await made.kubectl("create", "configmap", name))[0] == 0
                await made.kubectl("delete", "validatingwebhookconfiguration", name)

    asyncio.run(scenario())


def test_a_webhook_behind_a_service(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, {"/deny": denied}) as (made, webhook):
            service = {"namespace": "ops", "name": "policy", "path": "/deny"}
            bundle = base64.b64encode(made.ca.read_bytes()).decode()
            text = configuration(
                made, webhook, "Validating", "/deny", clientConfig={"service": service, "caBundle": bundle}
            )
            objects: tuple[dict[str, Any], ...] = (
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ops"}},
                {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "policy", "namespace": "ops"},
                 "spec": {"ports": [{"name": "https", "port": 443}]}},
            )  # fmt: skip
            for each in (*objects, json.loads(text)):
                assert (await made.kubectl("create", "-f", "-", stdin=json.dumps(each)))[0] == 0
            await made.store.apply(_slice(webhook.port), manager="nodes")
            code, _, err = await made.kubectl("create", "configmap", "a")
            assert code == 1 and "not on a Sunday" in err

    asyncio.run(scenario())


def _slice(port: int) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "policy"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "policy-1", "namespace": "ops", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
    }


def test_an_object_that_changes_while_a_webhook_thinks_is_decided_again(tmp_path: Path) -> None:
    thinking, go_on = asyncio.Event(), asyncio.Event()

    async def slow_label(request: dict[str, Any]) -> Answer:
        if not thinking.is_set():
            thinking.set()
            await go_on.wait()
        return labelled(request)

    async def scenario() -> None:
        async with running(tmp_path, {"/label": slow_label}) as (made, webhook):
            await made.kubectl("create", "-f", "-", stdin=MAP)
            await made.kubectl("create", "-f", "-", stdin=configuration(made, webhook, "Mutating", "/label"))
            writing = asyncio.create_task(made.kubectl("patch", "configmap", "settings", "-p", '{"data":{"b":"2"}}'))
            await thinking.wait()
            other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
            await made.store.apply({**other, "data": {"c": "3"}}, manager="another")
            go_on.set()
            assert (await writing)[0] == 0
            _, data, _ = await made.kubectl("get", "configmap", "settings", "-o", "jsonpath={.data}")
            assert json.loads(data) == {"a": "1", "b": "2", "c": "3"}
            assert [each["object"]["data"] for each in webhook.asked] == [
                {"a": "1", "b": "2"},
                {"a": "1", "b": "2", "c": "3"},
            ]

    asyncio.run(scenario())


def test_a_dry_run_asks_only_webhooks_without_side_effects(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, {"/deny": denied, "/effect": denied}) as (made, webhook):
            text = configuration(made, webhook, "Validating", "/effect", sideEffects="Some")
            await made.kubectl("create", "-f", "-", stdin=text.replace('"Some"', '"NoneOnDryRun"'))
            code, _, err = await made.kubectl("create", "configmap", "a", "--dry-run=server")
            assert code == 1 and "not on a Sunday" in err
            assert webhook.asked[0]["dryRun"] is True

    asyncio.run(scenario())


def test_webhooks_of_components_that_run_here_are_not_called(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, {"/deny": denied}) as (made, webhook):
            text = configuration(made, webhook, "Validating", "/deny", name="vingress.elbv2.k8s.aws")
            await made.kubectl("create", "-f", "-", stdin=text)
            assert (await made.kubectl("create", "configmap", "a"))[0] == 0
            assert not webhook.asked

    asyncio.run(scenario())


def test_match_conditions(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, {"/deny": denied}) as (made, webhook):
            conditions = [
                {"name": "not the tests", "expression": "object.metadata.name.startsWith('prod-')"},
                {"name": "by people", "expression": "request.userInfo.username == 'lockgate'"},
            ]
            text = configuration(made, webhook, "Validating", "/deny", matchConditions=conditions)
            await made.kubectl("create", "-f", "-", stdin=text)
            assert (await made.kubectl("create", "configmap", "test-a"))[0] == 0
            code, _, err = await made.kubectl("create", "configmap", "prod-a")
            assert code == 1 and "not on a Sunday" in err

    asyncio.run(scenario())
