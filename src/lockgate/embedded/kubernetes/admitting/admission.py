"""One request's admission: the answers that webhooks have given so far, and the next question."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lockgate.embedded.kubernetes.admitting.configurations import Webhook, Write, concerns
from lockgate.embedded.kubernetes.admitting.policies import Policies
from lockgate.embedded.kubernetes.admitting.reviews import Verdict, dry_run_refused, review
from lockgate.embedded.kubernetes.patch import json_patch
from lockgate.embedded.kubernetes.refusals import Denied
from lockgate.resources.model import JsonObject

_VOLATILE = ("uid", "creationTimestamp", "managedFields", "resourceVersion", "generation")
"""Metadata that differs each time a creation is decided again."""


class Question(Exception):
    """A webhook has to be asked before the write can be decided."""

    def __init__(self, key: str, webhook: Webhook, write: Write) -> None:
        super().__init__(webhook.name)
        self.key, self.webhook, self.write = key, webhook, write


@dataclass(slots=True)
class Admission:
    """`namespace_of` finds the Namespace of a write. `user` is who asks. `answers` are by question."""

    mutating: tuple[Webhook, ...]
    validating: tuple[Webhook, ...]
    namespace_of: Callable[[Write], JsonObject | None]
    user: JsonObject
    policies: Policies
    answers: dict[str, Verdict] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)

    def mutated(self, write: Write, complete: Callable[[JsonObject], JsonObject]) -> JsonObject:
        """The object after all mutating webhooks; `complete` sets defaults. Raises `Question`, `ApiError`."""
        assert write.body is not None
        asked: list[tuple[Webhook, JsonObject]] = []
        for webhook in self.mutating:
            write = self._one(webhook, write, complete, asked)
        for webhook, seen in tuple(asked):  # once more, those that want to see what later ones changed
            if webhook.reinvoked and write.body is not None and not _same(seen, write.body):
                write = self._one(webhook, write, complete, [])
        assert write.body is not None
        return write.body

    def _one(
        self,
        webhook: Webhook,
        write: Write,
        complete: Callable[[JsonObject], JsonObject],
        asked: list[tuple[Webhook, JsonObject]],
    ) -> Write:
        assert write.body is not None
        answer = self._answer(webhook, write)
        if answer is None:
            return write
        body = write.body
        if answer.patch:
            body = complete(json_patch(body, list(answer.patch)))
        asked.append((webhook, body))
        return replace(write, body=body)

    def validated(self, write: Write) -> None:
        """Raises `Question`, `ApiError`."""
        if self.policies:
            told = self.policies.warnings(write, self.user, self.namespace_of(write))
            self.warnings |= dict.fromkeys(told)
        for webhook in self.validating:
            self._answer(webhook, write)

    def _answer(self, webhook: Webhook, write: Write) -> Verdict | None:
        """None if the webhook has no say."""
        if not concerns(webhook, write, self.namespace_of(write)) or not self._conditions_met(webhook, write):
            return None
        if write.dry_run and webhook.has_side_effects:
            raise dry_run_refused(webhook)
        key = _key(webhook, write)
        found = self.answers.get(key)
        if found is None:
            raise Question(key, webhook, write)
        self.warnings |= dict.fromkeys(found.warnings)
        if found.refusal is not None:
            raise found.refusal
        return found

    def _conditions_met(self, webhook: Webhook, write: Write) -> bool:
        """A condition that cannot be evaluated counts only if none is false. Raises `ApiError`."""
        if not webhook.conditions:
            return True
        from lockgate.embedded.kubernetes.custom.cel import CelError, program

        request = review(write, "", self.user, {})["request"]
        values = {"object": write.body, "oldObject": write.before, "request": request}
        failed: CelError | None = None
        for each in webhook.conditions:
            try:
                if program(each.get("expression", "")).evaluate(values) is False:
                    return False
            except CelError as error:
                failed = error
        if failed is not None and not webhook.ignore_failures:
            raise Denied(f'failed to evaluate matchConditions of webhook "{webhook.name}": {failed}', "Forbidden", 403)
        return failed is None


def _key(webhook: Webhook, write: Write) -> str:
    parts: Iterable[Any] = (
        webhook.step,
        webhook.configuration,
        webhook.name,
        write.operation,
        _stable(write.body),
        _stable(write.before),
    )
    return hashlib.sha256(json.dumps(list(parts), sort_keys=True, default=str).encode()).hexdigest()


def _same(first: JsonObject, second: JsonObject) -> bool:
    return _stable(first) == _stable(second)


def _stable(body: Mapping[str, Any] | None) -> JsonObject | None:
    if body is None:
        return None
    metadata = body.get("metadata") or {}
    volatile = (*_VOLATILE, *(("name",) if metadata.get("generateName") else ()))
    return {**body, "metadata": {name: value for name, value in metadata.items() if name not in volatile}}
