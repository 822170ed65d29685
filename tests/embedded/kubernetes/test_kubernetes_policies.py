"""ValidatingAdmissionPolicies decide about writes. Compared with kube-apiserver 1.37."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from test_kubernetes_api import MAPS, client, config_map

from lockgate.embedded.kubernetes.store import Store
from lockgate.resources.model import JsonObject

GROUP = "/apis/admissionregistration.k8s.io/v1"
RULES = {
    "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}]
}


async def policy(
    http: httpx.AsyncClient, validation: JsonObject, binding: JsonObject | None = None, **more: Any
) -> None:
    spec = {"matchConstraints": RULES, "validations": [validation], **more}
    answer = await http.post(f"{GROUP}/validatingadmissionpolicies", json={"metadata": {"name": "p"}, "spec": spec})
    assert answer.status_code == 201, answer.text
    bound = {"policyName": "p", "validationActions": ["Deny"], **(binding or {})}
    answer = await http.post(
        f"{GROUP}/validatingadmissionpolicybindings", json={"metadata": {"name": "b"}, "spec": bound}
    )
    assert answer.status_code == 201, answer.text


BY = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request"


@pytest.mark.parametrize(
    ("validation", "more", "code", "message"),
    [
        ({"expression": "object.data.a == '1'"}, {}, 201, ""),
        (
            {"expression": "object.data.a == '2'"},
            {},
            422,
            f"configmaps \"a\" is forbidden: {BY}: failed expression: object.data.a == '2'",
        ),
        ({"expression": "false", "message": "no", "reason": "Forbidden"}, {}, 403, f"{BY}: no"),
        ({"expression": "false", "messageExpression": "'no ' + object.metadata.name"}, {}, 422, f"{BY}: no a"),
        ({"expression": "request.operation == 'CREATE' && request.userInfo.username == 'lockgate'"}, {}, 201, ""),
        ({"expression": "namespaceObject.metadata.name == 'default' && oldObject == null"}, {}, 201, ""),
        (
            {"expression": "variables.b", "message": "b"},
            {"variables": [{"name": "b", "expression": "object.data.a == 'x'"}]},
            422,
            f"{BY}: b",
        ),
        (
            {"expression": "false"},
            {"matchConditions": [{"name": "n", "expression": "object.metadata.name != 'a'"}]},
            201,
            "",
        ),
        (
            {"expression": "object.none == 1"},
            {},
            422,
            "expression 'object.none == 1' resulted in error: no such key: none",
        ),
        ({"expression": "object.none == 1"}, {"failurePolicy": "Ignore"}, 201, ""),
        (
            {"expression": "false"},
            {"matchConstraints": {**RULES, "objectSelector": {"matchLabels": {"x": "y"}}}},
            201,
            "",
        ),
        (
            {"expression": "false"},
            {"matchConstraints": {**RULES, "excludeResourceRules": RULES["resourceRules"]}},
            201,
            "",
        ),
        (
            {"expression": "false"},
            {"matchConstraints": {"resourceRules": [{**RULES["resourceRules"][0], "resourceNames": ["b"]}]}},
            201,
            "",
        ),
    ],
)
def test_a_creation(validation: JsonObject, more: JsonObject, code: int, message: str) -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await policy(http, validation, **more)
            answer = await http.post(MAPS, json=config_map("a", data={"a": "1"}))
            assert answer.status_code == code, answer.text
            if code != 201:
                assert message in answer.json()["message"]
                assert answer.json()["reason"] == {403: "Forbidden", 422: "Invalid"}[code]

    asyncio.run(story())


def test_updates_and_deletions() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await policy(
                http,
                {"expression": "request.operation != 'DELETE' && (oldObject == null || object.data == oldObject.data)"},
            )
            assert (await http.post(MAPS, json=config_map("a", data={"a": "1"}))).status_code == 201
            assert (await http.put(f"{MAPS}/a", json=config_map("a", data={"a": "2"}))).status_code == 422
            assert (await http.delete(f"{MAPS}/a")).status_code == 422
            assert (await http.get(f"{MAPS}/a")).json()["data"] == {"a": "1"}
            await http.delete(f"{GROUP}/validatingadmissionpolicybindings/b")
            assert (await http.delete(f"{MAPS}/a")).status_code == 200

    asyncio.run(story())


def test_a_policy_may_only_warn() -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await policy(http, {"expression": "false", "message": "odd"}, {"validationActions": ["Warn", "Audit"]})
            answer = await http.post(MAPS, json=config_map("a"))
            expected = "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': odd\""
            assert (answer.status_code, expected in answer.headers.get_list("warning")) == (201, True)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("reference", "most", "code"),
    [
        ({"name": "limits", "parameterNotFoundAction": "Deny"}, "5", 201),
        ({"name": "limits", "parameterNotFoundAction": "Deny"}, "0", 422),
        ({"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Allow"}, "0", 201),
        ({"name": "none", "parameterNotFoundAction": "Deny"}, "5", 422),
        ({"name": "none", "parameterNotFoundAction": "Allow"}, "0", 201),
    ],
)
def test_parameters(reference: JsonObject, most: str, code: int) -> None:
    async def story() -> None:
        async with client(Store()) as http:
            await http.post(MAPS, json=config_map("limits", data={"most": most}))
            await policy(
                http,
                {"expression": "size(object.data) <= int(params.data.most)"},
                {"paramRef": reference},
                paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            )
            answer = await http.post(MAPS, json=config_map("a", data={"a": "1"}))
            assert answer.status_code == code, answer.text

    asyncio.run(story())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"matchConstraints": RULES}, "spec.validations: Required value"),
        ({"validations": [{"expression": "true"}]}, "spec.matchConstraints.resourceRules: Required value"),
        (
            {"matchConstraints": RULES, "validations": [{"expression": "object.("}]},
            "validations[0].expression: Invalid value",
        ),
        (
            {"matchConstraints": RULES, "validations": [{"expression": "authorizer.path('/').check('get').allowed()"}]},
            "authorizer",
        ),
    ],
)
def test_invalid_policies(spec: JsonObject, message: str) -> None:
    async def story() -> None:
        async with client(Store()) as http:
            body = {"metadata": {"name": "p"}, "spec": spec}
            answer = await http.post(f"{GROUP}/validatingadmissionpolicies", json=body)
            assert (answer.status_code, message in answer.json()["message"]) == (422, True), answer.text

    asyncio.run(story())
