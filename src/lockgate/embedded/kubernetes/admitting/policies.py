"""ValidatingAdmissionPolicies and their bindings: CEL expressions that decide about writes.

Source: kubernetes.io "Validating Admission Policy"; apiserver's `pkg/admission/plugin/policy/validating`. There is no
`authorizer` here, because there are no roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from lockgate.embedded.kubernetes.admitting import configuration_rules
from lockgate.embedded.kubernetes.admitting.configurations import GROUP, Write, covers, selected
from lockgate.embedded.kubernetes.admitting.reviews import review
from lockgate.embedded.kubernetes.custom import cel
from lockgate.embedded.kubernetes.refusals import forbidden
from lockgate.embedded.kubernetes.storage import Storage
from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.model import JsonObject

POLICY: Final = (GROUP, "ValidatingAdmissionPolicy")
BINDING: Final = (GROUP, "ValidatingAdmissionPolicyBinding")
WEBHOOKS: Final = tuple((GROUP, f"{step}WebhookConfiguration") for step in ("Validating", "Mutating"))
_RESULTS = {"expression": "BOOL", "messageExpression": "STRING"}
_CODES = {"Unauthorized": 401, "Forbidden": 403, "Invalid": 422, "RequestEntityTooLarge": 413}


def refusals(body: JsonObject) -> list[FieldError]:
    """The faults of a policy, such as expressions that do not compile."""
    spec = body.get("spec") or {}
    found: list[FieldError] = []
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        why = "validations or auditAnnotations must contain at least one item"
        found += [field_errors.required(("spec", name), why) for name in ("validations", "auditAnnotations")]
    if not (spec.get("matchConstraints") or {}).get("resourceRules"):
        found.append(field_errors.required(("spec", "matchConstraints", "resourceRules")))
    found += configuration_rules.of_policy(spec)
    return [*found, *_uncompiled(("spec",), _expressions(spec))]


def refusals_of_binding(body: JsonObject) -> list[FieldError]:
    return list(configuration_rules.of_binding(body.get("spec") or {}))


def refusals_of_webhooks(body: JsonObject) -> list[FieldError]:
    """The faults of a webhook configuration."""
    conditions = (
        ((index, "matchConditions", number, "expression"), str(each.get("expression", "")))
        for index, webhook in enumerate(body.get("webhooks") or ())
        for number, each in enumerate(webhook.get("matchConditions") or ())
    )
    return [*configuration_rules.of_webhooks(body), *_uncompiled(("webhooks",), conditions)]


def _uncompiled(root: Path, expressions: Iterable[tuple[Path, str]]) -> Iterator[FieldError]:
    for path, expression in expressions:
        try:
            result = cel.program(expression).result
        except cel.CelError as error:
            yield field_errors.invalid((*root, *path), expression, f"compilation failed: {error}")
            continue
        expected = _RESULTS.get(str(path[-1])) if path[0] != "variables" else None
        if expected and result not in (expected, "DYN"):
            why = f"must evaluate to {expected.lower()} but got {result.lower()}"
            yield field_errors.invalid((*root, *path), expression, why)


def _expressions(spec: JsonObject) -> Iterator[tuple[Path, str]]:
    for name, fields in (
        ("matchConditions", ("expression",)),
        ("variables", ("expression",)),
        ("validations", ("expression", "messageExpression")),
        ("auditAnnotations", ("valueExpression",)),
    ):
        for index, each in enumerate(spec.get(name) or ()):
            for field in fields:
                if each.get(field):
                    yield (name, index, field), str(each[field])


class Policies:
    """The stored policies."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __bool__(self) -> bool:
        return bool(self._storage.count(POLICY) and self._storage.count(BINDING))

    def warnings(self, write: Write, user: JsonObject, namespace: JsonObject | None) -> Iterator[str]:
        """The warnings of policies that only warn. Raises `ApiError` if one denies the write."""
        if write.kind.group == GROUP:  # or a policy could lock everybody out
            return
        policies = {stored.key.name: stored.json["spec"] for stored in self._storage.all(POLICY)}
        for stored in self._storage.all(BINDING):
            binding = stored.json["spec"]
            policy = policies.get(binding.get("policyName", ""))
            if policy is None or not _matches(policy.get("matchConstraints") or {}, write, namespace):
                continue
            if (own := binding.get("matchResources")) and not _matches(own, write, namespace):
                continue
            violated = [
                each
                for params in self._params(policy, binding, write)
                for each in (
                    [("Invalid", params)]
                    if isinstance(params, str)
                    else _judged(policy, write, user, namespace, params)
                )
            ]
            for reason, message in violated:
                yield from self._told(binding, stored.key.name, write, reason, message)

    def _told(self, binding: JsonObject, name: str, write: Write, reason: str, message: str) -> Iterator[str]:
        by = f"ValidatingAdmissionPolicy '{binding['policyName']}' with binding '{name}'"
        actions = binding.get("validationActions") or ["Deny"]
        if "Deny" in actions:
            text = f"{by} denied request: {message}"
            error = forbidden(write.kind, write.name, text)
            error.reason, error.code = reason, _CODES.get(reason, 422)
            error.details["causes"] = [{"message": text}]
            raise error
        if "Warn" in actions:
            yield f"Validation failed for {by}: {message}"

    def _params(self, policy: JsonObject, binding: JsonObject, write: Write) -> Iterator[JsonObject | str | None]:
        """The objects that the binding gives to the policy as `params`, or why there are none.

        Without a kind of parameters, the policy is judged once, without them.
        """
        kind, reference = policy.get("paramKind"), binding.get("paramRef")
        if not kind or not reference:
            yield None
            return
        group = str(kind.get("apiVersion", "")).rpartition("/")[0]
        namespaces = {reference.get("namespace") or write.namespace, ""}
        found = [
            stored.json
            for stored in self._storage.all((group, str(kind.get("kind"))))
            if stored.key.namespace in namespaces
            and reference.get("name") in (None, "", stored.key.name)
            and (not reference.get("selector") or selected(reference["selector"], stored.json))
        ]
        yield from found
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            why = "no params found for policy binding with `Deny` parameterNotFoundAction"
            yield f"failed to configure binding: {why}"


def _matches(constraints: JsonObject, write: Write, namespace: JsonObject | None) -> bool:
    if not any(_named(rule, write) for rule in constraints.get("resourceRules") or [{}]):
        return False
    if any(_named(rule, write) for rule in constraints.get("excludeResourceRules") or ()):
        return False
    if namespace is not None and not selected(constraints.get("namespaceSelector") or {}, namespace):
        return False
    objects = [each for each in (write.body, write.before) if each is not None]
    return any(selected(constraints.get("objectSelector") or {}, each) for each in objects)


def _named(rule: JsonObject, write: Write) -> bool:
    """A binding without rules takes those of its policy, so an empty rule covers everything."""
    names = rule.get("resourceNames") or [write.name]
    return not rule or (write.name in names and covers(rule, write))


def _judged(
    policy: JsonObject, write: Write, user: JsonObject, namespace: JsonObject | None, params: JsonObject | None
) -> Iterator[tuple[str, str]]:
    """The violated validations: reason and message."""
    values: dict[str, Any] = {
        "object": write.body,
        "oldObject": write.before,
        "request": review(write, "", user, {})["request"],
        "params": params,
        "namespaceObject": namespace,
    }
    ignored = policy.get("failurePolicy") == "Ignore"
    for condition in policy.get("matchConditions") or ():
        try:
            if cel.program(condition["expression"]).evaluate(values) is not True:
                return
        except cel.CelError as error:
            if not ignored:
                yield "Invalid", f"failed to evaluate matchConditions: {error}"
            return
    variables: dict[str, Any] = {}
    for variable in policy.get("variables") or ():
        with suppress(cel.CelError):  # an expression that uses it fails then
            variables[variable["name"]] = cel.program(variable["expression"]).evaluate(
                {**values, "variables": variables}
            )
    values["variables"] = variables
    for validation in policy.get("validations") or ():
        expression = validation["expression"]
        try:
            if cel.program(expression).evaluate(values) is not True:
                yield validation.get("reason") or "Invalid", _message(validation, values)
        except cel.CelError as error:
            if not ignored:
                yield "Invalid", f"expression '{expression}' resulted in error: {error}"


def _message(validation: JsonObject, values: Mapping[str, Any]) -> str:
    if expression := validation.get("messageExpression"):
        with suppress(cel.CelError):
            told = cel.program(expression).evaluate(values)
            if isinstance(told, str) and told.strip():
                return told.strip()
    return str(validation.get("message") or f"failed expression: {validation['expression'].strip()}")
