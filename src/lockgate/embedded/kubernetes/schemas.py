"""What the API knows of a kind's fields: validation, defaults, and by what its lists merge."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import ValidationError

from lockgate.embedded.kubernetes import immutable, structural
from lockgate.embedded.kubernetes.catalogue import Unstructured
from lockgate.embedded.kubernetes.patch import MergeKey
from lockgate.embedded.kubernetes.refusals import Cause, denied, invalid
from lockgate.embedded.kubernetes.server_side_apply import ListKeys
from lockgate.embedded.kubernetes.storage import GroupKind
from lockgate.resources import merge_keys, schema, validation
from lockgate.resources.defaults import with_defaults
from lockgate.resources.field_errors import FieldError, field_name
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.status import ApiError


class Schemas:
    """Typed kinds by their models, others by the schemas that their CRDs bring, the rest anything goes."""

    def __init__(self) -> None:
        self._defined: dict[GroupKind, dict[str, JsonObject]] = {}
        # What a kind is refused for beyond its schema.
        self.checks: dict[GroupKind, Callable[[JsonObject], list[FieldError]]] = {}

    def define(self, kind: GroupKind, schemas: dict[str, JsonObject]) -> None:
        """Take `schemas` (by version) for a kind without a typed model."""
        self._defined[kind] = schemas

    def forget(self, kind: GroupKind) -> None:
        self._defined.pop(kind, None)

    def checked(self, model: type[Resource], body: JsonObject, old: JsonObject | None = None) -> Resource:
        """The object as a typed value. Raises `Invalid` with every fault, or what an admission webhook answers.

        `old` is what it replaces, of which some fields may not change.
        """
        if (own := self._schema(model)) is not None and (found := structural.refusals(own, body)):
            raise refusal(model, body, found)
        try:
            parsed = model.model_validate(body)
        except ValidationError as error:
            raise refusal(model, body, validation.validate(model, body)) from error
        found = validation.refusals(parsed, body)
        if check := self.checks.get(model.KIND.group_kind):
            found += check(body)
        if old is not None:
            found += immutable.refusals(model.KIND, old, body)
        if found:
            raise refusal(model, body, found)
        return parsed

    def unknown_fields(self, model: type[Resource], version: str, body: JsonObject) -> list[str]:
        return [field_name(path) for path in self._unknown(model, version, body)]

    def pruned(self, model: type[Resource], version: str, body: JsonObject) -> JsonObject:
        """The object without the fields that its kind does not have."""
        for path in reversed(self._unknown(model, version, body)):
            body = _without(body, path)
        return body

    def defaulted(self, model: type[Resource], body: JsonObject) -> JsonObject:
        if (own := self._schema(model)) is not None:
            result: JsonObject = structural.defaulted(own, body)
            return result
        try:
            return with_defaults(body)
        except (TypeError, AttributeError, KeyError, ValueError):
            return body  # defaults trust the shape; `checked` tells what is wrong with this one

    def open_api(self, model: type[Resource], version: str) -> tuple[str, JsonObject]:
        """The name of a kind's schema, and all schemas that it is made of."""
        if not issubclass(model, Unstructured):
            return schema.component(model, version)
        kind = model.KIND
        name = f"{schema.component_prefix(kind.group)}.{version}.{kind.kind}"
        known = self._schema(model, version)
        shape: JsonObject = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        if known is not None:
            envelope = {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            }
            shape = {**known, "properties": {**(known.get("properties") or {}), **envelope}}
        shape["x-kubernetes-group-version-kind"] = [{"group": kind.group, "version": version, "kind": kind.kind}]
        return name, {name: shape}

    def list_keys(self, model: type[Resource]) -> ListKeys:
        """By what server-side apply merges the lists of a kind."""
        if (own := self._schema(model)) is None:
            return partial(merge_keys.list_keys, model)
        return lambda path: (
            merge_keys.list_keys(model, path) if path[0] == "metadata" else structural.list_keys(own, path)
        )

    def merge_key(self, model: type[Resource]) -> MergeKey:
        """By what a strategic merge patch merges the lists of a kind."""
        return partial(merge_keys.merge_key, model)

    def _schema(self, model: type[Resource], version: str = "") -> JsonObject | None:
        defined = self._defined.get(model.KIND.group_kind)
        return defined.get(version or model.KIND.versions[0]) if defined else None

    def _unknown(self, model: type[Resource], version: str, body: JsonObject) -> list[tuple[str | int, ...]]:
        if (own := self._schema(model, version)) is not None:
            return structural.unknown_fields(own, body)
        if issubclass(model, Unstructured):
            return []
        return validation.unknown_fields(model, body)


def refusal(model: type[Resource], body: JsonObject, faults: list[FieldError]) -> ApiError:
    """What a client is told of an object with faults: the API server's own first, else one webhook's."""
    own = [fault for fault in faults if not fault.webhook]
    # The API server looks first; only what it takes comes before a webhook.
    error = _own_refusal(model, body, own) if own else _denial(faults)
    error.path = (own or faults)[0].path
    return error


def _own_refusal(model: type[Resource], body: JsonObject, faults: list[FieldError]) -> ApiError:
    causes = [Cause(fault.field, fault.message, fault.reason) for fault in faults]
    return invalid(model.KIND, body["metadata"].get("name", ""), causes)


def _denial(faults: list[FieldError]) -> ApiError:
    webhook = faults[0].webhook
    texts = [_said(fault) for fault in faults if fault.webhook == webhook]
    # Those that use field errors tell all of them; the load balancer controller's sentences end at the first.
    several = webhook.endswith("istio.io") or faults[0].message.startswith(_FIELD_ERRORS)
    return denied(webhook, texts if several else texts[:1])


def _said(fault: FieldError) -> str:
    """Webhooks that use field errors name the field, the others have only a sentence."""
    return str(fault) if fault.message.startswith(_FIELD_ERRORS) else fault.message


_FIELD_ERRORS = ("Required value", "Invalid value", "Unsupported value", "Forbidden", "Duplicate value", "Too long")


def _without(value: Any, path: tuple[str | int, ...]) -> Any:
    part, rest = path[0], path[1:]
    if isinstance(value, list):
        return [_without(item, rest) if index == part else item for index, item in enumerate(value)]
    if not rest:
        return {name: item for name, item in value.items() if name != part}
    return {**value, part: _without(value[part], rest)}
