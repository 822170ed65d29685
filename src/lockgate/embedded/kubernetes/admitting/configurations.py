"""Webhook configurations as values, and whether a webhook has a say in a write.

Source: kube-apiserver `pkg/admission/plugin/webhook/{rules,predicates,generic}`; the defaults are those of
`pkg/apis/admissionregistration/v1/defaults.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from lockgate.resources.meta import LabelSelector
from lockgate.resources.model import JsonObject, Kind

Step: TypeAlias = Literal["Mutating", "Validating"]
GROUP: Final = "admissionregistration.k8s.io"
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook of a configuration. `client` is its clientConfig; `seconds` is its timeout."""

    configuration: str
    name: str
    client: JsonObject
    rules: tuple[JsonObject, ...]
    namespace_selector: JsonObject
    object_selector: JsonObject
    conditions: tuple[JsonObject, ...]
    ignore_failures: bool
    seconds: int
    has_side_effects: bool
    reinvoked: bool
    step: Step


@dataclass(frozen=True, slots=True)
class Write:
    """What is to be admitted. `body` is None for a deletion, `before` for a creation."""

    kind: Kind
    version: str
    operation: Literal["CREATE", "UPDATE", "DELETE"]
    namespace: str
    name: str
    subresource: str
    body: JsonObject | None
    before: JsonObject | None
    dry_run: bool


def webhooks(configuration: JsonObject, step: Step) -> Iterator[Webhook]:
    """A stored configuration's webhooks, in their order."""
    name = configuration["metadata"]["name"]
    for each in configuration.get("webhooks") or ():
        yield Webhook(
            configuration=name,
            name=each["name"],
            client=each.get("clientConfig") or {},
            rules=tuple(each.get("rules") or ()),
            namespace_selector=each.get("namespaceSelector") or {},
            object_selector=each.get("objectSelector") or {},
            conditions=tuple(each.get("matchConditions") or ()),
            ignore_failures=each.get("failurePolicy") == "Ignore",
            seconds=int(each.get("timeoutSeconds") or _SECONDS),
            has_side_effects=each.get("sideEffects") not in ("None", "NoneOnDryRun"),
            reinvoked=each.get("reinvocationPolicy") == "IfNeeded",
            step=step,
        )


def concerns(webhook: Webhook, write: Write, namespace: JsonObject | None) -> bool:
    """Whether the webhook is asked. `namespace` is the Namespace of the object, or the object if it is one.

    Webhooks are never asked about webhook configurations, or they could lock everybody out.
    """
    if write.kind.group == GROUP and write.kind.kind.endswith("WebhookConfiguration"):
        return False
    if not any(covers(rule, write) for rule in webhook.rules):
        return False
    if namespace is not None and not selected(webhook.namespace_selector, namespace):
        return False
    objects = [each for each in (write.body, write.before) if each is not None]
    return any(selected(webhook.object_selector, each) for each in objects)


def selected(selector: JsonObject, found: JsonObject) -> bool:
    return LabelSelector.model_validate(selector).matches((found.get("metadata") or {}).get("labels") or {})


def covers(rule: JsonObject, write: Write) -> bool:
    """Whether a rule is about a write."""
    scope = rule.get("scope") or "*"
    if scope != "*" and (scope == "Namespaced") != _is_namespaced(write):
        return False
    versions = _strings(rule.get("apiVersions"))
    return (
        _any(_strings(rule.get("operations")), write.operation)
        and _any(_strings(rule.get("apiGroups")), write.kind.group)
        # matchPolicy Equivalent, the default: any version of the kind is the same object.
        and ("*" in versions or any(each in versions for each in write.kind.versions))
        and any(_names(each, write) for each in _strings(rule.get("resources")))
    )


def _is_namespaced(write: Write) -> bool:
    """A Namespace counts as cluster-scoped, as upstream."""
    return write.kind.namespaced


def _names(resource: str, write: Write) -> bool:
    """``pods``, ``pods/status``, ``*``, ``*/*``, ``pods/*``, ``*/scale``."""
    plural, slash, subresource = resource.partition("/")
    if plural not in ("*", write.kind.plural):
        return False
    if not slash:
        return not write.subresource
    return subresource in ("*", write.subresource)


def _any(listed: Sequence[str], wanted: str) -> bool:
    return "*" in listed or wanted in listed


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in value or ())
