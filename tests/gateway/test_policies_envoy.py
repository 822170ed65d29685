"""What `decide` says of policies and what a real Envoy does with them must agree.

`LOCKGATE_FUZZ` is the number of gateways to try, drawn at random; without it a small, fixed set is.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from gateway_cases import GATEWAY_POD, GATEWAY_SERVICE, POLICED, Case, backend
from gateway_envoy import Answer, Lab, key_pair, lab
from gateway_tokens import jwks, token
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lockgate.gateway.mesh import mesh
from lockgate.gateway.model import Gateway
from lockgate.gateway.request import Request
from lockgate.gateway.routing import Answered, Carried, Closed, Decision, Forwarded, decide

FUZZ = int(os.environ.get("LOCKGATE_FUZZ", "0"))
PAIR = key_pair("a.example")
NOW = int(time.time())
NONE = '{"keys": []}'
COMPARED = ("authorization", "x-jwt", "x-sub", "x-n", "x-a", "x-payload", "cookie")
CHALLENGE = "www-authenticate"
_types = st.sampled_from(
    ("text/plain", "text/plain", "application/grpc", "application/grpc+proto", "application/grpc-web")
)
TO_BACKEND = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: b, namespace: istio-system}
spec:
  hosts: [b.example]
  gateways: [edge]
  http:
  - {match: [{headers: {"@request.auth.claims.words": {exact: y}}}], directResponse: {status: 201}}
  - {match: [{headers: {"@request.auth.claims.a.b": {regex: "d.*"}}}], directResponse: {status: 202}}
  - match: [{withoutHeaders: {"@request.auth.claims[aud]": {prefix: sh}}, headers: {x-sub: {exact: ann}}}]
    directResponse: {status: 203}
  - {route: [{destination: {host: a.default.svc.cluster.local}}]}
"""


@pytest.fixture(scope="module")
def envoy() -> Iterator[Lab]:
    with lab(ports=(8080, 8443, 9000, 15021), backends=1) as running:
        yield running


def _values(*choices: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(choices), min_size=1, max_size=2, unique=True)


PATHS = ("/", "/a", "/a/b", "/a/b.php", "/b", "/A", "/a/x/c", "/a//c")
BLOCKS = ("127.0.0.1", "127.0.0.2/32", "127.0.0.0/8", "192.0.2.0/24", "2001:db8::/32")
_operation = {
    "hosts": _values("a.example", "*.example", "A.EXAMPLE:*", "*", "b.*", "a.example:8080"),
    "ports": _values("8080", "8443", "9000", "80"),
    "methods": _values("GET", "P*", "*", "*T"),
    "paths": _values("/a", "/a*", "*.php", "*", "/a/{*}", "/a/{**}", "/{*}/b", "/a/{*}/c"),
}
_source = {
    "principals": _values("*", "cluster.local/ns/a/sa/b", "*/sa/b"),
    "namespaces": _values("a", "*"),
    "serviceAccounts": _values("a/b"),
    "ipBlocks": _values(*BLOCKS),
    "remoteIpBlocks": _values(*BLOCKS),
}


def _with_exclusions(fields: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    both = {**fields, **{f"not{name[0].upper()}{name[1:]}": values for name, values in fields.items()}}
    return st.lists(st.sampled_from(sorted(both)), min_size=1, max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: both[name] for name in names})
    )


_keys = {
    "request.headers[X-A]": ("1", "one", "o*", "*e", "*"),
    "request.headers[x-forwarded-proto]": ("http", "https"),
    "request.headers[:path]": ("/a*",),
    "source.ip": BLOCKS,
    "remote.ip": BLOCKS,
    "destination.port": ("8080", "9000"),
    "connection.sni": ("a.example", "*.example", "*"),
    "request.experimental.inline.headers[x-a]": ("1", "o*", "*"),
}
conditions = st.sampled_from(sorted(_keys)).flatmap(
    lambda key: st.builds(
        lambda name, values: {"key": key, name: values}, st.sampled_from(("values", "notValues")), _values(*_keys[key])
    )
)
rules = st.fixed_dictionaries(
    {},
    optional={
        "from": st.lists(_with_exclusions(_source).map(lambda source: {"source": source}), min_size=1, max_size=2),
        "to": st.lists(_with_exclusions(_operation).map(lambda made: {"operation": made}), min_size=1, max_size=2),
        "when": st.lists(conditions, min_size=1, max_size=2),
    },
)
policies = st.lists(
    st.fixed_dictionaries(
        {"action": st.sampled_from(("ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"))},
        optional={"rules": st.lists(rules, min_size=1, max_size=3), "annotations": st.just({"istio.io/dry-run": "1"})},
    ),
    min_size=1,
    max_size=3,
)
requests = st.builds(
    lambda port, name, suffix, sni, path, query, method, headers, peer: Request(
        port=port,
        authority=name + suffix,
        target=path + query,
        tls=port == 8443,
        sni=sni if port == 8443 else None,
        method=method,
        headers=tuple(headers.items()),
        peer=peer,
    ),
    st.sampled_from((8080, 8443, 9000)),
    st.sampled_from(("a.example", "A.example", "x.example", "b.test")),
    st.sampled_from(("", ":8080")),
    st.sampled_from(("a.example", "b.test", None)),
    st.sampled_from(PATHS),
    st.sampled_from(("", "?q=/a")),
    st.sampled_from(("GET", "POST", "PUT")),
    st.dictionaries(
        st.sampled_from(("x-a", "x-forwarded-for", "x-forwarded-proto")),
        st.sampled_from(("1", "one", "2,one", "", "192.0.2.7", "192.0.2.7, 10.0.0.1", "2001:db8::7", "https")),
        max_size=2,
    ),
    st.sampled_from(("127.0.0.1", "127.0.0.2")),
)


@settings(
    max_examples=FUZZ or 40,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(policies, st.sampled_from((0, 1, 2)), st.lists(requests, min_size=12, max_size=12))
def test_prediction_is_what_envoy_does(envoy: Lab, drawn: list[dict[str, Any]], hops: int, sent: list[Request]) -> None:
    gateway = _gateway(envoy, [_policy(index, one) for index, one in enumerate(drawn)], hops)
    envoy.run(envoy.serve(gateway, {"kubernetes://pair": PAIR}))
    assert envoy.rejections == []
    for request in sent:
        envoy.run(_agrees(envoy, request, decide(gateway, request)))


# --- JWTs --------------------------------------------------------------------------------------------------------

_rules = st.fixed_dictionaries(
    {"issuer": st.sampled_from(("a", "a", "b", "")), "jwks": st.sampled_from(("secret", "rsa", "ec", "okp", "none"))},
    optional={
        "audiences": _values("shop", "https://api/"),
        "fromHeaders": st.lists(
            st.sampled_from(({"name": "X-Jwt"}, {"name": "x-jwt", "prefix": "T "}, {"name": "authorization"})),
            min_size=1,
            max_size=2,
            unique_by=str,
        ),
        "fromParams": _values("t", "access_token"),
        "fromCookies": _values("session"),
        "outputPayloadToHeader": st.just("x-payload"),
        "outputClaimToHeaders": st.just(
            [{"header": "X-Sub", "claim": "sub"}, {"header": "x-n", "claim": "n"}, {"header": "x-a", "claim": "a.b"}]
        ),
        "forwardOriginalToken": st.booleans(),
        "spaceDelimitedClaims": st.just(["words"]),
    },
)
_claims = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.sampled_from(("a", "a", "a", "b", 7)),
        "sub": st.sampled_from(("ann", "", 7)),
        "aud": st.sampled_from(("shop", ["api", "x"], "other", 7)),
        "exp": st.sampled_from((NOW + 86_400, NOW - 86_400, -1, 1.5)),
        "nbf": st.sampled_from((NOW - 86_400, NOW + 86_400)),
        "n": st.sampled_from((1, -1, 1.5, 1e30, True, None, "x", ["a", {"b": 1}], {"c": []})),
        "a": st.sampled_from(({"b": "deep"}, {"b": ["x", "y"]}, "flat")),
        "words": st.sampled_from(("x y", "x", "")),
    },
)
_tokens = st.one_of(
    st.builds(
        lambda claims, key, kid: token(claims, key, **kid),
        _claims,
        st.sampled_from(("secret", "secret", "other", "rsa", "ec", "okp")),
        st.sampled_from(({}, {"kid": None})),
    ),
    st.sampled_from(("", "a.b.c", "x", "e30.e30.e30", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.W10.AA")),
)
_places = st.sampled_from(
    (
        ((("Authorization", "Bearer {}"),), ""),
        ((("Authorization", "{}"),), ""),
        ((("X-JWT", "{}"),), "?y=2&x=1"),
        ((("x-jwt", "T {}"),), ""),
        ((), "?y=a%2Fb&t={}&x=1"),
        ((), "?access_token={}"),
        ((("cookie", "a=b; session={}"),), ""),
        ((("Authorization", "Bearer {}"), ("x-jwt", "{}")), ""),
        ((("Authorization", "Bearer {}"), ("x-sub", "forged"), ("x-payload", "forged")), ""),
        ((), ""),
    )
)
_claim_conditions = st.sampled_from(
    (
        {"key": "request.auth.claims[words]", "values": ["y"]},
        {"key": "request.auth.claims[a][b]", "values": ["d*", "x"]},
        {"key": "request.auth.audiences", "notValues": ["shop"]},
        {"key": "request.auth.principal", "values": ["a/ann"]},
        {"key": "request.auth.principal", "notValues": ["*"]},
        {"key": "request.headers[x-sub]", "values": ["ann"]},
        {"key": "request.headers[authorization]", "notValues": ["*"]},
    )
)


@settings(
    max_examples=FUZZ or 40,
    derandomize=not FUZZ,
    deadline=None,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(_rules, min_size=1, max_size=3),
    st.lists(_claim_conditions, max_size=1),
    st.lists(st.tuples(_tokens, _places, st.sampled_from(("GET", "OPTIONS")), _types), min_size=12, max_size=12),
)
def test_prediction_is_what_envoy_does_with_jwts(
    envoy: Lab, drawn: list[dict[str, Any]], conditions: list[Any], sent: list[Any]
) -> None:
    rules = [{**one, "jwks": NONE if one["jwks"] == "none" else jwks(one["jwks"])} for one in drawn]
    objects = [_object("RequestAuthentication", "jwt", {"jwtRules": rules})]
    if conditions:
        spec = {"action": "DENY", "rules": [{"when": conditions}]}
        objects.append(_object("AuthorizationPolicy", "deny", spec))
    gateway = _gateway(envoy, [*objects, *yaml.safe_load_all(TO_BACKEND)], 0)
    envoy.run(envoy.serve(gateway, {"kubernetes://pair": PAIR}))
    assert envoy.rejections == []
    for signed, (headers, query), method, content in sent:
        given = (*((name, value.format(signed)) for name, value in headers), ("content-type", content))
        request = Request(8080, "b.example", "/x" + query.format(signed), method=method, headers=given)
        envoy.run(_agrees(envoy, request, decide(gateway, request, now=NOW)))


_WRITING = {
    "issuer": "b",
    "fromHeaders": [{"name": "x-b"}],
    "outputClaimToHeaders": [{"header": "x-sub", "claim": "sub"}],
}


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("y=a%2Fb%26c%3D%25%23&t={}", ()),
        ("z=1&y=2&y=1&Y=3&=4&&k%2Fk=1+2&%zz&t={}", ()),
        ("t={}&y=%C3%A9%09a", ()),
        ("t={}&y=%01", ()),
        ("t={}&t=x", ()),
        ("%74=x&t={}", ()),
        ("t={}", (("x-sub", "forged"),)),
        ("", (("x-sub", "forged"), ("origin", "https://a"), ("access-control-request-method", "PUT"))),
    ],
)
def test_what_is_left_of_a_request_whose_token_is_taken(envoy: Lab, query: str, headers: tuple[Any, ...]) -> None:
    rules = [{"issuer": "a", "jwks": jwks("secret"), "fromParams": ["t"]}, {**_WRITING, "jwks": jwks("secret")}]
    objects = [_object("RequestAuthentication", "jwt", {"jwtRules": rules}), *yaml.safe_load_all(TO_BACKEND)]
    gateway = _gateway(envoy, objects, 0)
    envoy.run(envoy.serve(gateway, {"kubernetes://pair": PAIR}))
    signed = token({"iss": "a"}, "secret")
    method = "OPTIONS" if len(headers) > 1 else "GET"
    request = Request(8080, "b.example", "/x?" + query.format(signed), method=method, headers=headers)
    envoy.run(_agrees(envoy, request, decide(gateway, request, now=NOW)))


async def _agrees(envoy: Lab, request: Request, decision: Decision) -> None:
    """A worker may take a configuration a moment after it was acknowledged; a wrong prediction never comes true."""
    for attempt in range(20):
        answer = await envoy.send(request)
        found, wanted = _seen(answer), _predicted(decision)
        if found == wanted:
            return
        await asyncio.sleep(0.01 * attempt)
    raise AssertionError(f"{request}\npredicted {wanted}\nfound     {found}\nby {decision.rulings}")


def _predicted(decision: Decision) -> object:
    match decision.outcome:
        case Answered(_, _, _, body, headers, grpc) if grpc is not None:
            return (200, b"", dict(headers).get(CHALLENGE), str(grpc), body.decode() or None)
        case Answered(status, _, _, body, headers):
            return (status, body, dict(headers).get(CHALLENGE), None, None)
        case Closed():
            return "closed"
        case Carried():
            return "carried"
        case Forwarded((one,)):
            return (one.target, {name: value for name, value in one.headers if name in COMPARED})
        case other:
            raise AssertionError(other)


def _seen(answer: Answer | None) -> object:
    if answer is None:
        return "closed"
    if answer.headers.get("server") != "istio-envoy":
        return "carried"
    if "x-envoy-upstream-service-time" in answer.headers:
        described = answer.seen
        return (described["target"], {name: value for name, value in described["headers"].items() if name in COMPARED})
    told = [answer.headers.get(name) for name in (CHALLENGE, "grpc-status", "grpc-message")]
    return (answer.status, answer.body, *told)


def _object(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "istio-system"}
    return {"apiVersion": "security.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _policy(index: int, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": f"p{index}", "namespace": "istio-system", "annotations": spec.get("annotations", {})}
    rest = {name: value for name, value in spec.items() if name != "annotations"}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": metadata,
        "spec": rest,
    }


def _gateway(envoy: Lab, objects: list[dict[str, Any]], hops: int) -> Gateway:
    service, endpoints = backend("default/a", {"tcp": 80})
    endpoints["endpoints"], endpoints["ports"] = (
        [{"addresses": ["127.0.0.1"]}],
        [{"name": "tcp", "port": envoy.backends[0]}],
    )
    manifests = [
        *(yaml.safe_load(text) for text in (GATEWAY_POD, GATEWAY_SERVICE)),
        *yaml.safe_load_all(POLICED),
        *objects,
        service,
        endpoints,
    ]
    config = {"defaultConfig": {"gatewayTopology": {"numTrustedProxies": hops}}}
    return Case("", manifests, mesh(config), {}).build().gateway
