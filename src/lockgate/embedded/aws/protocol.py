"""AWS's wire protocols: converts an HTTP request to a `Call`, and a result or a `Refusal` to bytes.

Botocore's service models define each service's protocol, and each operation's input and output. moto's parsers use
them. This module serialises errors, whose form depends on the protocol and the service.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from lockgate.embedded.aws.xml_writer import Writer, escaped
from lockgate.resources.unicode import visible

Parameters = dict[str, Any]  # in the form of botocore's shapes
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """`headers` have lower-case names; `path` is percent-encoded, `query` has no question mark.

    Strings have one character per byte of the wire (latin-1).
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One requested operation. `service` is boto3's name (``elbv2``), `operation` the model's (``CreateRule``)."""

    service: str
    operation: str
    region: str
    parameters: Parameters


class Refusal(Exception):
    """An error of a service: `code` and `message` are the service's.

    Messages quote the client's input and are printed on terminals, so unprintable characters are escaped.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        message = visible(message)
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def operation(service: str, request: HttpRequest) -> str:
    """The requested operation. Raises `Refusal` if the service does not have it."""
    spoken = model(service)
    if spoken.resolved_protocol == "json":
        name = request.header("x-amz-target").rpartition(".")[2]
    elif spoken.resolved_protocol in _ROUTED:
        return _routed(service, request)[0]
    else:
        form = parse_qs(request.body.decode("utf-8", "replace")) or parse_qs(request.query)
        name = form.get("Action", [""])[0]
        version = form.get("Version", [spoken.api_version])[0]
        if version != spoken.api_version:
            raise Refusal("InvalidAction", f"Could not find operation {name} for version {version}")
    if name not in spoken.operation_names:
        if spoken.resolved_protocol == "json":
            raise Refusal("UnknownOperationException", f"Unknown operation {name}")
        raise Refusal(
            "InvalidAction", f"Could not find operation {name or 'NO ACTION'} for version {spoken.api_version}"
        )
    return name


_ROUTED = ("rest-json", "rest-xml")

UNREADABLE = "The request could not be read as its operation's input"


def _check_body(service: str, request: HttpRequest) -> None:
    """Raises `Refusal` if the service's input is JSON, and the body is not an object."""
    if _PROTOCOL.get(service) != "json":
        return
    try:
        found = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal("SerializationException", UNREADABLE)


def parse(service: str, name: str, region: str, request: HttpRequest) -> Call:
    """The operation's parameters, with the types of its model. Raises `Refusal` for a body that does not parse.

    JSON values are not converted: see `constraints.check_types`.
    """
    from moto.core.parse import PROTOCOL_PARSERS

    _check_body(service, request)
    spoken = model(service)
    sent = moto_request(service, region, request)
    uri = _routed(service, request)[1] if spoken.resolved_protocol in _ROUTED else {}
    try:
        parsed = PROTOCOL_PARSERS[str(spoken.resolved_protocol)](spoken.operation_model(name), map_type=dict).parse(
            {
                "method": sent.method,
                "values": sent.values,
                "headers": sent.headers,
                "body": sent.data,
                "url_path": sent.path,
                "url_params": uri,
            }
        )
    except Exception as error:  # moto's parsers raise the errors of json, xml and int()
        code = "SerializationException" if spoken.resolved_protocol == "json" else "MalformedInput"
        raise Refusal(code, UNREADABLE) from error
    return Call(service, name, region, {key: value for key, value in parsed.items() if value is not None})


def success(call: Call, result: Result) -> HttpAnswer:
    spoken = model(call.service)
    done = spoken.operation_model(call.operation)
    request_id = str(uuid.uuid4())
    headers = [("x-amzn-requestid", request_id)]
    match str(spoken.resolved_protocol):
        case "json":
            body, kind = _json(done, result), "application/x-amz-json-1.1"
        case "rest-json":
            body, kind = _json(done, result), "application/json"
        case "rest-xml":
            body, kind = _writer(call.service).rest(done, result, _NAMESPACE[call.service]), "text/xml"
            for name, member in (done.output_shape.members if done.output_shape else {}).items():
                if member.serialization.get("location") == "header" and name in result:
                    headers.append((member.serialization.get("name", name).lower(), str(result[name])))
        case _:
            body, kind = _writer(call.service).query(done, result, request_id), "text/xml"
    return HttpAnswer(done.http.get("responseCode", 200), (("content-type", kind), *headers), body.encode())


def failure(service: str, refusal: Refusal) -> HttpAnswer:
    """`refusal`, serialised for the service's protocol."""
    request_id = str(uuid.uuid4())
    kind = "Sender" if refusal.status < 500 else "Receiver"
    match _PROTOCOL.get(service, "query"):
        case "json":
            body = json.dumps({"__type": refusal.code, "message": refusal.message})
            content = "application/x-amz-json-1.1"
        case "rest-json":
            body, content = json.dumps({"message": refusal.message}), "application/json"
            return HttpAnswer(
                refusal.status,
                (("content-type", content), ("x-amzn-requestid", request_id), ("x-amzn-errortype", refusal.code)),
                body.encode(),
            )
        case "ec2":
            body = (
                '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error>'
                f"<Code>{escaped(refusal.code)}</Code><Message>{escaped(refusal.message)}</Message>"
                f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
            )
            content = "text/xml;charset=UTF-8"
        case "s3":
            body = (
                f"<Error><Code>{escaped(refusal.code)}</Code><Message>{escaped(refusal.message)}</Message>"
                f"<RequestId>{request_id}</RequestId></Error>"
            )
            content = "application/xml"
        case _:
            body = (
                f'<ErrorResponse xmlns="{_NAMESPACE.get(service, "")}"><Error><Type>{kind}</Type>'
                f"<Code>{escaped(refusal.code)}</Code><Message>{escaped(refusal.message)}</Message></Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
            content = "text/xml"
    headers = (("content-type", content), ("x-amzn-requestid", request_id))
    return HttpAnswer(refusal.status, headers, body.encode())


def moto_request(service: str, region: str, request: HttpRequest) -> Any:
    """The request for moto's classes. They read the region from its host name, which is AWS's."""
    from moto.core.request import Request

    host = "route53.amazonaws.com" if service == "route53" else f"{service}.{region}.amazonaws.com"
    headers = {key: value for key, value in request.headers if not key.startswith("x-moto-") and key != "host"}
    query = f"?{request.query}" if request.query else ""
    made = Request.from_primitives(request.method, f"https://{host}{request.path}{query}", headers, request.body)
    # The environment refers to the request, which refers to it: such a cycle would outlive the call with its body.
    made.environ.pop("werkzeug.request", None)
    return made


_PROTOCOL = {
    "s3": "s3",
    "acm": "json",
    "cognito-idp": "json",
    "wafv2": "json",
    "shield": "json",
    "ec2": "ec2",
    "eks": "rest-json",
    "eks-auth": "rest-json",
    "route53": "rest-xml",
}
_NAMESPACE = {
    "elbv2": "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "route53": "https://route53.amazonaws.com/doc/2013-04-01/",
}


def _routed(service: str, request: HttpRequest) -> tuple[str, dict[str, Any]]:
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import NotFound

    try:
        found, parameters = get_service_router(service).match(moto_request(service, "us-east-1", request))
    except (NotFound, NotImplementedError) as error:
        raise Refusal("InvalidAction", f"Could not find operation for {request.method} {request.path}", 404) from error
    return str(found.name), dict(parameters)


def _json(done: Any, result: Result) -> str:
    from moto.core.serialize import get_serializer_class

    spoken = str(done.service_model.resolved_protocol)
    serializer = get_serializer_class(done.service_model.service_name, spoken)(operation_model=done)
    return str(serializer.serialize(dict(result))["body"])


@cache
def _writer(service: str) -> Writer:
    return Writer(model(service))


@cache
def model(service: str) -> Any:
    """Botocore's model of a service, for moto's parsers."""
    from moto.core.utils import get_service_model

    return get_service_model(service)
