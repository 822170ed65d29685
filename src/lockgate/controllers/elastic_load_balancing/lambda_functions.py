"""Lambda functions as targets. Envoy forwards the requests of each such target group to a socket, where they are
converted to invocations of a function on this machine.

Functions are invoked with Lambda's Invoke API, which `sam local start-lambda` and the Lambda Runtime Interface Emulator
implement. Source: AWS Lambda API reference, "Invoke".
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lockgate.controllers.elastic_load_balancing.bodies import body_of
from lockgate.controllers.elastic_load_balancing.platform import Receive, Scope, Send, Serve, Served
from lockgate.loadbalancer.error_reasons import HEADER, LambdaReason, lambda_metric, lambda_status
from lockgate.loadbalancer.health import Answered, Failed, Outcome, TimedOut
from lockgate.loadbalancer.lambda_function import (
    MOST_BYTES,
    Event,
    Invalid,
    Raised,
    Request,
    Response,
    event,
    health_check_event,
    response,
)
from lockgate.loadbalancer.model import TargetGroup
from lockgate.loadbalancer.pages import CONTENT_TYPE, SERVER, page, reason

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("lockgate.elastic_load_balancing")

CONNECT_SECONDS, RUN_SECONDS = 10.0, 900.0  # Lambda's longest function timeout
_REASONS: Mapping[int, LambdaReason] = {
    403: "LambdaAccessDenied",
    404: "LambdaResourceNotFound",
    413: "LambdaRequestTooLarge",
    429: "LambdaThrottling",
}


class NotInvoked(Exception):
    """The function did not return a valid response. The message says why."""

    def __init__(self, reason: LambdaReason, why: str) -> None:
        super().__init__(why)
        self.reason: LambdaReason = reason


class LambdaFunctions:
    """`urls` are by function name: of a server with Lambda's API, or the complete URL to invoke."""

    def __init__(self, urls: Mapping[str, str], serve: Serve | None) -> None:
        self._urls = urls
        self._serve = serve
        self._groups: dict[str, TargetGroup] = {}
        self._served: dict[str, Served] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.counts: Counter[tuple[str, str]] = Counter()  # by CloudWatch metric and target group

    async def follow(self, groups: Iterable[TargetGroup]) -> None:
        """Sets the current target groups. Each one with a function has its own socket as long as it exists."""
        self._groups = {group.reference: group for group in groups if group.target_type == "lambda"}
        for reference in self._groups:
            if reference not in self._served and self._serve is not None:
                self._served[reference] = await self._serve(_Application(self, reference), "")
        for counted in [each for each in self.counts if each[1] not in self._groups]:
            del self.counts[counted]
        for reference in self._served.keys() - self._groups.keys():  # nothing forwards to it any more
            ending = asyncio.create_task(self._served.pop(reference).stop())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    def places(self, group: TargetGroup) -> tuple[tuple[str, int], ...]:
        served = self._served.get(group.reference)
        return ((served.host, served.port),) if served is not None else ()

    async def probe(self, group: TargetGroup) -> Outcome:
        check = group.health_check
        sent = health_check_event(check.path, group.reference, multi_value=_is_multi_value(group))
        try:
            async with asyncio.timeout(check.timeout_seconds):
                return Answered((await self._invoke(group, sent)).status)
        except TimeoutError:
            return TimedOut()
        except NotInvoked as error:
            log.info("%s: %s (%s)", group.name, error, error.reason)
            return Failed()

    async def answer(self, reference: str, request: Request) -> Response:
        """Raises `NotInvoked`."""
        group = self._groups.get(reference)
        if group is None:
            raise NotInvoked("LambdaUnhandledException", "its target group was deleted")
        try:
            sent = event(request, reference, multi_value=_is_multi_value(group))
        except UnicodeDecodeError as error:
            raise NotInvoked("LambdaBadRequest", "the request is not UTF-8") from error
        return await self._invoke(group, sent)

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        """Created once, because it loads certificates. Connections are not reused, so that no closed one is used."""
        import httpx

        timeout = httpx.Timeout(RUN_SECONDS, connect=CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        return httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)

    async def _invoke(self, group: TargetGroup, sent: Event) -> Response:
        import httpx

        url = self._url(group)
        headers = {"content-type": "application/json"}
        try:
            async with self._client.stream("POST", url, content=json.dumps(sent), headers=headers) as answer:
                body = await body_of(answer, MOST_BYTES)
        except httpx.TimeoutException as error:
            raise NotInvoked("LambdaConnectionTimeout", f"{url} does not answer") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NotInvoked("LambdaServiceException", f"{url}: {error or type(error).__name__}") from error
        if answer.status_code != 200:
            raise NotInvoked(
                _REASONS.get(answer.status_code, "LambdaServiceException"), _failure(url, answer.status_code)
            )
        return _result(body, "x-amz-function-error" in answer.headers, group)

    def _url(self, group: TargetGroup) -> str:
        """A URL with a path is used unchanged, because the emulator in a function's image does not use its name."""
        if not group.targets:
            raise NotInvoked("LambdaUnhandledException", f"target group {group.name} has no function")
        name = group.targets[0].id.split(":")[6]
        if name not in self._urls:
            why = f"no URL is set for function {name}: use `lockgate up … --backend lambda:{name}=http://HOST:PORT`"
            raise NotInvoked("LambdaResourceNotFound", why)
        url = self._urls[name]
        path = "" if urlsplit(url).path.strip("/") else f"/2015-03-31/functions/{name}/invocations"
        return f"{url.rstrip('/')}{path}"


class _Application:
    """The ASGI application for Envoy's requests to one target group."""

    def __init__(self, functions: LambdaFunctions, reference: str) -> None:
        self._functions = functions
        self._reference = reference

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # "Upgrade requests are rejected with an HTTP 400 code"
            await _send(send, "websocket.http.response", _page(400))
        elif scope["type"] == "http":
            why: LambdaReason | None = None
            try:
                made = await self._functions.answer(self._reference, await _request(scope, receive))
            except NotInvoked as error:
                log.warning("%s %s: %s (%s)", scope["method"], _path(scope), error, error.reason)
                made, why = _page(lambda_status(error.reason)), error.reason
                self._functions.counts[lambda_metric(error.reason), self._reference] += 1
            await _send(send, "http.response", made, why, head=scope["method"] == "HEAD")


async def _request(scope: Scope, receive: Receive) -> Request:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise NotInvoked("LambdaBadRequest", "the client went away before its request was complete")
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise NotInvoked("LambdaRequestTooLarge", f"the request's body has more than {MOST_BYTES} bytes")
        if not message.get("more_body"):
            break
    try:
        headers = tuple((name.decode(), value.decode()) for name, value in scope["headers"])
    except UnicodeDecodeError as error:
        raise NotInvoked("LambdaBadRequest", "the request is not UTF-8") from error
    return Request(scope["method"], _path(scope), scope["query_string"].decode("latin-1"), headers, bytes(body))


def _path(scope: Scope) -> str:
    """The path as received, not decoded."""
    path: str = scope["raw_path"].decode("latin-1").partition("?")[0]
    return path


def _result(body: bytes | None, failed: bool, group: TargetGroup) -> Response:
    """Raises `NotInvoked`."""
    if body is None:
        raise NotInvoked("LambdaResponseTooLarge", f"the function's result has more than {MOST_BYTES} bytes")
    match Raised() if failed else response(body, multi_value=_is_multi_value(group)):
        case Raised():
            raise NotInvoked("LambdaUnhandled", f"the function failed: {body[:500].decode('utf-8', 'replace')}")
        case Invalid(why):
            raise NotInvoked("LambdaInvalidResponse", f"the function's result is not a valid response: {why}")
        case Response() as made:
            return made


def _is_multi_value(group: TargetGroup) -> bool:
    return group.attributes.get("lambda.multi_value_headers.enabled") == "true"


def _failure(url: str, status: int) -> str:
    if status != 404:
        return f"{url} answered {status}"
    emulator = f"{url.partition('/2015-03-31/')[0]}/2015-03-31/functions/function/invocations"
    return f"{url} answered 404; the Runtime Interface Emulator serves its function at {emulator}"


def _page(status: int) -> Response:
    headers = (("Server", SERVER), ("Content-Type", CONTENT_TYPE))
    return Response(status, headers, page(status).encode(), reason(status))


async def _send(
    send: Send,
    kind: str,
    made: Response,
    why: LambdaReason | None = None,
    *,
    head: bool = False,
) -> None:
    from lockgate.xds.loadbalancer.answers import marked
    from lockgate.xds.loadbalancer.names import OWN_ANSWER

    headers = [(name.encode(), value.encode()) for name, value in made.headers]
    if made.phrase:
        headers.append((OWN_ANSWER.encode(), marked(made.status, "", made.phrase).encode()))
    if made.status not in (204, 304):
        headers.append((b"content-length", str(len(made.body)).encode()))
    if why is not None:
        headers.append((HEADER.encode(), why.encode()))
    await send({"type": f"{kind}.start", "status": made.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": b"" if head else made.body})
