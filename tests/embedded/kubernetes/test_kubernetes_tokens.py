"""Tokens of service accounts: requested, shown, reviewed, and no longer accepted when what they belong to is gone."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes_rig import TOKEN, cluster, kubectls
from test_kubernetes_api import client as connect

from lockgate.embedded.kubernetes.api import KubernetesApi
from lockgate.embedded.kubernetes.store import Store
from lockgate.embedded.service_accounts import ServiceAccountTokens
from lockgate.resources import core
from lockgate.resources.model import JsonObject

ROBOT = "/api/v1/namespaces/default/serviceaccounts/robot/token"
SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
BEGINNING = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = BEGINNING

    def __call__(self) -> datetime:
        return self.now


async def _store(clock: Clock | None = None, tokens: ServiceAccountTokens | None = None) -> Store:
    store = Store(clock=clock or Clock(), tokens=tokens)
    metadata = {"name": "robot", "namespace": "default"}
    await store.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    for account in ("robot", "other"):
        spec = {"serviceAccountName": account, "containers": [{"name": "c", "image": "i"}]}
        pod = {"name": f"pod-of-{account}", "namespace": "default"}
        await store.create({"apiVersion": "v1", "kind": "Pod", "metadata": pod, "spec": spec})
    return store


async def _ask(store: Store, method: str, path: str, body: Any = None, token: str = TOKEN) -> httpx.Response:
    application: Any = KubernetesApi(store, token=TOKEN)
    headers = {b"authorization": b"Bearer " + token.encode()}
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        return await client.request(method, path, json=body)


def _request(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


def test_a_token_identifies_its_bearer() -> None:
    async def story() -> None:
        store = await _store()
        answer = await _ask(store, "POST", ROBOT, _request(audiences=["sts.amazonaws.com"], expirationSeconds=600))
        assert answer.status_code == 201
        status = answer.json()["status"]
        assert status["expirationTimestamp"] == "2026-03-01T12:10:00Z"
        claims = _claims(status["token"])
        robot = await store.get(core.ServiceAccount, "robot", "default")
        begin = int(BEGINNING.timestamp())
        del claims["jti"]
        assert claims == {
            "aud": ["sts.amazonaws.com"],
            "exp": begin + 600,
            "iat": begin,
            "nbf": begin,
            "iss": store.tokens.tokens.issuer,
            "kubernetes.io": {
                "namespace": "default",
                "serviceaccount": {"name": "robot", "uid": robot.metadata.uid},
            },
            "sub": "system:serviceaccount:default:robot",
        }
        # Meant for STS, so not for this API.
        assert (await _ask(store, "GET", "/api", token=status["token"])).status_code == 401

    asyncio.run(story())


def test_a_token_opens_the_api_until_it_expires() -> None:
    async def story() -> None:
        clock = Clock()
        store = await _store(clock)
        token = (await _ask(store, "POST", ROBOT, _request())).json()["status"]["token"]
        who = (await _ask(store, "POST", SELF, {}, token)).json()["status"]["userInfo"]
        assert who["username"] == "system:serviceaccount:default:robot"
        assert "system:serviceaccounts:default" in who["groups"]
        clock.now += timedelta(seconds=3599)
        assert (await _ask(store, "GET", "/api", token=token)).status_code == 200
        clock.now += timedelta(seconds=1)
        assert (await _ask(store, "GET", "/api", token=token)).status_code == 401

    asyncio.run(story())


def test_a_token_is_invalid_after_its_account_or_pod_is_deleted() -> None:
    async def story() -> None:
        store = await _store()
        pod = {"kind": "Pod", "apiVersion": "v1", "name": "pod-of-robot"}
        bound = (await _ask(store, "POST", ROBOT, _request(boundObjectRef=pod))).json()["status"]["token"]
        free = (await _ask(store, "POST", ROBOT, _request())).json()["status"]["token"]
        assert (await _ask(store, "GET", "/api", token=bound)).status_code == 200
        await store.delete(core.Pod, "pod-of-robot", "default")
        assert (await _ask(store, "GET", "/api", token=bound)).status_code == 401
        assert (await _ask(store, "GET", "/api", token=free)).status_code == 200
        await store.delete(core.ServiceAccount, "robot", "default")
        metadata = {"name": "robot", "namespace": "default"}
        await store.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        assert (await _ask(store, "GET", "/api", token=free)).status_code == 401

    asyncio.run(story())


def test_tokens_of_other_issuers_are_refused() -> None:
    async def story() -> None:
        tokens = ServiceAccountTokens()
        store = await _store(tokens=tokens)
        forged = await _store(tokens=ServiceAccountTokens(tokens.issuer))
        robot = await store.get(core.ServiceAccount, "robot", "default")
        assert robot.metadata.uid
        foreign = await forged.create_token("robot", "default", [], 600)
        own = await store.create_token("robot", "default", [], 600)
        for token in (foreign, own[:-4], own + "x", own.replace(".", "..", 1), "a.b.c", "é", "." * 10_000):
            answer = await _ask(store, "GET", "/api", token=token)
            assert answer.status_code == 401, token[:20]
        reviewed = (await _ask(store, "POST", REVIEW, {"spec": {"token": foreign}})).json()["status"]
        assert reviewed == {"user": {}, "error": "the token is not signed with this edge's key"}
        reviewed = (await _ask(store, "POST", REVIEW, {"spec": {"token": own}})).json()["status"]
        assert (reviewed["authenticated"], reviewed["audiences"]) == (True, ["https://kubernetes.default.svc"])
        asked = {"spec": {"token": own, "audiences": ["vault"]}}
        assert "authenticated" not in (await _ask(store, "POST", REVIEW, asked)).json()["status"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        (ROBOT, _request(expirationSeconds=599), 422, "may not specify a duration less than 10 minutes"),
        (ROBOT, _request(expirationSeconds=2**32 + 1), 422, "may not specify a duration larger than 2^32 seconds"),
        (ROBOT, _request(expirationSeconds="600"), 400, "spec.expirationSeconds is not a number"),
        (ROBOT, _request(expirationSeconds=True), 400, "spec.expirationSeconds is not a number"),
        (ROBOT, _request(audiences="sts.amazonaws.com"), 400, "spec.audiences is not a list of strings"),
        (ROBOT, _request(audiences=[1]), 400, "spec.audiences is not a list of strings"),
        (ROBOT, {"spec": []}, 201, ""),
        (ROBOT, {"spec": "text"}, 400, "spec is not an object"),
        (ROBOT.replace("robot", "nobody"), _request(), 404, 'serviceaccounts "nobody" not found'),
        (ROBOT, _request(boundObjectRef="pod"), 400, "spec.boundObjectRef is not an object"),
        (ROBOT, _request(boundObjectRef={"kind": "Service", "name": "a"}), 400, "of type Service"),
        (ROBOT, _request(boundObjectRef={"kind": "Pod", "name": "none"}), 404, 'pods "none" not found'),
        (ROBOT, _request(boundObjectRef={"kind": "Pod", "name": "pod-of-other"}), 400, "different serviceaccount name"),
        (ROBOT, _request(boundObjectRef={"kind": "Pod", "name": "pod-of-robot", "uid": "u"}), 409, "does not match"),
        (REVIEW, {"spec": {"token": 1}}, 400, "spec.token is required"),
        (REVIEW, {"spec": None}, 400, "spec.token is required"),
    ],
)
def test_what_is_refused(path: str, body: Any, code: int, message: str) -> None:
    async def story() -> None:
        answer = await _ask(await _store(), "POST", path, body)
        assert answer.status_code == code, answer.text
        assert message in answer.text.replace('\\"', '"')

    asyncio.run(story())


def test_others_can_verify_tokens(tmp_path: Path) -> None:
    """With the keys that the API publishes, as an OIDC provider of a cluster does."""
    from joserfc import jwt
    from joserfc.jwk import KeySet

    async def story() -> None:
        async with cluster(tmp_path) as made:
            metadata = {"name": "robot", "namespace": "default"}
            await made.store.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
            for program in kubectls():
                arguments = ("create", "token", "robot", "--audience", "sts.amazonaws.com", "--duration", "20m")
                code, out, err = await made.kubectl(*arguments, program=program)
                assert code == 0, err
                code, about, err = await made.kubectl(
                    "get", "--raw", "/.well-known/openid-configuration", program=program
                )
                assert code == 0, err
                configuration = json.loads(about)
                path = httpx.URL(configuration["jwks_uri"]).path
                code, keys, err = await made.kubectl("get", "--raw", path, program=program)
                assert code == 0, err
                claims = jwt.decode(out.strip(), KeySet.import_key_set(json.loads(keys)), algorithms=["ES256"]).claims
                assert (claims["iss"], claims["aud"]) == (configuration["issuer"], ["sts.amazonaws.com"])
                assert claims["exp"] - claims["iat"] == 1200
                code, out, err = await made.kubectl("create", "token", "nobody", program=program)
                assert (code, err.strip()) == (1, 'error: failed to create token: serviceaccounts "nobody" not found')

    asyncio.run(asyncio.wait_for(story(), 120))


@pytest.mark.parametrize(
    ("path", "body", "code", "expected"),
    [
        ("subjectaccessreviews", {"user": "a", "resourceAttributes": {"verb": "get"}}, 201, '"allowed":true'),
        (
            "namespaces/default/localsubjectaccessreviews",
            {"user": "a", "resourceAttributes": {}},
            422,
            "exactly one of",
        ),
        (
            "namespaces/default/localsubjectaccessreviews",
            {"groups": ["g"], "resourceAttributes": {"verb": "get", "namespace": "default"}},
            201,
            "true",
        ),
        ("localsubjectaccessreviews", {}, 404, "could not find"),
        ("subjectaccessreviews", {"resourceAttributes": {"verb": "get"}}, 422, "at least one of user or group"),
        ("selfsubjectaccessreviews", {}, 422, "exactly one of nonResourceAttributes or resourceAttributes"),
        ("selfsubjectrulesreviews", {"namespace": "default"}, 201, '"verbs":["*"]'),
    ],
)
def test_access_reviews(path: str, body: JsonObject, code: int, expected: str) -> None:
    async def story() -> None:
        async with connect(Store()) as http:
            answer = await http.post(f"/apis/authorization.k8s.io/v1/{path}", json={"spec": body})
            assert (answer.status_code, expected in answer.text) == (code, True), answer.text

    asyncio.run(story())
