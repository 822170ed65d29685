"""The HTTP API of the store: an ASGI application that serves kubectl, helm and client libraries like a cluster."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Container
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lockgate.embedded.asgi import Receive, Scope, Send, lifespan
from lockgate.embedded.faults import Faults
from lockgate.embedded.http import Server, serve
from lockgate.embedded.kubernetes import bodies
from lockgate.embedded.kubernetes.admitting.admission import Admission, Question
from lockgate.embedded.kubernetes.admitting.caller import Callers
from lockgate.embedded.kubernetes.calls import Call
from lockgate.embedded.kubernetes.catalogue import Unstructured
from lockgate.embedded.kubernetes.custom.conversion_webhooks import Conversion, ConversionWebhooks, Reading, Unconverted
from lockgate.embedded.kubernetes.discovery import AGGREGATED, Discovery
from lockgate.embedded.kubernetes.exchange import (
    Answer,
    Listing,
    MethodNotAllowed,
    Request,
    TooManyRequests,
    Unauthorized,
    cached,
    encoded,
    read,
    send_answer,
)
from lockgate.embedded.kubernetes.forms import answered, refused
from lockgate.embedded.kubernetes.negotiation import prefers_aggregated
from lockgate.embedded.kubernetes.openapi import Documents
from lockgate.embedded.kubernetes.reviews import review_of, reviewed
from lockgate.embedded.kubernetes.scale import is_scaled
from lockgate.embedded.kubernetes.store import ADMINISTRATOR, Store
from lockgate.embedded.kubernetes.streaming.streams import SPDY, PodAccess, Streams
from lockgate.embedded.kubernetes.targets import Target, target
from lockgate.embedded.kubernetes.token_requests import user
from lockgate.embedded.kubernetes.verbs import Verbs
from lockgate.embedded.kubernetes.watches import Watch, lines
from lockgate.embedded.service_accounts import InvalidToken
from lockgate.resources import core
from lockgate.resources.effects.components import WEBHOOKS
from lockgate.resources.model import JsonObject, ObjectKey, Resource
from lockgate.resources.status import ApiError, Forbidden, NotFound
from lockgate.resources.unicode import visible

# Clients read it: kubectl dispatchers run the kubectl of this version.
VERSION = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.4",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2025-04-22T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_WATCHES = 1000
_WRITES = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
_TEXT = "text/plain"
_PATHS = (
    "/.well-known/openid-configuration",
    "/api",
    "/apis",
    "/healthz",
    "/livez",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/version",
)
# Readable without a token, as for `system:public-info-viewer`, because probes and version checks send none.
_PUBLIC = frozenset({"/version", "/healthz", "/livez", "/readyz"})


@dataclass(frozen=True, slots=True)
class Log:
    """An answer that is the text of a Pod's log."""

    lines: AsyncGenerator[bytes, None]


_Result: TypeAlias = Answer | Reading | Listing | Watch | Log


class KubernetesApi:
    """One API over one store. Every request must have the bearer token `token`.

    `external` are the controllers whose own webhooks are called.
    """

    def __init__(
        self,
        store: Store,
        *,
        token: str,
        faults: Faults[Answer] | None = None,
        pods: PodAccess | None = None,
        external: Container[str] = (),
    ) -> None:
        self._store = store
        self._streams = Streams(store, pods, self._authenticate)
        self.faults = faults or Faults()
        self._token = token
        self._verbs = Verbs(store)
        built_in = (ending for name, ending in WEBHOOKS.items() if name not in external)
        self.webhooks = Callers(store.storage, tuple(built_in))
        self._conversions = ConversionWebhooks(store.storage)
        self._discovery = Discovery(store.catalogue)
        self._documents = Documents(store.catalogue, store.schemas)
        self.watches = 0  # open ones
        self._stopping = asyncio.Event()
        self._server: Server | None = None
        self._scheme = "http"

    async def start(
        self, port: int = 0, certificate: tuple[Path, Path] | None = None, *, host: str = "127.0.0.1"
    ) -> None:
        """Serves until `stop`, over TLS if given (chain, key). Raises `embedded.http.PortInUse`."""
        self._server = await serve(
            self,
            host=host,
            port=port,
            certificate=certificate,
            websockets=True,
            upgrade=(SPDY, self._streams.take_over),
        )
        self._scheme = "https" if certificate else "http"

    @property
    def url(self) -> str:
        assert self._server is not None, "not started"
        return f"{self._scheme}://{self._server.host}:{self._server.port}"

    async def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            await self._server.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await self._streams.websocket(scope, receive, send)
            return
        request: Request | None = None
        try:
            request = await read(scope, receive)
            asked = _asked(request)
            if not request.flag("watch"):
                request.check_timeout()
            if code := await self.faults.meet("kubernetes", asked):
                raise _injected(code, asked)
            result = await self._admitted(request, self._authenticate(request))
            if isinstance(result, Watch):
                await self._watch(result, receive, send)
                return
            if isinstance(result, Log):
                await self._stream(result.lines, _TEXT, receive, send)
                return
            if isinstance(result, Reading):
                result = await result.answer()
            if isinstance(result, Listing):
                result = await result.answer()
        except ApiError as error:
            result = _refusal(request, error)
        except Exception as error:  # an internal error: the client gets its summary, the log its traceback
            logging.getLogger("lockgate.kubernetes").exception("%s %r", scope.get("method"), scope.get("path"))
            result = _refusal(
                request, ApiError(f"an error on the server has prevented the request from succeeding: {error!r}")
            )
        if request is not None:
            dry = "dry-run/" if request.query.get("dryRun") else ""
            self.faults.count("kubernetes", dry + _asked(request), result.status)
        await send_answer(send, request, result)

    def _authenticate(self, request: Request) -> JsonObject:
        """The user of a request, in the form of SelfSubjectReview: the holder of the kubeconfig, or a service account.

        RBAC is not served, so every user may do everything.
        """
        if request.path in _PUBLIC:
            return {}
        if any(name.startswith("impersonate-") for name in request.headers):
            raise Forbidden(
                "impersonation is not served here: there are no roles, so whoever has a token may do everything"
            )
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        token = credentials.strip()
        if scheme.lower() != "bearer":
            raise Unauthorized("Unauthorized")
        if hmac.compare_digest(token.encode(), self._token.encode()):
            return ADMINISTRATOR
        try:
            return user(self._store.tokens.authenticate(token))
        except InvalidToken as error:
            raise Unauthorized("Unauthorized") from error

    async def _admitted(self, request: Request, asking: JsonObject) -> _Result:
        """The answer to a request, once the webhooks that have a say in it were asked."""
        admission = self.webhooks.admission(asking) if request.method in _WRITES else None
        conversion = await self._conversion(request)
        while True:
            try:
                return self._answer(request, asking, admission, conversion)
            except Question as question:
                assert admission is not None
                await self.webhooks.ask(admission, question, _options(request))
            except Unconverted as needed:
                assert conversion is not None
                await conversion.ask(needed)

    async def _conversion(self, request: Request) -> Conversion | None:
        """The conversion of a kind that has a webhook. Of a write, the object as it is stored is converted before."""
        found = target(request.path)
        model = self._store.catalogue.by_path(found.group, found.version, found.plural) if found else None
        if found is None or model is None or not issubclass(model, Unstructured):
            return None
        conversion = self._conversions.of(model.KIND)
        if conversion is not None and request.method in _WRITES and found.name:
            kind = model.KIND
            key = ObjectKey(kind.group, kind.kind, found.namespace if kind.namespaced else "", found.name)
            if (stored := self._store.storage.get(key)) is not None:
                await conversion.prepare([stored], kind.api_version)
        return conversion

    def _answer(
        self, request: Request, asking: JsonObject, admission: Admission | None, conversion: Conversion | None
    ) -> _Result:
        if (found := target(request.path)) is not None:
            return self._on_objects(request, found, asking, admission, conversion)
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        match request.path:
            case "/version":
                return Answer(encoded(VERSION))
            case "/healthz" | "/livez" | "/readyz" | "/healthz/ping" | "/livez/ping" | "/readyz/ping":
                return Answer(b"ok", content_type="text/plain; charset=utf-8")
            case "/openapi/v2":
                return cached(request, *self._documents.version_2(request.headers.get("accept", "")))
            case "/openapi/v3":
                return Answer(encoded(self._documents.index()))
            case "/.well-known/openid-configuration":
                return Answer(encoded(self._store.tokens.tokens.discovery(f"{self.url}/openid/v1/jwks")))
            case "/openid/v1/jwks":
                keys = self._store.tokens.tokens.public_keys()
                return Answer(encoded(keys), content_type="application/jwk-set+json")
            case "/":
                return Answer(encoded({"paths": list(_PATHS)}))
        if request.path.startswith("/openapi/v3/"):
            document = self._documents.document(request.path.removeprefix("/openapi/v3/"))
            if document is not None:
                return Answer(document)
        aggregated = request.path in ("/api", "/apis") and prefers_aggregated(request.headers.get("accept", ""))
        found_document = self._discovery.document(request.path, aggregated=aggregated)
        if found_document is None:
            raise NotFound("the server could not find the requested resource")
        return Answer(encoded(found_document), content_type=AGGREGATED if aggregated else "application/json")

    def _on_objects(
        self,
        request: Request,
        found: Target,
        asking: JsonObject,
        admission: Admission | None,
        conversion: Conversion | None,
    ) -> _Result:
        model = self._store.catalogue.by_path(found.group, found.version, found.plural)
        if request.method == "HEAD":
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
        if model is not None and not _is_at(found, model):
            raise NotFound("the server could not find the requested resource")
        if model is None:
            kind = review_of(found, request.method)
            body = reviewed(kind, bodies.manifest(request), asking, self._store.tokens, found.namespace)
            return answered(request, body, 201)
        call = Call(request, found, model, admission, conversion)
        match found.subresource:
            case "":
                pass
            case "status" if model.KIND.has_status:
                pass
            case "scale" if is_scaled(model.KIND):
                return self._verbs.scale(call)
            case "token" if model is core.ServiceAccount and request.method != "POST":
                raise MethodNotAllowed("the server does not allow this method on the requested resource")
            case "token" if model is core.ServiceAccount:
                token = self._store.tokens.create(found.namespace, found.name, bodies.manifest(request))
                return answered(request, token, 201)
            case "log" if model is core.Pod:
                return Log(self._streams.log(request, found))
            case "portforward" | "exec" | "attach" if model is core.Pod:
                raise self._streams.refuse(found)
            case _:
                raise NotFound("the server could not find the requested resource")
        match request.method:
            case "GET" | "HEAD" if request.flag("watch") and not found.subresource:
                return self._verbs.watch(call)
            case "GET" | "HEAD":
                return self._verbs.get(call) if found.name else self._verbs.list(call)
            case "POST" if not found.name and (found.namespace or not model.KIND.namespaced):
                return self._verbs.create(call)
            case "PUT" if found.name:
                return self._verbs.replace(call)
            case "PATCH" if found.name:
                return self._verbs.patch(call)
            case "DELETE" if found.name and not found.subresource:
                return self._verbs.delete(call)
            case "DELETE" if not found.subresource and _has_collection_deletes(found, model):
                return self._verbs.delete_collection(call)
        raise MethodNotAllowed("the server does not allow this method on the requested resource")

    async def _watch(self, watch: Watch, receive: Receive, send: Send) -> None:
        if self.watches >= _WATCHES:
            raise TooManyRequests("too many watches, please try again later")
        self.watches += 1
        try:
            await self._stream(lines(self._store.storage, watch), watch.form.stream_type, receive, send)
        finally:
            self.watches -= 1

    async def _stream(
        self, chunks: AsyncGenerator[bytes, None], content_type: str, receive: Receive, send: Send
    ) -> None:
        first = await anext(chunks, b"")  # an expired revision is refused before the answer starts
        headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-cache, private")]
        gone = asyncio.ensure_future(_gone(receive))
        stopping = asyncio.ensure_future(self._stopping.wait())
        sending = asyncio.ensure_future(_send_stream(first, chunks, send, headers))
        try:
            await asyncio.wait({sending, gone, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and (error := sending.exception()):  # too late for an error response
                logging.getLogger("lockgate.kubernetes").error("a stream of %s", content_type, exc_info=error)
        finally:
            for task in (gone, stopping, sending):
                task.cancel()
            await asyncio.gather(gone, stopping, sending, return_exceptions=True)
            await chunks.aclose()
        if not gone.done() or gone.cancelled():
            with suppress(Exception):  # a client that is still connected sees the end of the stream
                await send({"type": "http.response.body", "body": b""})


def _is_at(found: Target, model: type[Resource]) -> bool:
    """Whether objects of a kind have this path: with a namespace or without."""
    if model.KIND.namespaced:
        return bool(found.namespace) or not found.name
    return not found.namespace


def _has_collection_deletes(found: Target, model: type[Resource]) -> bool:
    """Of one namespace, or of a cluster-scoped kind other than Namespaces."""
    return bool(found.namespace) if model.KIND.namespaced else model is not core.Namespace


def _refusal(request: Request | None, error: ApiError) -> Answer:
    """Messages repeat what a client has sent, and kubectl prints them: terminal escapes are shown escaped."""
    headers = (("retry-after", "1"),) if error.code == 429 else ()
    status = error.status()
    return refused(request, {**status, "message": visible(status["message"], kept="\n\t")}, error.code, headers)


_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def _asked(request: Request) -> str:
    """The verb and the resource as RBAC names them: ``patch/ingresses``; for other paths ``get/version``."""
    found = target(request.path)
    if found is None:
        return f"{_VERBS.get(request.method, 'get')}{request.path.rstrip('/') or '/'}"
    reading = "watch" if request.query.get("watch") else "get" if found.name else "list"
    return f"{_VERBS.get(request.method, reading)}/{found.plural}"


def _injected(code: str, asked: str) -> ApiError:
    """The error that a rule of `embedded.faults` asks for, by its reason."""
    verb, _, resource = asked.partition("/")
    text = f'{resource} is forbidden: User "lockgate" cannot {verb} resource "{resource}"'
    error = ApiError(text if code == "Forbidden" else f"a rule of --fail asks for this {code}")
    error.reason, error.code = code, _CODES.get(code, 500)
    return error


_CODES = {"Unauthorized": 401, "Forbidden": 403, "NotFound": 404, "Conflict": 409, "TooManyRequests": 429,
          "ServiceUnavailable": 503, "Timeout": 504}  # fmt: skip


async def _send_stream(
    first: bytes, chunks: AsyncIterator[bytes], send: Send, headers: list[tuple[bytes, bytes]]
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _options(request: Request) -> JsonObject:
    """The options of a write, as a webhook sees them."""
    options: JsonObject = {"kind": _WRITES[request.method], "apiVersion": "meta.k8s.io/v1"}
    if request.query.get("dryRun"):
        options["dryRun"] = ["All"]
    options |= {name: request.query[name] for name in ("fieldManager", "fieldValidation") if request.query.get(name)}
    return options
