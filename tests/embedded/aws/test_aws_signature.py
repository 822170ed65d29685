"""Signatures, held against botocore's: whatever it signs is accepted, and any change to it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.embedded.aws import signature
from lockgate.embedded.aws.protocol import HttpRequest, Refusal

ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SECRETS = {ID: SECRET}

text = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
segments = st.lists(text, max_size=4).map(lambda parts: "/" + "/".join(quote(part, safe="~") for part in parts))
queries = st.lists(st.tuples(text.filter(bool), text), max_size=4).map(
    lambda pairs: "&".join(f"{quote(key, safe='~')}={quote(value, safe='~')}" for key, value in pairs)
)
header_values = st.text(st.sampled_from("abc xyz,;=/"), max_size=20)


def _signed(auth: object, method: str, path: str, query: str, body: bytes, header: str) -> HttpRequest:
    url = f"http://127.0.0.1:4566{path}" + (f"?{query}" if query else "")
    request = AWSRequest(
        method=method, url=url, data=body, headers={"X-Amz-Meta-Own": header, "Host": "127.0.0.1:4566"}
    )
    auth.add_auth(request)  # type: ignore[attr-defined]
    parts = urlsplit(request.url)
    headers = tuple((key.lower(), value) for key, value in request.headers.items())
    return HttpRequest(method, parts.path, parts.query, headers, body)


def _verify(request: HttpRequest) -> None:
    scope = signature.scope(request)
    assert scope is not None
    signature.verify(request, scope, SECRETS, datetime.now(UTC))


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


@pytest.mark.parametrize(
    "change",
    [
        {"method": "DELETE"},
        {"path": "/2013-04-01/hostedzone/Z2"},
        {"query": "name=b"},
        {"body": b"other"},
    ],
)
def test_what_was_changed_on_the_way_is_not(change: dict[str, object]) -> None:
    from dataclasses import replace

    auth = SigV4Auth(Credentials(ID, SECRET), "route53", "us-east-1")
    request = _signed(auth, "POST", "/2013-04-01/hostedzone/Z1", "name=a", b"body", "own")
    _verify(request)
    with pytest.raises(Refusal) as refused:
        _verify(replace(request, **change))  # type: ignore[arg-type]
    assert refused.value.code == "SignatureDoesNotMatch"


def test_a_signed_header_cannot_be_replaced() -> None:
    from dataclasses import replace

    auth = SigV4Auth(Credentials(ID, SECRET), "acm", "us-east-1")
    request = _signed(auth, "POST", "/", "", b"{}", "own")
    headers = tuple((key, "forged" if key == "x-amz-meta-own" else value) for key, value in request.headers)
    with pytest.raises(Refusal):
        _verify(replace(request, headers=headers))


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
    scope = signature.scope(request)
    assert scope is not None
    with pytest.raises(Refusal) as refused:
        signature.verify(request, scope, SECRETS, now + timedelta(seconds=601))
    assert (refused.value.code, refused.value.message) == ("AccessDenied", "Request has expired")
