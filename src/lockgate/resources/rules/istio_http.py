"""The clauses of an HTTP route other than match and destinations: redirects, rewrites, faults, retries, CORS."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from lockgate.resources import durations, field_errors, istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules import istio_headers as headers
from lockgate.resources.rules import istio_names as names
from lockgate.resources.rules.istio_names import conflict, problem, q, required

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*")
_RETRY_ON = frozenset(
    (
        "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "retriable-4xx", "refused-stream",
        "retriable-status-codes", "retriable-headers", "envoy-ratelimited", "http3-post-connect-failure",
        "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
    )
)  # fmt: skip
_GRPC_STATUSES = frozenset(
    (
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
        "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
        "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    )
)  # fmt: skip
MAX_BODY = 1024 * 1024
# Go's http.StatusText knows these.
_STATUSES = frozenset(
    (
        *range(100, 104), *range(200, 209), 226, *range(300, 306), 307, 308, *range(400, 419), *range(421, 427), 428,
        429, 431, 451, *range(500, 509), 510, 511,
    )
)  # fmt: skip


def clauses(path: Path, route: istio.HTTPRoute) -> Iterator[FieldError]:
    if route.redirect is not None:
        yield from _redirect((*path, "redirect"), route.redirect, route)
    if route.rewrite is not None:
        yield from _rewrite((*path, "rewrite"), route.rewrite, route)
    if route.direct_response is not None:
        yield from _direct_response((*path, "directResponse"), route.direct_response)
    if route.fault is not None:
        yield from _fault((*path, "fault"), route.fault)
    if route.retries is not None:
        yield from _retries((*path, "retries"), route.retries)
    if route.cors_policy is not None:
        yield from _cors((*path, "corsPolicy"), route.cors_policy)
    yield from headers.operations((*path, "headers"), route.headers)
    yield from _authority(path, route)
    for index, destination in enumerate(route.route):
        yield from headers.operations((*path, "route", index, "headers"), destination.headers)
    yield from names.duration((*path, "timeout"), route.timeout)
    if route.mirror_percent is not None and route.mirror_percent > 100:
        message = f"mirror_percent must have a max value of 100 (it has {route.mirror_percent})"
        yield problem((*path, "mirrorPercent"), message)
    yield from _mirrored((*path, "mirrorPercentage"), route.mirror_percentage, "mirror_percentage")
    for index, mirror in enumerate(route.mirrors):
        yield from _mirrored((*path, "mirrors", index, "percentage"), mirror.percentage, "mirror percentage")


def _authority(path: Path, route: istio.HTTPRoute) -> Iterator[FieldError]:
    """Only one of the clauses may set the request's authority."""
    have = route.rewrite.authority if route.rewrite else ""
    request = route.headers.request if route.headers else None
    for field, pairs in (("set", request.set), ("add", request.add)) if request else ():
        for name, value in pairs.items():
            if name.lower() not in ("host", ":authority"):
                continue
            if have:
                message = f"authority header cannot be set multiple times: have {q(have)}, attempting to set {q(value)}"
                yield problem((*path, "headers", "request", field, name), message)
                return
            have = value


def string_match(path: Path, field: str, match: istio.StringMatch, *, may_be_empty: bool) -> Iterator[FieldError]:
    if match.prefix == "" and not may_be_empty:
        yield problem(path, f"{q(field)}: prefix string match should not be empty")
    if match.regex is not None:
        yield from names.regex((*path, "regex"), field, match.regex)


def _redirect(path: Path, redirect: istio.HTTPRedirect, route: istio.HTTPRoute) -> Iterator[FieldError]:
    if redirect.uri and redirect.prefix_rewrite:
        yield conflict(path, "redirect may only specify one of uri or prefix_rewrite")
    if redirect.prefix_rewrite and not all(
        match.uri is not None and match.uri.prefix is not None for match in route.match
    ):
        yield problem(path, "redirect prefix_rewrite requires all URI matches to use prefix match type")
    port_given = redirect.port is not None or redirect.derive_port is not None
    if not (redirect.uri or redirect.prefix_rewrite or redirect.authority or redirect.scheme or port_given):
        yield required(path, "redirect must specify URI, authority, scheme, or port")
    if redirect.redirect_code and not 300 <= redirect.redirect_code <= 399:
        message = f"{redirect.redirect_code} is not a valid redirect code, must be 3xx"
        yield problem((*path, "redirectCode"), message)
    if redirect.scheme not in ("", "http", "https"):
        yield problem((*path, "scheme"), 'invalid redirect scheme, must be "http" or "https"')
    if redirect.port:
        yield from names.port((*path, "port"), redirect.port)


def _rewrite(path: Path, rewrite: istio.HTTPRewrite, route: istio.HTTPRoute) -> Iterator[FieldError]:
    by_regex = rewrite.uri_regex_rewrite
    if rewrite.uri and by_regex is not None:
        yield conflict(path, "rewrite may only contain one of URI or UriRegexRewrite")
    if by_regex is not None:
        if not by_regex.match or not by_regex.rewrite:
            message = "UriRegexRewrite requires both Rewrite and Match fields to be specified"
            yield required((*path, "uriRegexRewrite"), message)
        else:
            yield from names.regex((*path, "uriRegexRewrite", "match"), "uriRegexRewrite", by_regex.match)
    if not rewrite.uri and not rewrite.authority and by_regex is None:
        yield required(path, "rewrite must specify at least one of URI, UriRegexRewrite, or authority")


def _direct_response(path: Path, response: istio.HTTPDirectResponse) -> Iterator[FieldError]:
    yield from _status((*path, "status"), response.status)
    body = response.body
    if body and body.bytes_ and not _is_base64(body.bytes_):
        yield field_errors.invalid((*path, "body", "bytes"), body.bytes_, "must be of type byte")
    if body_size(response) > MAX_BODY:
        yield problem(
            (*path, "body"), "large direct_responses may impact control plane performance, must be less than 1MB"
        )


def body_size(response: istio.HTTPDirectResponse) -> int:
    body = response.body
    if body is None:
        return 0
    return len(body.bytes_) * 3 // 4 if body.bytes_ else len((body.string or "").encode("utf-8", "surrogatepass"))


def _fault(path: Path, fault: istio.HTTPFaultInjection) -> Iterator[FieldError]:
    if fault.abort is None and fault.delay is None:
        yield required(path, "HTTP fault injection must have an abort and/or a delay")
    if fault.abort is not None:
        at = (*path, "abort")
        if fault.abort.http_status is not None:
            yield from _status((*at, "httpStatus"), fault.abort.http_status)
        if fault.abort.grpc_status is not None and fault.abort.grpc_status not in _GRPC_STATUSES:
            message = f"gRPC status {q(fault.abort.grpc_status)} is not supported. See https://grpc.github.io/grpc/core/md_doc_statuscodes.html"
            yield problem((*at, "grpcStatus"), message)
        if fault.abort.http2_error is not None:
            yield conflict((*at, "http2Error"), "HTTP/2 abort fault injection not supported yet")
        yield from _percent((*at, "percentage"), fault.abort.percentage)
    if fault.delay is not None:
        at = (*path, "delay")
        if fault.delay.exponential_delay is not None:
            yield conflict((*at, "exponentialDelay"), "exponentialDelay not supported yet")
        yield from names.duration((*at, "fixedDelay"), fault.delay.fixed_delay)
        yield from _percent((*at, "percentage"), fault.delay.percentage)


def _status(path: Path, status: int) -> Iterator[FieldError]:
    if not 200 <= status <= 600:  # so Istio's webhook, whatever its message says
        yield problem(path, f"HTTP status {status} is not in range 200-599")


def _mirrored(path: Path, percent: istio.Percent | None, field: str) -> Iterator[FieldError]:
    if percent is not None and not 0 <= percent.value <= 100:
        limit = "max value of 100" if percent.value > 100 else "min value of 0"
        yield problem(path, f"{field} must have a {limit} (it has {percent.value:f})")


def _percent(path: Path, percent: istio.Percent | None) -> Iterator[FieldError]:
    if percent is not None and percent.value != 0 and not 0.0001 <= percent.value <= 100:
        yield problem(path, f"percentage {percent.value:g} is neither 0.0, nor in range [0.0001, 100.0]")


def _retries(path: Path, retries: istio.HTTPRetry) -> Iterator[FieldError]:
    if retries.attempts < 0:
        yield problem((*path, "attempts"), "attempts cannot be negative")
    remote = retries.retry_remote_localities is not None
    if retries.attempts == 0 and (retries.per_try_timeout is not None or retries.retry_on or remote):
        yield conflict(path, "http retry policy configured when attempts are set to 0 (disabled)")
    yield from names.duration((*path, "perTryTimeout"), retries.per_try_timeout)
    yield from names.duration((*path, "backoff"), retries.backoff)
    for policy in retries.retry_on.split(",") if retries.retry_on else ():
        # Not trimmed upstream: "5xx, reset" fails at its space.
        if policy not in _RETRY_ON and not (re.fullmatch("[+]?[0-9]+", policy) and int(policy) in _STATUSES):
            yield problem((*path, "retryOn"), f"{q(policy)} is not a valid retryOn policy")


def _cors(path: Path, cors: istio.CorsPolicy) -> Iterator[FieldError]:
    for index, origin in enumerate(cors.allow_origins):
        at = (*path, "allowOrigins", index)
        if not (origin.exact or origin.prefix or origin.regex):
            yield problem(at, f"'{origin.manifest()}' is not a valid match type for CORS allow origins")
        elif origin.regex:
            yield from names.regex((*at, "regex"), "corsAllowOrigins", origin.regex)
    for index, method in enumerate(cors.allow_methods):
        if method not in _METHODS:
            yield problem((*path, "allowMethods", index), f"{q(method)} is not a supported HTTP method")
    for name, values in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, value in enumerate(values):
            yield from headers.listed_name((*path, name, index), value)
    yield from names.duration((*path, "maxAge"), cors.max_age)
    if (durations.nanoseconds(cors.max_age or "") or 0) % 10**9:
        yield problem((*path, "maxAge"), "max_age duration is accurate only to seconds precision")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
