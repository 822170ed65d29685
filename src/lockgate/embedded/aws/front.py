"""The HTTP front end: verifies credentials, finds the service, and returns its answer or error. Never an HTML page."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lockgate.embedded.asgi import Application, Receive, Scope, Send, lifespan
from lockgate.embedded.aws import (
    constraints,
    ec2,
    moto_services,
    protocol,
    roles,
    security_groups,
    shield,
    signature,
    sts,
    web_acls,
)
from lockgate.embedded.aws.account import Account
from lockgate.embedded.aws.credentials import AccessKey
from lockgate.embedded.aws.denials import Cause, refusal
from lockgate.embedded.aws.elbv2.scope import touched
from lockgate.embedded.aws.protocol import Call, HttpAnswer, HttpRequest, Refusal

log = logging.getLogger("lockgate.embedded.aws")

BODY = 4 * 1024 * 1024  # the largest input of a served operation is a CA bundle

# By the signing name in a credential's scope: boto3's name of the service.
SERVICES = {
    "acm": "acm",
    "cognito-idp": "cognito-idp",
    "ec2": "ec2",
    "eks": "eks",
    "eks-auth": "eks-auth",
    "elasticloadbalancing": "elbv2",
    "iam": "iam",
    "route53": "route53",
    "s3": "s3",
    "shield": "shield",
    "sts": "sts",
    "wafv2": "wafv2",
}
# Where moto differs from AWS.
CORRECTIONS: dict[str, Any] = {"ec2": security_groups, "wafv2": web_acls, "shield": shield}


@dataclass(frozen=True, slots=True)
class Done:
    answer: HttpAnswer
    service: str = ""
    operation: str = ""
    changed: bool = False
    touched: frozenset[str] = frozenset()  # ARNs of the affected resources, if they can be determined


def application(perform: Callable[[HttpRequest], Awaitable[HttpAnswer]]) -> Application:
    """The ASGI application around `perform`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        answer = await perform(request) if isinstance(request, HttpRequest) else protocol.failure("", request)
        headers = [(key.encode("latin-1"), value.encode("latin-1", "replace")) for key, value in answer.headers]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})

    return app


def perform(account: Account, request: HttpRequest) -> Done:
    """Answers a request. Errors are in the protocol of the requested service."""
    service = ""
    caller: AccessKey | None = None
    try:
        signed = signature.scope(request)
        if signed is not None:
            service, region = _service(signed.service), signed.region
            caller = signature.verify(request, signed, account.keys, datetime.now(UTC), account.regions)
        else:
            service, region = _unsigned(request), account.region
        if service == "s3":
            answer = moto_services.answer(service, region, account.id, request)
            return Done(answer, service, request.method, answer.status < 300)
        name = protocol.operation(service, request)
        call = protocol.parse(service, name, region, request)
        constraints.check_types(call)
        if caller is not None:
            roles.check(account.id, caller.arn, call)
        return _done(account, call, caller, request)
    except Refusal as refused:
        return Done(protocol.failure(service or _framed(request), refused), service)
    except Exception:
        log.exception("%s %r of %s failed", request.method, request.path, service or "an unknown service")
        fault = Refusal("InternalFailure", "The request could not be answered: a fault of Lockgate's.", 500)
        return Done(protocol.failure(service or _framed(request), fault), service)


def named(request: HttpRequest) -> tuple[str, str]:
    """The service and operation of a request, as far as they can be read: boto3's name and the model's."""
    try:
        signed = signature.scope(request)
        service = _service(signed.service) if signed is not None else _unsigned(request)
        return service, request.method if service == "s3" else protocol.operation(service, request)
    except Refusal:
        return "", ""


def _done(account: Account, call: Call, caller: AccessKey | None, request: HttpRequest) -> Done:
    service, name = call.service, call.operation
    if (corrections := CORRECTIONS.get(service)) and name in corrections.OPERATIONS:
        corrected = corrections.answer(account.id, call, account.has_load_balancer)
        if corrected is not None:
            return Done(protocol.success(call, corrected), service, name, True)
    if service in moto_services.SERVICES:
        constraints.check(call, loosely=True)  # moto accepts input that its model excludes, and fails at some of it
        if service == "ec2":
            ec2.prepare(account.id, call.region)
        answer = moto_services.answer(service, call.region, account.id, request)
        return Done(answer, service, name, answer.status < 300)
    if service == "sts":
        return Done(protocol.success(call, account.sts.answer(call, caller)), service, name)
    result = account.service(service, call.region).answer(call)
    concerned = touched(call, result) if service == "elbv2" else frozenset()
    return Done(protocol.success(call, result), service, name, True, concerned)


def _service(signing_name: str) -> str:
    if signing_name not in SERVICES:
        raise Refusal(
            "UnrecognizedServiceException",
            f"{signing_name} is not served here; this edge's AWS API has {', '.join(sorted(SERVICES))}.",
            403,
        )
    return SERVICES[signing_name]


def _framed(request: HttpRequest) -> str:
    """For an unknown service: one of ours with the client's protocol."""
    if "AWSAccessKeyId=" in request.query or request.header("authorization").startswith("AWS "):
        return "s3"  # signature version 2, which S3 supported for the longest time
    return "acm" if "amz-json" in request.header("content-type") else "sts"


def _unsigned(request: HttpRequest) -> str:
    """Some STS operations authenticate the caller by a token. All other requests must be signed."""
    try:
        name = protocol.operation("sts", request)
    except Refusal:
        name = ""
    if name not in sts.UNSIGNED:
        raise refusal(_framed(request), Cause.NO_CREDENTIALS)
    return "sts"


async def _read(scope: Scope, receive: Receive) -> HttpRequest | Refusal:
    """An error for a body over the limit, or one that does not arrive in time."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return Refusal("RequestTimeout", "The request's body did not arrive in time.", 408)
        body += message.get("body", b"")
        if len(body) > BODY:
            return Refusal("RequestEntityTooLarge", f"The request is larger than {BODY} bytes.", 413)
        if not message.get("more_body"):
            break
    raw = scope.get("raw_path") or scope["path"].encode()
    return HttpRequest(
        method=scope["method"],
        path=raw.partition(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=tuple((key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in scope["headers"]),
        body=bytes(body),
    )
