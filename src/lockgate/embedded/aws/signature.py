"""Signature Version 4, checked: in the Authorization header, or in the query of a presigned URL.

Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from lockgate.embedded.aws.protocol import HttpRequest, Refusal

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request says of itself: whose key signed it, and for which region and service."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    time: str
    presigned: bool

    @property
    def credential(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def scope(request: HttpRequest) -> Scope | None:
    """None for a request that is not signed. Raises `Refusal` for a signature that does not parse."""
    authorization = request.header("authorization")
    if authorization.startswith("AWS4-HMAC-SHA256"):
        fields = {
            name.strip(): value.strip()
            for name, _, value in (part.partition("=") for part in authorization[16:].split(","))
        }
        presigned = False
    elif "X-Amz-Signature=" in request.query:
        query = dict(_pairs(request.query))
        fields = {name: unquote(query.get(f"X-Amz-{name}", "")) for name in ("Credential", "SignedHeaders")}
        fields["Signature"] = query.get("X-Amz-Signature", "")
        presigned = True
    elif authorization:
        raise Refusal("IncompleteSignature", "Authorization header requires the AWS4-HMAC-SHA256 algorithm.", 400)
    else:
        return None
    credential = fields.get("Credential", "").split("/")
    if len(credential) != 5 or not fields.get("SignedHeaders") or not fields.get("Signature"):
        raise Refusal(
            "IncompleteSignature",
            "Authorization header requires 'Credential', 'Signature' and 'SignedHeaders' parameters.",
            400,
        )
    time = request.header("x-amz-date")
    if presigned:
        time = unquote(dict(_pairs(request.query)).get("X-Amz-Date", ""))
    return Scope(
        access_key_id=credential[0],
        date=credential[1],
        region=credential[2],
        service=credential[3],
        signed_headers=tuple(fields["SignedHeaders"].split(";")),
        signature=fields["Signature"],
        time=time,
        presigned=presigned,
    )


def verify(request: HttpRequest, signed: Scope, secrets: Mapping[str, str], now: datetime) -> None:
    """Raises `Refusal` for a key that is not in `secrets` (id to secret), for a signature made with another one, and
    for a presigned request that is asked for too late."""
    secret = secrets.get(signed.access_key_id)
    if secret is None:
        raise Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    expected = hmac.new(_key(secret, signed), _string_to_sign(request, signed), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signed.signature):
        raise Refusal("SignatureDoesNotMatch", MISMATCH, 403)
    if signed.presigned and _is_over(request, signed, now):
        raise Refusal("AccessDenied", "Request has expired", 403)


def presigned(endpoint: str, path: str, region: str, access_key: tuple[str, str], now: datetime, seconds: int) -> str:
    """The URL under which S3 gives the object at `path` (``/bucket/key``, encoded) to anybody for so long.

    Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".
    """
    time = now.strftime(_TIME)
    signed = Scope(access_key[0], time[:8], region, "s3", ("host",), "", time, True)
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(f'{access_key[0]}/{signed.credential}', safe='')}"
        f"&X-Amz-Date={time}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host"
    )
    host = endpoint.partition("://")[2]
    text = _string_to_sign(HttpRequest("GET", path, query, (("host", host),), b""), signed)
    signature = hmac.new(_key(access_key[1], signed), text, hashlib.sha256).hexdigest()
    return f"{endpoint}{path}?{query}&X-Amz-Signature={signature}"


_TIME = "%Y%m%dT%H%M%SZ"


def _is_over(request: HttpRequest, signed: Scope, now: datetime) -> bool:
    try:
        began = datetime.strptime(signed.time, _TIME).replace(tzinfo=UTC)
        return now > began + timedelta(seconds=int(dict(_pairs(request.query)).get("X-Amz-Expires", "")))
    except (ValueError, OverflowError):
        return True


def _key(secret: str, signed: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (signed.date, signed.region, signed.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _string_to_sign(request: HttpRequest, signed: Scope) -> bytes:
    digest = hashlib.sha256(_canonical(request, signed)).hexdigest()
    return f"AWS4-HMAC-SHA256\n{signed.time}\n{signed.credential}\n{digest}".encode()


def _canonical(request: HttpRequest, signed: Scope) -> bytes:
    headers = "".join(
        f"{name}:{','.join(' '.join(value.split()) for key, value in request.headers if key == name)}\n"
        for name in signed.signed_headers
    )
    pairs = sorted(pair for pair in _pairs(request.query) if pair[0] != "X-Amz-Signature")
    return "\n".join(
        (
            request.method,
            request.path if signed.service == "s3" else _path(request.path),
            "&".join(f"{name}={value}" for name, value in pairs),
            headers,
            ";".join(signed.signed_headers),
            _payload(request, signed),
        )
    ).encode()


def _payload(request: HttpRequest, signed: Scope) -> str:
    """The body's hash; S3 allows to leave it out."""
    unsigned = "UNSIGNED-PAYLOAD"
    if signed.service == "s3" and (signed.presigned or request.header("x-amz-content-sha256") == unsigned):
        return unsigned
    return hashlib.sha256(request.body).hexdigest()


def _path(path: str) -> str:
    """Every service but S3 signs the path as sent, tidied and encoded once more."""
    tidy = posixpath.normpath(path or "/").replace("//", "/")
    if path.endswith("/") and not tidy.endswith("/"):
        tidy += "/"
    return quote(tidy, safe="/~")


def _pairs(query: str) -> list[tuple[str, str]]:
    if not query:
        return []
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]


def issued(body: bytes) -> dict[str, str]:
    """The temporary access key in an answer of STS: id to secret."""
    found = re.search(rb"<AccessKeyId>([^<]+)</AccessKeyId>\s*<SecretAccessKey>([^<]+)</SecretAccessKey>", body)
    return {found[1].decode(): found[2].decode()} if found else {}
