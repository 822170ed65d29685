"""Asks admission webhooks, with the timeout and failure policy of each.

Source: apiserver `pkg/admission/plugin/webhook/errors/statuserror.go`.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final
from uuid import uuid4

from lockgate.embedded.kubernetes.admitting.admission import Admission, Question
from lockgate.embedded.kubernetes.admitting.configurations import GROUP, Step, Webhook, Write, webhooks
from lockgate.embedded.kubernetes.admitting.policies import Policies
from lockgate.embedded.kubernetes.admitting.reviews import BadAnswer, Verdict, review, verdict
from lockgate.embedded.kubernetes.hooks import Hooks, Unreachable
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import ApiError

log = logging.getLogger("lockgate.kubernetes.webhooks")

MOST_QUESTIONS: Final = 200
"""Of one request: objects that change meanwhile are asked about again."""

_NAMESPACE = ("", "Namespace")


class Callers:
    """`built_in` are the endings of names of webhooks whose checks the API has itself."""

    def __init__(self, storage: Storage, built_in: tuple[str, ...]) -> None:
        self._storage = storage
        self.built_in = built_in
        self._policies = Policies(storage)
        self._hooks = Hooks(storage)

    def admission(self, user: JsonObject) -> Admission | None:
        """The admission of a user's request; None if there is no webhook to ask, and no policy."""
        mutating, validating = (self._all(step) for step in ("Mutating", "Validating"))
        if not mutating and not validating and not self._policies:
            return None
        return Admission(mutating, validating, partial(namespace_of, self._storage), user, self._policies)

    async def ask(self, admission: Admission, question: Question, options: JsonObject) -> None:
        """Keeps the webhook's answer in `admission`. Raises `ApiError` if its failure fails the request."""
        webhook = question.webhook
        if len(admission.answers) >= MOST_QUESTIONS:
            raise ApiError(f'webhook "{webhook.name}" was asked too often: its answers change the object each time')
        try:
            admission.answers[question.key] = await self._asked(webhook, question.write, admission.user, options)
        except (Unreachable, BadAnswer) as error:
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

    async def _asked(self, webhook: Webhook, write: Write, user: JsonObject, options: JsonObject) -> Verdict:
        uid = str(uuid4())
        try:
            answer = await self._hooks.post(webhook.client, review(write, uid, user, options), webhook.seconds)
        except Unreachable as error:
            raise Unreachable(f"failed to call webhook: {error}") from error
        return verdict(webhook, uid, answer)


def namespace_of(storage: Storage, write: Write) -> JsonObject | None:
    if write.kind.group_kind == _NAMESPACE:
        return write.body or write.before
    if not write.namespace:
        return None
    stored = storage.get(ObjectKey("", "Namespace", "", write.namespace))
    return stored.json if stored is not None else {}
