"""Verifies Signature Version 4, in the Authorization header or in the query of a presigned URL.

A request is accepted if a key of this account has signed it, for its service and region, within the last 15 minutes,
and if all headers that affect its meaning are signed. A presigned URL has its own lifetime.

Sources: AWS IAM User Guide, "Create a signed AWS API request"; Amazon S3 API Reference, "Authenticating Requests".
"""

from __future__ import annotations

import hashlib
import hmac
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote

from lockgate.embedded.aws.credentials import AccessKey
from lockgate.embedded.aws.denials import Cause, refusal
from lockgate.embedded.aws.protocol import HttpRequest, Refusal

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = timedelta(minutes=15)
LONGEST = 604_800  # s, the longest lifetime of a presigned URL

_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_VERSION_2 = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
_TIME = "%Y%m%dT%H%M%SZ"
_UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Scope:
    """A request's claims: the key that signed it, the region and the service. `lifetime` is that of a presigned URL in
    seconds, and None for a signature in the header."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    time: str
    session_token: str = ""
    lifetime: int | None = None

    @property
    def credential(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def presigned(self) -> bool:
        return self.lifetime is not None


def scope(request: HttpRequest) -> Scope | None:
    """None for an unsigned request. Raises `Refusal` for a signature that does not parse."""
    authorization = request.header("authorization")
    query = _parameters(request)
    if authorization and "X-Amz-Signature" in query:
        raise refusal(
            _service_of(query.get("X-Amz-Credential", "")), Cause.BAD_QUERY, "Only one auth mechanism allowed"
        )
    if authorization.startswith(ALGORITHM):
        return _of_header(request, authorization)
    if authorization.startswith("AWS ") or "AWSAccessKeyId" in query:
        raise Refusal("InvalidRequest", _VERSION_2)
    if authorization:
        raise refusal("", Cause.INCOMPLETE, f"Unsupported AWS 'algorithm': '{authorization.split(' ')[0][:32]}'.")
    return _of_query(query) if "X-Amz-Signature" in query else None


def verify(
    request: HttpRequest,
    signed: Scope,
    keys: Mapping[str, AccessKey],
    now: datetime,
    regions: Collection[str] | None = None,
) -> AccessKey:
    """The key that signed the request, for one of `regions` (None: any). Raises `Refusal`."""
    service = signed.service
    key = keys.get(signed.access_key_id)
    if key is None:
        raise refusal(service, Cause.UNKNOWN_KEY)
    _check_time(signed, now)
    for name in _unsigned(request, signed):
        raise refusal(service, Cause.NOT_SIGNED, f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    _check_payload(request, signed)
    # As bytes, because `compare_digest` accepts only ASCII strings.
    if not hmac.compare_digest(sign(request, signed, key.secret).encode(), signed.signature.encode("utf-8", "replace")):
        raise refusal(service, Cause.MISMATCH, _MISMATCH)
    if regions is not None and signed.region not in regions:
        raise refusal(service, Cause.MISMATCH, "Credential should be scoped to a valid region.")
    _check_session(signed, key, now)
    return key


def sign(request: HttpRequest, scope: Scope, secret: str) -> str:
    """The signature of a request that is otherwise complete."""
    return hmac.new(_key(secret, scope), _string_to_sign(request, scope), hashlib.sha256).hexdigest()


def presigned(endpoint: str, path: str, region: str, access_key: tuple[str, str], now: datetime, seconds: int) -> str:
    """A URL with which anyone can read the S3 object at `path` (``/bucket/key``, encoded) for `seconds`.

    Source: Amazon S3 API reference, "Authenticating Requests: Using Query Parameters".
    """
    time = now.strftime(_TIME)
    signed = Scope(access_key[0], time[:8], region, "s3", ("host",), "", time, lifetime=seconds)
    query = (
        f"X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={quote(f'{access_key[0]}/{signed.credential}', safe='')}"
        f"&X-Amz-Date={time}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host"
    )
    host = endpoint.partition("://")[2]
    signature = sign(HttpRequest("GET", path, query, (("host", host),), b""), signed, access_key[1])
    return f"{endpoint}{path}?{query}&X-Amz-Signature={signature}"


# --- parse --------------------------------------------------------------------------------------------------------


def _of_header(request: HttpRequest, authorization: str) -> Scope:
    fields: dict[str, str] = {}
    for part in authorization[len(ALGORITHM) :].split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    service = _service_of(fields.get("Credential", ""))
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not fields.get(name)]
    if missing:
        texts = [f"Authorization header requires '{name}' parameter." for name in missing]
        raise refusal(service, Cause.INCOMPLETE, " ".join(texts))
    time = _time_of(request)
    if time is None:
        text = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        raise refusal(service, Cause.INCOMPLETE, text)
    return _scope(fields, Cause.INCOMPLETE, time, request.header("x-amz-security-token"), None)


def _of_query(query: Mapping[str, str]) -> Scope:
    service = _service_of(query.get("X-Amz-Credential", ""))
    for name in ("Algorithm", "Credential", "SignedHeaders", "Signature", "Date", "Expires"):
        if not query.get(f"X-Amz-{name}"):
            text = f"Query-string authentication version 4 requires the X-Amz-{name} parameter."
            raise refusal(service, Cause.BAD_QUERY, text)
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise refusal(service, Cause.BAD_QUERY, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    expires = query["X-Amz-Expires"]
    if not re.fullmatch("[0-9]{1,9}", expires):
        raise refusal(service, Cause.BAD_QUERY, "X-Amz-Expires should be a number")
    if int(expires) > LONGEST:
        text = (
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{LONGEST} seconds"
        )
        raise refusal(service, Cause.BAD_QUERY, text)
    fields = {name: query[f"X-Amz-{name}"] for name in ("Credential", "SignedHeaders", "Signature")}
    return _scope(fields, Cause.BAD_QUERY, query["X-Amz-Date"], query.get("X-Amz-Security-Token", ""), int(expires))


def _scope(fields: Mapping[str, str], cause: Cause, time: str, session_token: str, lifetime: int | None) -> Scope:
    parts = fields["Credential"].split("/")
    service = _service_of(fields["Credential"])
    if len(parts) < 5:
        text = f"Credential must have at least 5 slash-delimited elements, got: {len(parts)}"
        raise refusal(service, cause, text)
    if parts[-1] != "aws4_request":
        text = f"Credential should be scoped with a valid terminator: 'aws4_request', not '{parts[-1]}'."
        raise refusal(service, cause, text)
    return Scope(
        access_key_id="/".join(parts[:-4]),
        date=parts[-4],
        region=parts[-3],
        service=service,
        signed_headers=tuple(fields["SignedHeaders"].lower().split(";")),
        signature=fields["Signature"],
        time=time,
        session_token=session_token,
        lifetime=lifetime,
    )


def _service_of(credential: str) -> str:
    parts = credential.split("/")
    return parts[-2] if len(parts) > 4 else ""


def _time_of(request: HttpRequest) -> str | None:
    """The signed time, in the form of ``X-Amz-Date``."""
    if time := request.header("x-amz-date"):
        return time
    date = request.header("date")
    if not date:
        return None
    try:
        return parsedate_to_datetime(date).astimezone(UTC).strftime(_TIME)
    except (ValueError, OverflowError):
        return date


# --- check --------------------------------------------------------------------------------------------------------


def _check_time(signed: Scope, now: datetime) -> None:
    cause = Cause.BAD_QUERY if signed.presigned else Cause.INCOMPLETE
    try:
        time = datetime.strptime(signed.time, _TIME).replace(tzinfo=UTC)
    except ValueError:
        text = (
            f"Date must be in ISO-8601 'basic format'. Got '{signed.time}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )
        raise refusal(signed.service, cause, text) from None
    if signed.date != signed.time[:8]:
        text = (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{signed.date}' != '{signed.time[:8]}', from '{signed.time}'."
        )
        raise refusal(signed.service, Cause.MISMATCH, text)
    at = now.strftime(_TIME)
    if time > now + SKEW:
        limit = (now + SKEW).strftime(_TIME)
        text = f"Signature not yet current: {signed.time} is still later than {limit} ({at} + 15 min.)"
        raise refusal(signed.service, Cause.SKEWED, text)
    if signed.lifetime is not None:
        if now > time + timedelta(seconds=signed.lifetime):
            limit = (time + timedelta(seconds=signed.lifetime)).strftime(_TIME)
            raise refusal(signed.service, Cause.OVER, f"Signature expired: {at} is now later than {limit}")
    elif time < now - SKEW:
        limit = (now - SKEW).strftime(_TIME)
        text = f"Signature expired: {signed.time} is now earlier than {limit} ({at} - 15 min.)"
        raise refusal(signed.service, Cause.SKEWED, text)


def _unsigned(request: HttpRequest, signed: Scope) -> Iterator[str]:
    """Unsigned headers that affect what a request does or where it goes."""
    if "host" not in signed.signed_headers:
        yield "Host"
    for name, _ in request.headers:
        if name.startswith("x-amz-") and name not in signed.signed_headers:
            yield name


def _check_payload(request: HttpRequest, signed: Scope) -> None:
    """S3 requires the header with the body's hash, whose value may be UNSIGNED-PAYLOAD. Other services ignore it."""
    if signed.service != "s3":
        return
    said = request.header("x-amz-content-sha256")
    if not said:
        if not signed.presigned:
            raise Refusal("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    elif said.startswith("STREAMING-"):
        text = "A header you provided implies functionality that is not implemented: bodies in signed chunks"
        raise Refusal("NotImplemented", text, 501)
    elif said == _UNSIGNED_PAYLOAD:
        return
    elif not _HASH.fullmatch(said):
        text = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value."
        raise Refusal("InvalidArgument", text)
    elif said != hashlib.sha256(request.body).hexdigest():
        text = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise Refusal("XAmzContentSHA256Mismatch", text)


def _check_session(signed: Scope, key: AccessKey, now: datetime) -> None:
    """Temporary keys require their session token, and expire. Permanent ones have none."""
    if not hmac.compare_digest((key.session_token or "").encode(), signed.session_token.encode("utf-8", "replace")):
        raise refusal(signed.service, Cause.BAD_TOKEN)
    if key.expires is not None and now >= key.expires:
        raise refusal(signed.service, Cause.EXPIRED_TOKEN)


# --- sign ---------------------------------------------------------------------------------------------------------


def _key(secret: str, signed: Scope) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (signed.date, signed.region, signed.service, "aws4_request"):
        key = hmac.new(key, part.encode("utf-8", "replace"), hashlib.sha256).digest()
    return key


def _string_to_sign(request: HttpRequest, signed: Scope) -> bytes:
    digest = hashlib.sha256(_canonical(request, signed)).hexdigest()
    return f"{ALGORITHM}\n{signed.time}\n{signed.credential}\n{digest}".encode("utf-8", "replace")


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
    ).encode("latin-1", "replace")  # the bytes of the wire: see `HttpRequest`


def _payload(request: HttpRequest, signed: Scope) -> str:
    if signed.service == "s3":
        said = request.header("x-amz-content-sha256")
        return said or _UNSIGNED_PAYLOAD
    return hashlib.sha256(request.body).hexdigest()


def _path(path: str) -> str:
    """All services except S3 sign the normalised path, encoded a second time."""
    tidy = posixpath.normpath(path or "/").replace("//", "/")
    if path.endswith("/") and not tidy.endswith("/"):
        tidy += "/"
    return quote(tidy.encode("latin-1", "replace"), safe="/~")


def _parameters(request: HttpRequest) -> dict[str, str]:
    return {name: unquote(value) for name, value in _pairs(request.query)}


def _pairs(query: str) -> list[tuple[str, str]]:
    if not query:
        return []
    return [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
