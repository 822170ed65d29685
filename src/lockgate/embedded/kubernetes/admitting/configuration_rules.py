"""What a cluster refuses in webhook configurations, policies and bindings, beside their expressions.

Source: kubernetes/kubernetes, `pkg/apis/admissionregistration/validation/validation.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from lockgate.embedded.kubernetes.admitting import clients
from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.model import JsonObject

_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_FAILURE_POLICIES: Final = ("Fail", "Ignore")
_REASONS: Final = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
_ACTIONS: Final = ("Audit", "Deny", "Warn")
_SIDE_EFFECTS: Final = ("None", "NoneOnDryRun")
_VERSIONS: Final = ("v1", "v1beta1")
_LONGEST: Final = 30  # s
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?){2,}")


def of_webhooks(body: JsonObject) -> Iterator[FieldError]:
    for index, webhook in enumerate(body.get("webhooks") or ()):
        yield from _webhook(webhook, ("webhooks", index))


def _webhook(webhook: JsonObject, at: Path) -> Iterator[FieldError]:
    name = webhook.get("name") or ""
    if not name:
        yield field_errors.required((*at, "name"))
    elif not _NAME.fullmatch(name):
        why = "should be a domain with at least three segments separated by dots"
        yield field_errors.invalid((*at, "name"), name, why)
    yield from clients.refusals(webhook.get("clientConfig") or {}, (*at, "clientConfig"))
    yield from _rules(webhook.get("rules"), (*at, "rules"))
    yield from _supported(webhook, "failurePolicy", _FAILURE_POLICIES, at)
    yield from _supported(webhook, "matchPolicy", ("Equivalent", "Exact"), at)
    yield from _supported(webhook, "reinvocationPolicy", ("IfNeeded", "Never"), at)
    if (effects := webhook.get("sideEffects")) is None:
        yield field_errors.required((*at, "sideEffects"), f"must specify one of {', '.join(_SIDE_EFFECTS)}")
    elif effects not in _SIDE_EFFECTS:
        yield field_errors.unsupported((*at, "sideEffects"), effects, _SIDE_EFFECTS)
    seconds = webhook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= _LONGEST:
        why = f"the timeout value must be between 1 and {_LONGEST} seconds"
        yield field_errors.invalid((*at, "timeoutSeconds"), seconds, why)
    versions = webhook.get("admissionReviewVersions") or []
    if not versions:
        yield field_errors.required((*at, "admissionReviewVersions"), f"must specify one of {', '.join(_VERSIONS)}")
    elif not set(versions) & set(_VERSIONS):
        why = f"must include at least one of {', '.join(_VERSIONS)}"
        yield field_errors.invalid((*at, "admissionReviewVersions"), versions, why)
    yield from _conditions(webhook, at)


def of_policy(spec: JsonObject) -> Iterator[FieldError]:
    yield from _supported(spec, "failurePolicy", _FAILURE_POLICIES, ("spec",))
    yield from _rules(
        (spec.get("matchConstraints") or {}).get("resourceRules"), ("spec", "matchConstraints", "resourceRules")
    )
    yield from _conditions(spec, ("spec",))
    for index, each in enumerate(spec.get("validations") or ()):
        at = ("spec", "validations", index)
        if not str(each.get("expression") or "").strip():
            yield field_errors.required((*at, "expression"), "expression is not specified")
        yield from _supported(each, "reason", _REASONS, at)


def of_binding(spec: JsonObject) -> Iterator[FieldError]:
    if not spec.get("policyName"):
        yield field_errors.required(("spec", "policyName"))
    actions = spec.get("validationActions") or []
    if not actions:
        yield field_errors.required(("spec", "validationActions"))
    for index, action in enumerate(actions):
        if action not in _ACTIONS:
            yield field_errors.unsupported(("spec", "validationActions", index), action, _ACTIONS)
    if {"Deny", "Warn"} <= set(actions):
        why = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        yield field_errors.invalid(("spec", "validationActions"), actions, why)


def _rules(rules: Any, at: Path) -> Iterator[FieldError]:
    for index, rule in enumerate(rules or ()):
        for name in ("operations", "apiGroups", "apiVersions", "resources"):
            if not rule.get(name):
                yield field_errors.required((*at, index, name))
        for number, operation in enumerate(rule.get("operations") or ()):
            if operation not in _OPERATIONS:
                yield field_errors.unsupported((*at, index, "operations", number), operation, _OPERATIONS)


def _conditions(owner: JsonObject, at: Path) -> Iterator[FieldError]:
    for index, condition in enumerate(owner.get("matchConditions") or ()):
        if not condition.get("name"):
            yield field_errors.required((*at, "matchConditions", index, "name"))


def _supported(owner: JsonObject, name: str, values: tuple[str, ...], at: Path) -> Iterator[FieldError]:
    if (value := owner.get(name)) is not None and value not in values:
        yield field_errors.unsupported((*at, name), value, values)
