"""Schemas of kinds: validation, defaults, and merge keys of lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from lockgate.embedded.kubernetes import built_in_schemas, go_decoding, immutable
from lockgate.embedded.kubernetes.admitting import policies
from lockgate.embedded.kubernetes.catalogue import Unstructured
from lockgate.embedded.kubernetes.custom import cel, structural
from lockgate.embedded.kubernetes.patch import MergeKey
from lockgate.embedded.kubernetes.refusals import Cause, denied, invalid
from lockgate.embedded.kubernetes.storage import GroupKind
from lockgate.embedded.kubernetes.topology import OfModel, OfSchema, Topology, of_built_in
from lockgate.resources import merge_keys, schema, validation
from lockgate.resources.defaults import with_defaults
from lockgate.resources.field_errors import FieldError, Reason, field_name
from lockgate.resources.interning import share_names
from lockgate.resources.model import JsonObject, ObjectMeta, Resource
from lockgate.resources.status import ApiError
from lockgate.resources.workloads import Stored

# Faults for which rules are not evaluated, because they rely on the shape.
_BLOCKING = (Reason.REQUIRED, Reason.TYPE, Reason.TOO_LONG, Reason.TOO_MANY, Reason.UNSUPPORTED)


@dataclass(frozen=True, slots=True)
class Given:
    """A valid manifest and its typed value. Of thousands of objects, reading each once is enough, and so is
    one copy of what they say: the API's object and the file's document share it. Nobody modifies either."""

    manifest: JsonObject
    resource: Resource

    def shared(self, body: JsonObject) -> JsonObject:
        """`body` with the manifest's values, where they are equal."""
        content = {name: value for name, value in self.manifest.items() if name not in _ENVELOPE}
        return {**body, **{name: value for name, value in content.items() if body.get(name) == value}}

    def typed(self, model: type[Resource], body: JsonObject) -> Resource | None:
        """The typed value of `body`, if it says what the manifest says; after `shared`."""
        manifest = self.manifest
        names = (body.keys() | manifest.keys()) - _ENVELOPE
        if type(self.resource) is not model or any(body.get(name) is not manifest.get(name) for name in names):
            return None
        own = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
        managed = tuple(body["metadata"]["managedFields"])  # not validated, because that copies them
        metadata = ObjectMeta.model_validate(own).model_copy(update={"managed_fields": managed})
        found = self.resource.model_copy(update={"api_version": body["apiVersion"], "metadata": metadata})
        share_names(metadata)
        share_names(found)
        return found


_ENVELOPE = frozenset({"apiVersion", "kind", "metadata"})


class Schemas:
    """Typed kinds have their models, others the schemas of their CRDs. The rest accept anything."""

    def __init__(self) -> None:
        self._defined: dict[GroupKind, dict[str, JsonObject]] = {}
        # Checks of a kind beyond its schema.
        self.checks: dict[GroupKind, Callable[[JsonObject], list[FieldError]]] = {
            policies.POLICY: policies.refusals,
            policies.BINDING: policies.refusals_of_binding,
            **dict.fromkeys(policies.WEBHOOKS, policies.refusals_of_webhooks),
        }

    def define(self, kind: GroupKind, schemas: dict[str, JsonObject]) -> None:
        """Sets the `schemas` (by version) of a kind without a typed model."""
        self._defined[kind] = schemas

    def forget(self, kind: GroupKind) -> None:
        self._defined.pop(kind, None)

    def checked(
        self, model: type[Resource], body: JsonObject, old: JsonObject | None = None, given: Given | None = None
    ) -> Resource:
        """The object as a typed value. Raises `Invalid` with all faults, or an admission webhook's error.

        `old` is the replaced object, some of whose fields are immutable. What `given` says was checked before.
        """
        if given is not None and (known := given.typed(model, body)) is not None:
            if found := self._beyond_schema(model, body, old):
                raise refusal(model, body, found)
            return known
        if (own := self._schema(model)) is not None and (found := self._refusals(own, body, old)):
            raise refusal(model, body, found)
        try:
            parsed = model.model_validate(body)
        except ValidationError as error:
            raise refusal(model, body, validation.validate(model, body)) from error
        if found := [*validation.refusals(parsed, body), *self._beyond_schema(model, body, old)]:
            raise refusal(model, body, found)
        return parsed

    def check_version(self, model: type[Resource], version: str, body: JsonObject) -> None:
        """Checks a client's object of a user's kind in its own version. Raises `Invalid`."""
        own = self._schema(model, version)
        if own is not None:
            content = {name: value for name, value in body.items() if name != "metadata"}
            whole = {**structural.defaulted(own, content), "metadata": body["metadata"]}
            if found := self._refusals(own, whole, None):
                raise refusal(model, body, found)

    def _beyond_schema(self, model: type[Resource], body: JsonObject, old: JsonObject | None) -> list[FieldError]:
        check = self.checks.get(model.KIND.group_kind)
        found = check(body) if check else []
        return found if old is None else [*found, *immutable.refusals(model.KIND, old, body)]

    @staticmethod
    def _refusals(schema: JsonObject, body: JsonObject, old: JsonObject | None) -> list[FieldError]:
        found = structural.refusals(schema, body)
        if old is not None:  # what was stored before the schema may stay
            found = [fault for fault in found if not structural.unchanged(schema, body, old, fault.path)]
        if not cel.has_rules(schema):
            return found
        if any(fault.reason in _BLOCKING for fault in found):
            why = "some validation rules were not checked because the object was invalid"
            found.append(
                FieldError(
                    (),
                    Reason.INVALID,
                    f"Invalid value: null: {why}; correct the existing errors to complete validation",
                )
            )
            return found
        return [*found, *cel.refusals(schema, body, old)]

    def untyped(self, model: type[Resource], body: JsonObject) -> list[str]:
        """The values that have another type than their fields, in the words of server-side apply."""
        own = self._schema(model)
        return list(structural.untyped(own, body)) if own is not None else []

    @staticmethod
    def decoded(model: type[Resource], version: str, body: JsonObject) -> tuple[JsonObject, list[str]] | None:
        """A built-in kind's object without nulls and unknown fields, and the names of the latter; None for others.

        Raises `BadRequest` for a value of a wrong type.
        """
        found = go_decoding.decoded(model.KIND, version, body)
        return (found[0], [field_name(path) for path in found[1]]) if found else None

    def unknown_fields(self, model: type[Resource], version: str, body: JsonObject) -> list[str]:
        names = [field_name(path) for path in self._unknown(model, version, body)]
        return sorted(names) if self._schema(model, version) is not None else names

    def pruned(self, model: type[Resource], version: str, body: JsonObject) -> JsonObject:
        """The object without unknown fields."""
        for path in reversed(self._unknown(model, version, body)):
            body = _without(body, path)
        return body

    def defaulted(self, model: type[Resource], body: JsonObject) -> JsonObject:
        if (own := self._schema(model)) is not None:
            content = {name: value for name, value in body.items() if name != "metadata"}
            filled: JsonObject = structural.without_nulls(own, structural.defaulted(own, content))
            return {**filled, "metadata": body["metadata"]}
        try:
            return with_defaults(body)
        except (TypeError, AttributeError, KeyError, ValueError):
            return body  # defaults rely on the shape; `checked` reports the faults

    def open_api(self, model: type[Resource], version: str) -> tuple[str, JsonObject]:
        """The name of a kind's schema, and all schemas that it references."""
        kind = model.KIND
        incomplete = issubclass(model, (Unstructured, Stored)) or model.OPEN  # the model has not all fields
        api_version = f"{kind.group}/{version}" if kind.group else version
        if incomplete and (known_kind := built_in_schemas.component(api_version, kind.kind)):
            return known_kind
        if not issubclass(model, (Unstructured, Stored)):
            return schema.component(model, version)
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

    def topology(self, model: type[Resource]) -> Topology:
        """How a kind's maps and lists are merged by server-side apply."""
        if (own := self._schema(model)) is not None:
            return OfSchema(own)
        return of_built_in(model.KIND.api_version, model.KIND.kind) or OfModel(model)

    def merge_key(self, model: type[Resource]) -> MergeKey:
        """The merge keys of a kind's lists for strategic merge patches."""
        built_in = of_built_in(model.KIND.api_version, model.KIND.kind)
        return built_in.patch_key if built_in else partial(merge_keys.merge_key, model)

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
    """The error for an object with faults: the API server's own, else that of one webhook."""
    own = [fault for fault in faults if not fault.webhook]
    # The API server validates first. Webhooks are called only for objects that it accepts.
    error = _own_refusal(model, body, own) if own else _denial(faults)
    error.path = (own or faults)[0].path
    return error


def _own_refusal(model: type[Resource], body: JsonObject, faults: list[FieldError]) -> ApiError:
    causes = [Cause(fault.field or "<nil>", fault.message, fault.reason) for fault in faults]
    return invalid(model.KIND, body["metadata"].get("name", ""), causes)


def _denial(faults: list[FieldError]) -> ApiError:
    webhook = faults[0].webhook
    texts = [_said(fault) for fault in faults if fault.webhook == webhook]
    # Webhooks with field errors report all of them. The load balancer controller reports only the first.
    several = webhook.endswith("istio.io") or faults[0].message.startswith(_FIELD_ERRORS)
    return denied(webhook, texts if several else texts[:1])


def _said(fault: FieldError) -> str:
    """Webhooks with field errors name the field. The others have only a message."""
    return str(fault) if fault.message.startswith(_FIELD_ERRORS) else fault.message


_FIELD_ERRORS = ("Required value", "Invalid value", "Unsupported value", "Forbidden", "Duplicate value", "Too long")


def _without(value: Any, path: tuple[str | int, ...]) -> Any:
    part, rest = path[0], path[1:]
    if isinstance(value, list):
        return [_without(item, rest) if index == part else item for index, item in enumerate(value)]
    if not rest:
        return {name: item for name, item in value.items() if name != part}
    return {**value, part: _without(value[part], rest)}
