"""Signatures, held against botocore's: whatever it signs is accepted, and any change to it is not.

What is refused, and in which service's words, is in `tests/cases/aws/signatures.yaml`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import yaml
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.embedded.aws import signature
from lockgate.embedded.aws.credentials import AccessKey
from lockgate.embedded.aws.protocol import HttpRequest, Refusal

ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
LENT, TOKEN = "ASIAIOSFODNN7EXAMPLE", "a session token"
USER = "arn:aws:iam::123456789012:user/u"
REGIONS = frozenset({"us-east-1", "eu-west-1"})

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
segments = st.lists(text, max_size=4).map(lambda parts: "/" + "/".join(quote(part, safe="~") for part in parts))
queries = st.lists(st.tuples(text.filter(bool), text), max_size=4).map(
    lambda pairs: "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in pairs)
)
header_values = st.text(st.sampled_from("abc xyz,;=/"), max_size=20)


def _keys(now: datetime) -> dict[str, AccessKey]:
    return {
        ID: AccessKey(ID, SECRET, USER, "AIDA"),
        LENT: AccessKey(LENT, SECRET, USER, "AIDA", TOKEN, now + timedelta(hours=1)),
        "ASIAOVER": AccessKey("ASIAOVER", SECRET, USER, "AIDA", TOKEN, now - timedelta(seconds=1)),
    }


def _signed(auth: object, method: str, path: str, query: str, body: bytes, header: str) -> HttpRequest:
    url = f"http://127.0.0.1:4566{path}" + (f"?{query}" if query else "")
    request = AWSRequest(
        method=method, url=url, data=body, headers={"X-Amz-Meta-Own": header, "Host": "127.0.0.1:4566"}
    )
    auth.add_auth(request)  # type: ignore[attr-defined]
    parts = urlsplit(request.url)
    headers = tuple((key.lower(), value) for key, value in request.headers.items())
    return HttpRequest(method, parts.path, parts.query, headers, body)


def _verify(request: HttpRequest, now: datetime | None = None) -> AccessKey:
    now = now or datetime.now(UTC)
    scope = signature.scope(request)
    assert scope is not None
    return signature.verify(request, scope, _keys(now), now, REGIONS)


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=segments,
    query=queries,
    body=st.binary(max_size=50),
    header=header_values,
)
def test_what_botocore_signs_is_accepted(method: str, path: str, query: str, body: bytes, header: str) -> None:
    credentials = Credentials(ID, SECRET)
    _verify(_signed(SigV4Auth(credentials, "route53", "us-east-1"), method, path, query, body, header))
    _verify(_signed(S3SigV4Auth(credentials, "s3", "us-east-1"), method, path, query, body, header))
    presigned = _signed(SigV4QueryAuth(credentials, "sts", "us-east-1"), "GET", path, query, b"", header)
    _verify(presigned)
    lent = Credentials(LENT, SECRET, TOKEN)
    assert _verify(_signed(SigV4Auth(lent, "acm", "eu-west-1"), method, path, query, body, header)).id == LENT
    _verify(_signed(S3SigV4QueryAuth(lent, "s3", "us-east-1", 600), "GET", path, query, b"", header))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"path": "/2013-04-01/hostedzone/Z2"},
        {"query": "name=b"},
        {"body": b"other"},
    ],
)
def test_a_modified_request_is_refused(change: dict[str, Any]) -> None:
    auth = SigV4Auth(Credentials(ID, SECRET), "route53", "us-east-1")
    request = _signed(auth, "POST", "/2013-04-01/hostedzone/Z1", "name=a", b"body", "own")
    _verify(request)
    with pytest.raises(Refusal) as refused:
        _verify(replace(request, **change))
    assert refused.value.code == "SignatureDoesNotMatch"


ROWS = yaml.safe_load((Path(__file__).parents[2] / "cases/aws/signatures.yaml").read_text())


@pytest.mark.parametrize("row", ROWS, ids=[row["case"] for row in ROWS])
def test_what_is_refused(row: dict[str, Any]) -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    request = _made(row, now)
    with pytest.raises(Refusal) as refused:
        _verify(request, now + timedelta(seconds=row.get("later", 0)))
    assert {"status": refused.value.status, "code": refused.value.code} == {
        "status": row["status"],
        "code": row["code"],
    }
    assert refused.value.message.startswith(row.get("message", ""))


@pytest.mark.parametrize("service", ["acm", "ec2", "s3", "sts"])
@pytest.mark.parametrize("presigned", [{}, None])
@pytest.mark.parametrize(("key", "token"), [(ID, ""), (LENT, TOKEN)])
def test_without_that_change_it_is_accepted(service: str, presigned: Any, key: str, token: str) -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    row = {"service": service, "key": key, "token": token} | ({} if presigned is None else {"presigned": presigned})
    for later in (-899, 0, 59 if presigned is not None else 899):
        _verify(_made(row, now), now + timedelta(seconds=later))


def _made(row: dict[str, Any], now: datetime) -> HttpRequest:
    """A request that is right but for what the row changes; signed by our own side, whose time can be chosen."""
    service, region = row.get("service", "sts"), row.get("region", "us-east-1")
    key, token = row.get("key", ID), row.get("token", "")
    time = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": "127.0.0.1:4566", "x-amz-date": time}
    presigned: dict[str, str] | None = row.get("presigned")
    signed = tuple(row.get("signed", ["host"] if presigned is not None else ["host", "x-amz-date"]))
    if service == "s3" and presigned is None:
        headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
        signed = (*signed, "x-amz-content-sha256")
    if token and presigned is None:
        headers["x-amz-security-token"] = token
        signed = (*signed, "x-amz-security-token")
    headers |= row.get("headers", {})
    scope = signature.Scope(key, row.get("date", time[:8]), region, service, signed, "", headers["x-amz-date"])
    credential = f"{key}/{scope.credential}"
    query = ""
    if presigned is not None:
        del headers["x-amz-date"]
        parts = {
            "X-Amz-Algorithm": signature.ALGORITHM,
            "X-Amz-Credential": credential,
            "X-Amz-Date": time,
            "X-Amz-Expires": "60",
            "X-Amz-SignedHeaders": ";".join(signed),
        } | ({"X-Amz-Security-Token": token} if token else {})
        parts |= {name: value for name, value in presigned.items() if value is not None}
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in parts.items() if name not in _gone(row))
        scope = replace(scope, lifetime=60)
    request = HttpRequest("POST", "/", query, tuple(headers.items()), b"Action=GetCallerIdentity")
    made = signature.sign(request, scope, SECRET)
    if presigned is not None:
        return replace(request, query=f"{query}&X-Amz-Signature={made}")
    authorization = row.get(
        "authorization", f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={';'.join(signed)}, Signature={made}"
    )
    dropped = row.get("dropped", ())
    kept = tuple((name, value) for name, value in headers.items() if name not in dropped)
    return replace(request, headers=(*kept, ("authorization", authorization)))


def _gone(row: dict[str, Any]) -> set[str]:
    return {name for name, value in row["presigned"].items() if value is None}


def test_a_presigned_url_is_as_botocore_makes_it_and_ends() -> None:
    now = datetime.now(UTC)
    url = signature.presigned("http://127.0.0.1:4566", "/bucket/a%20key", "us-east-1", (ID, SECRET), now, 600)
    parts = urlsplit(url)
    request = HttpRequest("GET", parts.path, parts.query, (("host", "127.0.0.1:4566"),), b"")
    _verify(request)
    again = AWSRequest(method="GET", url="http://127.0.0.1:4566/bucket/a%20key")
    S3SigV4QueryAuth(Credentials(ID, SECRET), "s3", "us-east-1", 600).add_auth(again)
    if again.context["timestamp"] == now.strftime("%Y%m%dT%H%M%SZ"):
        assert sorted(urlsplit(again.url).query.split("&")) == sorted(parts.query.split("&"))
    with pytest.raises(Refusal) as refused:
        _verify(request, now + timedelta(seconds=601))
    assert (refused.value.code, refused.value.message) == ("AccessDenied", "Request has expired")
