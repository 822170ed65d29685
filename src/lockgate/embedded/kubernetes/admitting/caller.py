"""Asks webhooks over HTTPS, by URL or by Service, with the CA bundle, timeout and failure policy of each.

Source: kube-apiserver `pkg/util/webhook`, `pkg/admission/plugin/webhook/errors/statuserror.go`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import ssl
from typing import Final, NamedTuple
from uuid import uuid4

from lockgate.embedded.kubernetes.admitting.admission import Admission, Question
from lockgate.embedded.kubernetes.admitting.configurations import GROUP, Step, Webhook, Write, webhooks
from lockgate.embedded.kubernetes.admitting.policies import Policies
from lockgate.embedded.kubernetes.admitting.reviews import BadAnswer, Verdict, review, verdict
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources import core
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import ApiError

log = logging.getLogger("lockgate.kubernetes.webhooks")

MOST_QUESTIONS: Final = 200
"""Of one request: objects that change meanwhile are asked about again."""

_LARGEST_ANSWER: Final = 16 * 1024 * 1024
_NAMESPACE = ("", "Namespace")


class _Place(NamedTuple):
    """Where to connect, the URL as messages have it, and the name in the certificate."""

    host: str
    port: int
    path: str
    url: str
    server_name: str


class _Unreachable(Exception):
    """Why a webhook could not be asked."""


class Callers:
    """`built_in` are the endings of names of webhooks whose checks the API has itself."""

    def __init__(self, storage: Storage, built_in: tuple[str, ...]) -> None:
        self._storage = storage
        self.built_in = built_in
        self._policies = Policies(storage)

    def admission(self, user: JsonObject) -> Admission | None:
        """The admission of a user's request; None if there is no webhook to ask, and no policy."""
        mutating, validating = (self._all(step) for step in ("Mutating", "Validating"))
        if not mutating and not validating and not self._policies:
            return None
        return Admission(mutating, validating, self._namespace, user, self._policies)

    async def ask(self, admission: Admission, question: Question, options: JsonObject) -> None:
        """Keeps the webhook's answer in `admission`. Raises `ApiError` if its failure fails the request."""
        webhook = question.webhook
        if len(admission.answers) >= MOST_QUESTIONS:
            raise ApiError(f'webhook "{webhook.name}" was asked too often: its answers change the object each time')
        try:
            admission.answers[question.key] = await self._asked(webhook, question.write, admission.user, options)
        except (_Unreachable, BadAnswer) as error:
            text = f'failed calling webhook "{webhook.name}": {error}'
            if not webhook.ignore_failures:
                raise ApiError(f"Internal error occurred: {text}") from error
            log.warning("%s, which its failurePolicy ignores", text)
            admission.answers[question.key] = Verdict()

    def _all(self, step: Step) -> tuple[Webhook, ...]:
        found = self._storage.all((GROUP, f"{step}WebhookConfiguration"))
        return tuple(
            webhook
            for stored in found  # by name, as upstream
            for webhook in webhooks(stored.json, step)
            if not webhook.name.endswith(self.built_in)
        )

    def _namespace(self, write: Write) -> JsonObject | None:
        if write.kind.group_kind == _NAMESPACE:
            return write.body or write.before
        if not write.namespace:
            return None
        stored = self._storage.get(ObjectKey("", "Namespace", "", write.namespace))
        return stored.json if stored is not None else {}

    async def _asked(self, webhook: Webhook, write: Write, user: JsonObject, options: JsonObject) -> Verdict:
        place = self._place(webhook)
        uid = str(uuid4())
        body = json.dumps(review(write, uid, user, options)).encode()
        try:
            async with asyncio.timeout(webhook.seconds):
                answer = await _posted(webhook, place, body)
        except TimeoutError:
            url = f"{place.url}?timeout={webhook.seconds}s"
            raise _Unreachable(f'failed to call webhook: Post "{url}": context deadline exceeded') from None
        return verdict(webhook, uid, answer)

    def _place(self, webhook: Webhook) -> _Place:
        from urllib.parse import urlsplit

        client = webhook.client
        if url := client.get("url"):
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.hostname:
                raise _Unreachable(f'"{url}" is not an https URL')
            path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
            return _Place(parts.hostname, parts.port or 443, path, url, parts.hostname)
        service = client.get("service") or {}
        namespace, name, port = service.get("namespace", ""), service.get("name", ""), int(service.get("port") or 443)
        path = f"/{str(service.get('path') or '').lstrip('/')}"
        host, number = self._endpoint(namespace, name, port)
        server_name = f"{name}.{namespace}.svc"
        return _Place(host, number, path, f"https://{server_name}:{port}{path}", server_name)

    def _endpoint(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """A ready endpoint of a Service, as kube-apiserver finds one without kube-proxy."""
        stored = self._storage.get(ObjectKey("", "Service", namespace, name))
        if stored is None:
            raise _Unreachable(f'failed to call webhook: service "{name}" not found')
        ports = stored.parsed(core.Service).spec.ports
        named = next((each.name for each in ports if each.port == port), None)
        if named is None:
            raise _Unreachable(f'failed to call webhook: no service port {port} found for service "{name}"')
        for each in self._storage.all(core.EndpointSlice.KIND.group_kind, namespace):
            slice_ = each.parsed(core.EndpointSlice)
            if slice_.metadata.labels.get("kubernetes.io/service-name") != name:
                continue
            for endpoint in slice_.endpoints:
                number = next((one.port for one in slice_.ports if one.name == named and one.port), None)
                if number and endpoint.addresses and endpoint.conditions.ready is not False:
                    return endpoint.addresses[0], number
        raise _Unreachable(f'failed to call webhook: no endpoints available for service "{name}"')


async def _posted(webhook: Webhook, place: _Place, body: bytes) -> object:
    import httpx

    host = f"[{place.host}]" if ":" in place.host else place.host
    try:
        async with (
            httpx.AsyncClient(verify=_trust(webhook), trust_env=False, timeout=webhook.seconds) as client,
            client.stream(
                "POST",
                f"https://{host}:{place.port}{place.path}",
                params={"timeout": f"{webhook.seconds}s"} if "?" not in place.path else None,
                content=body,
                headers={"Content-Type": "application/json", "Accept": "application/json", "Host": place.server_name},
                extensions={"sni_hostname": place.server_name},
            ) as answer,
        ):
            text = b""
            async for chunk in answer.aiter_bytes():
                text += chunk
                if len(text) > _LARGEST_ANSWER:
                    raise _Unreachable("the webhook's answer is too large")
    except (httpx.HTTPError, ssl.SSLError, OSError) as error:
        raise _Unreachable(f'failed to call webhook: Post "{place.url}": {error or type(error).__name__}') from error
    if answer.status_code != 200:
        shown = text[:200].decode("utf-8", "replace").strip()
        raise _Unreachable(f"failed to call webhook: the server answers {answer.status_code}: {shown}")
    try:
        found: object = json.loads(text)
    except ValueError as error:
        raise BadAnswer(f"the webhook's answer is not JSON: {error}") from None
    return found


def _trust(webhook: Webhook) -> ssl.SSLContext:
    bundle = webhook.client.get("caBundle")
    if not bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=base64.b64decode(bundle, validate=True).decode())
    except (binascii.Error, ValueError, ssl.SSLError) as error:
        raise _Unreachable(f"its caBundle is not certificates in PEM: {error}") from None
