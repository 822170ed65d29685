"""Whatever a client sends to the AWS API, signed or not, it answers in the protocol of the service, and never with 5xx.

Requests are made from botocore's models: an operation, and input of its shape with odd values in it.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from lockgate.embedded.aws import front, protocol, signature
from lockgate.embedded.aws.account import Account
from lockgate.embedded.aws.credentials import AccessKeys
from lockgate.embedded.aws.protocol import HttpRequest
from lockgate.embedded.service_accounts import ServiceAccountTokens
from tests.fuzz.fuzzing import fuzz, mutated, odd_scalars, odd_texts, odd_values

ACCOUNT, REGION = "123456789012", "us-east-1"
KEY, SECRET = "AKIATESTTESTTESTTEST", "a secret for tests"
SIGNED_AS = {"elbv2": "elasticloadbalancing"}
SERVICES = ("acm", "cognito-idp", "ec2", "elbv2", "route53", "shield", "sts", "wafv2")
# What an EC2 of these tests has: the rest of its 700 operations is moto's own business.
EC2 = ("DescribeVpcs", "DescribeSubnets", "DescribeSecurityGroups", "CreateSecurityGroup", "CreateTags", "DeleteTags",
       "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress", "DescribeInstances", "DescribeAvailabilityZones",
       "DescribeTags", "CreateSubnet", "CreateVpc", "AllocateAddress", "DescribeAddresses", "DescribeRegions",
       "DescribeInternetGateways", "DescribeRouteTables", "DescribeNetworkInterfaces",
       "DeleteSecurityGroup")  # fmt: skip


@cache
def account() -> Account:
    """One for all: what an example leaves behind, the next has to cope with."""
    keys = AccessKeys()
    keys.allow(KEY, SECRET, ACCOUNT)
    return Account(
        ACCOUNT,
        REGION,
        presign=lambda path: path,
        keys=keys,
        tokens=ServiceAccountTokens(),
        quotas={},
        cluster=lambda: None,
        is_endpoint=lambda address, port: address == "127.0.0.1" and port == 80,
    )


def _operations(service: str) -> list[str]:
    names = list(protocol.model(service).operation_names)
    return [name for name in names if name in EC2] if service == "ec2" else names


@st.composite
def values(draw: st.DrawFn, shape: Any, depth: int = 0) -> Any:
    """Of the shape's type, more or less."""
    if draw(st.integers(0, 24)) == 0:
        return draw(odd_values)
    match shape.type_name:
        case "structure":
            chosen = {}
            for name, member in shape.members.items():
                needed = name in shape.required_members
                if draw(st.integers(0, 9)) < (9 if needed else 2) and (depth < 6 or needed) and depth < 12:
                    chosen[name] = draw(values(member, depth + 1))
            return chosen
        case "list":
            return [draw(values(shape.member, depth + 1)) for _ in range(draw(st.integers(0, 2)))]
        case "map":
            keys = draw(st.lists(odd_texts, max_size=2))
            return {key: draw(values(shape.value, depth + 1)) for key in keys}
        case "string":
            allowed = shape.metadata.get("enum")
            if allowed and draw(st.integers(0, 9)):
                return draw(st.sampled_from(sorted(allowed)))
            return draw(st.sampled_from(KNOWN) | odd_texts)
        case "boolean":
            return draw(st.booleans())
        case "blob":
            return draw(st.sampled_from(["", "eA==", "x"]) | odd_texts)
        case "timestamp":
            return draw(st.sampled_from([0, 1700000000, "2026-01-01T00:00:00Z", -1, 1e400 if depth < 0 else 10**12]))
        case _:
            return draw(st.integers(-1, 2000) | odd_scalars)


KNOWN = (
    "a", "web", "REGIONAL", "vpc-1", "10.0.0.1", "10.0.0.0/16", "example.com", "example.com.", "*.example.com", "/a*",
    f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/a/0123456789abcdef",
    f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/a", f"arn:aws:iam::{ACCOUNT}:role/dns", "Z0123456789ABCDEFGHIJ",
    f"{REGION}_abcdefghi", "sg-1", "subnet-1", "A", "TXT", "CREATE", "http", "HTTP", "443", "us-east-1a",
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.AAAA",
)  # fmt: skip


def _flat(value: Any, prefix: str, ec2: bool) -> list[tuple[str, str]]:
    """As the query protocol spells members, more or less."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in _flat(item, f"{prefix}.{key}" if prefix else key, ec2)]
    if isinstance(value, list):
        part = "" if ec2 else ".member"
        return [pair for at, item in enumerate(value, 1) for pair in _flat(item, f"{prefix}{part}.{at}", ec2)]
    return [(prefix, str(value))]


@st.composite
def requests(draw: st.DrawFn) -> HttpRequest:
    service = draw(st.sampled_from(SERVICES))
    spoken = protocol.model(service)
    name = draw(st.sampled_from(_operations(service)))
    shape = spoken.operation_model(name).input_shape
    given = draw(values(shape)) if shape is not None else {}
    given = given if isinstance(given, dict) else {}
    method, path, query, headers, body = "POST", "/", "", {}, b""
    match str(spoken.resolved_protocol):
        case "json":
            headers["content-type"] = "application/x-amz-json-1.1"
            headers["x-amz-target"] = f"{spoken.metadata['targetPrefix']}.{name}"
            body = json.dumps(draw(mutated(given)) if draw(st.integers(0, 3)) == 0 else given).encode()
        case "rest-xml":
            route = spoken.operation_model(name).http
            method = route["method"]
            path = _route(draw, route["requestUri"].partition("?")[0])
            query = draw(st.sampled_from(["", "maxitems=1", "name=a&type=A", "maxitems=\ud7ff", "marker=%00"]))
            body = _xml(name, given).encode("utf-8", "replace") if method != "GET" else b""
        case kind:
            headers["content-type"] = "application/x-www-form-urlencoded"
            pairs = [("Action", name), ("Version", spoken.api_version), *_flat(given, "", kind == "ec2")]
            body = "&".join(f"{_quoted(key)}={_quoted(value)}" for key, value in pairs).encode()
    if draw(st.integers(0, 19)) == 0:
        body = body[: len(body) // 2] if draw(st.booleans()) else draw(st.binary(max_size=50))
    return signed(service, method, path, query, headers, body)


def _route(draw: st.DrawFn, pattern: str) -> str:
    parts = [
        quote(draw(st.sampled_from(["Z0123456789ABCDEFGHIJ", "a"]) | odd_texts).encode("utf-8", "replace"), safe="")
        if part.startswith("{")
        else part
        for part in pattern.split("/")
    ]
    return "/".join(parts)


def _xml(name: str, value: Any) -> str:
    def element(key: str, item: Any) -> str:
        if isinstance(item, dict):
            return f"<{key}>{''.join(element(each, inner) for each, inner in item.items())}</{key}>"
        if isinstance(item, list):
            return f"<{key}>{''.join(element(key.removesuffix('s'), inner) for inner in item)}</{key}>"
        return f"<{key}>{item}</{key}>"

    inner = "".join(element(key, item) for key, item in value.items())
    return f'<{name}Request xmlns="https://route53.amazonaws.com/doc/2013-04-01/">{inner}</{name}Request>'


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "replace"), safe="")


def signed(
    service: str,
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    *,
    now: datetime | None = None,
) -> HttpRequest:
    now = now or datetime.now(UTC)
    time = now.strftime("%Y%m%dT%H%M%SZ")
    given = {"host": "127.0.0.1", "x-amz-date": time, **headers}
    names = tuple(sorted(given))
    scope = signature.Scope(KEY, time[:8], REGION, SIGNED_AS.get(service, service), names, "", time)
    request = HttpRequest(method, path, query, tuple(given.items()), body)
    made = signature.sign(request, scope, SECRET)
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY}/{scope.credential}, SignedHeaders={';'.join(names)}, Signature={made}"
    )
    return HttpRequest(method, path, query, (*request.headers, ("authorization", authorization)), body)


def check(request: HttpRequest, done: front.Done) -> None:
    answer = done.answer
    shown = (request.method, request.path, request.query, request.headers[:4], request.body, answer.body[:500])
    assert answer.status < 500 or b"not served here" in answer.body, shown
    kind = dict(answer.headers).get("content-type", "")
    if "json" in kind:
        json.loads(answer.body or b"{}")
    elif "xml" in kind and answer.body:
        ET.fromstring(answer.body)
    for name, value in answer.headers:
        assert not any(ord(sign) < 32 or ord(sign) == 127 for sign in name + value), shown


@fuzz(200)
@given(request=requests())
def test_every_signed_request_has_an_answer(request: HttpRequest) -> None:
    check(request, front.perform(account(), request))


PARTS = st.sampled_from(
    ["AWS4-HMAC-SHA256", "Credential=", f"{KEY}/20260301/us-east-1/sts/aws4_request", "SignedHeaders=",
     "host;x-amz-date", "Signature=", "0" * 64, ", ", ",", "=", "/", "X-Amz-Signature=", "X-Amz-Credential=",
     "X-Amz-Date=20260301T000000Z", "X-Amz-Expires=60", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-SignedHeaders=host",
     "&", "%2F", "%00", "é", "\ud7ff", "²", "sts", "s3", "Bearer x"]
)  # fmt: skip
LINES = st.lists(PARTS | odd_texts, max_size=8).map("".join)


@fuzz(400)
@given(
    query=LINES,
    authorization=LINES,
    path=odd_texts,
    extra=st.dictionaries(st.sampled_from(["x-amz-date", "date", "x-amz-security-token", "host", "x-amz-target",
                                           "x-amz-content-sha256", "content-type"]), odd_texts, max_size=4),
    body=st.sampled_from([b"", b"Action=GetCallerIdentity&Version=2011-06-15", b"{}", b"\xff"])
    | st.binary(max_size=30),
)  # fmt: skip
def test_no_other_request_gets_further_than_a_refusal(
    query: str, authorization: str, path: str, extra: dict[str, str], body: bytes
) -> None:
    """Nobody guesses a signature."""
    headers = [*extra.items(), *([("authorization", authorization)] if authorization else [])]
    request = HttpRequest("POST", path, query, tuple(headers), body)
    done = front.perform(account(), request)
    assert 400 <= done.answer.status < 500, (request, done.answer.body)
    assert b"Arn>" not in done.answer.body
    check(request, done)
