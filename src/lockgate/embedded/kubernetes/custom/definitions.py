"""CustomResourceDefinitions of users: the kinds that they define are served like any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from lockgate.embedded.kubernetes.catalogue import Catalogue, Unstructured, is_built_in, unstructured
from lockgate.embedded.kubernetes.custom import cel, definition_rules
from lockgate.embedded.kubernetes.schemas import Schemas
from lockgate.embedded.kubernetes.writes import By, Writes
from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.model import Column, Flag, Integer, JsonObject, Kind, Model, ObjectKey, Resource

_DEFINITIONS = ("apiextensions.k8s.io", "CustomResourceDefinition")
_LABEL = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_AGE = Column("Age", ".metadata.creationTimestamp", type="date")


class Definitions:
    """Follows the stored definitions. The definition of a kind with a typed model is stored without effect."""

    def __init__(self, catalogue: Catalogue, schemas: Schemas, writes: Writes, clock: Callable[[], datetime]) -> None:
        self._catalogue = catalogue
        self._schemas = schemas
        self._writes = writes
        self._clock = clock
        schemas.checks[_DEFINITIONS] = refusals
        writes.observers.append(self._stored)
        writes.deletions.observers.append(self._removed)

    def _stored(self, model: type[Resource], body: JsonObject) -> None:
        if model.KIND.group_kind != _DEFINITIONS or body["metadata"].get("deletionTimestamp"):
            return
        kind = _kind(body["spec"])
        known = self._catalogue.by_kind(*kind.group_kind)
        if known is None or issubclass(known, Unstructured):
            self._schemas.define(kind.group_kind, _schemas(body["spec"]))
            if known is None or kind != known.KIND:
                self._catalogue.add(unstructured(kind))
            else:
                self._catalogue.touch()
        key = ObjectKey(*_DEFINITIONS, "", body["metadata"]["name"])
        by = By("kube-apiserver", subresource="status")
        self._writes.update(model, key, partial(_established, now=self._clock()), by)

    def _removed(self, body: JsonObject) -> None:
        if (body["apiVersion"].partition("/")[0], body["kind"]) != _DEFINITIONS:
            return
        kind = _kind(body["spec"])
        self._writes.deletions.drop_kind(*kind.group_kind)
        known = self._catalogue.by_kind(*kind.group_kind)
        if known is not None and issubclass(known, Unstructured):
            self._catalogue.remove(*kind.group_kind)
            self._schemas.forget(kind.group_kind)


class _Names(Model):
    plural: str = Field(pattern=_LABEL)
    kind: str = Field(pattern="^[A-Za-z][A-Za-z0-9]*$")
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


class _Column(Model):
    name: str
    type: str
    json_path: str
    format: str = ""
    priority: Integer = 0


class _Rule(Model):
    rule: str = ""
    message: str = ""
    message_expression: str = ""
    reason: str | None = None
    field_path: str = ""
    optional_old_self: Flag | None = None


class _Schema(Model):
    """Checks the schema keywords on which `structural` relies."""

    type: str = ""
    properties: dict[str, _Schema] = Field(default_factory=dict)
    additional_properties: bool | _Schema = False
    items: _Schema | None = None
    required: tuple[str, ...] = ()
    enum: tuple[Any, ...] | None = None
    all_of: tuple[_Schema, ...] = ()
    any_of: tuple[_Schema, ...] = ()
    one_of: tuple[_Schema, ...] = ()
    not_: _Schema | None = Field(default=None, alias="not")
    minimum: float | None = None
    maximum: float | None = None
    multiple_of: float | None = None
    min_length: Integer | None = None
    max_length: Integer | None = None
    min_items: Integer | None = None
    max_items: Integer | None = None
    min_properties: Integer | None = None
    max_properties: Integer | None = None
    pattern: str | None = None
    list_type: str | None = Field(default=None, alias="x-kubernetes-list-type")
    list_map_keys: tuple[str, ...] = Field(default=(), alias="x-kubernetes-list-map-keys")
    map_type: str | None = Field(default=None, alias="x-kubernetes-map-type")
    rules: tuple[_Rule, ...] = Field(default=(), alias="x-kubernetes-validations")
    nullable: Flag = False
    format: str = ""


class _Validation(Model):
    open_api_v3_schema: _Schema = Field(alias="openAPIV3Schema")


class _Scale(Model):
    spec_replicas_path: str = ""
    status_replicas_path: str = ""
    label_selector_path: str | None = None


class _Subresources(Model):
    status: dict[str, Any] | None = None
    scale: _Scale | None = None


class _Selectable(Model):
    json_path: str = ""


class _Service(Model):
    namespace: str = ""
    name: str = ""
    path: str | None = None
    port: Integer | None = None


class _Client(Model):
    url: str | None = None
    service: _Service | None = None
    ca_bundle: str | None = None


class _Webhook(Model):
    client_config: _Client | None = None
    conversion_review_versions: tuple[str, ...] = ()


class _Conversion(Model):
    strategy: str = "None"
    webhook: _Webhook | None = None


class _Version(Model):
    name: str = Field(pattern=_LABEL)
    served: Flag
    storage: Flag
    schema_: _Validation = Field(alias="schema")
    subresources: _Subresources = Field(default_factory=_Subresources)
    selectable_fields: tuple[_Selectable, ...] = ()
    deprecated: Flag = False
    deprecation_warning: str | None = None
    additional_printer_columns: tuple[_Column, ...] = ()


class _Spec(Model):
    group: str = Field(min_length=1)
    scope: Literal["Cluster", "Namespaced"]
    names: _Names
    versions: tuple[_Version, ...] = Field(min_length=1)
    conversion: _Conversion = Field(default_factory=_Conversion)
    preserve_unknown_fields: Flag = False


def refusals(body: JsonObject) -> list[FieldError]:
    """The faults of a definition that prevent serving it."""
    try:
        spec = _Spec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        # Invalid entries are not counted in the length of their list, which then seems too short.
        return [
            _fault(one) for one in error.errors(include_url=False) if one["type"] != "too_short" or not one["input"]
        ]
    found: list[FieldError] = []
    if is_built_in(spec.group):
        found.append(field_errors.forbidden(("spec", "group"), f"{spec.group} is one of the API's own groups"))
    for index, version in enumerate(body["spec"]["versions"]):
        at = ("spec", "versions", index, "schema", "openAPIV3Schema")
        found += _uncompiled(version["schema"]["openAPIV3Schema"], at)
    name = body["metadata"]["name"]
    if name != f"{spec.names.plural}.{spec.group}":
        found.append(field_errors.invalid(("metadata", "name"), name, 'must be spec.names.plural+"."+spec.group'))
    if sum(one.storage for one in spec.versions) != 1:
        why = "must have exactly one version marked as storage version"
        found.append(field_errors.invalid(("spec", "versions"), [one.name for one in spec.versions], why))
    if len({one.name for one in spec.versions}) < len(spec.versions):
        why = "must contain unique version names"
        found.append(field_errors.invalid(("spec", "versions"), [one.name for one in spec.versions], why))
    return [*found, *definition_rules.refusals(body)]


def _uncompiled(schema: JsonObject, at: Path) -> Iterator[FieldError]:
    """The rules that do not compile. Those of a cluster's functions that are not served here are among them."""
    for path, rule in cel.rules(schema, at):
        for name in ("rule", "messageExpression"):
            if expression := rule.get(name):
                try:
                    result = cel.program(str(expression)).result
                except cel.CelError as error:
                    yield field_errors.invalid((*path, name), expression, f"compilation failed: {error}")
                    continue
                if name == "rule" and result not in ("BOOL", "DYN"):
                    yield field_errors.invalid((*path, name), expression, "cel expression must evaluate to a bool")
                elif name != "rule" and result not in ("STRING", "DYN"):
                    why = "messageExpression must evaluate to a string"
                    yield field_errors.invalid((*path, name), expression, why)


def _fault(error: ErrorDetails) -> FieldError:
    path, value = ("spec", *error["loc"]), error["input"]
    match error["type"]:
        case "missing":
            return field_errors.required(path)
        case "string_pattern_mismatch":
            return field_errors.invalid(path, value, f"must match {error['ctx']['pattern']}")
        case "literal_error":
            return field_errors.invalid(path, value, f"must be {error['ctx']['expected']}")
        case "too_short" | "string_too_short":
            return field_errors.required(path)
        case kind:
            expected = next((name for sign, name in _TYPES.items() if kind.startswith(sign)), "another type")
            return field_errors.wrong_type(path, value, expected)


# By the prefix of pydantic's error types.
_TYPES = {
    "string": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "tuple": "array",
    "dict": "object",
    "model": "object",
}


def _kind(spec: JsonObject) -> Kind:
    """The storage version first, then the other served versions."""
    names = spec["names"]
    versions = sorted(spec["versions"], key=lambda one: not one.get("storage"))
    served = [one["name"] for one in versions if one.get("served", True)]
    stored = versions[0]
    return Kind(
        group=spec["group"],
        versions=tuple(served),
        kind=names["kind"],
        plural=names["plural"],
        namespaced=spec.get("scope") != "Cluster",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        has_status="status" in (stored.get("subresources") or {}),
        columns=tuple(_columns(stored.get("additionalPrinterColumns") or ())),
        selectable=tuple(str(one.get("jsonPath", "")).lstrip(".") for one in stored.get("selectableFields") or ()),
        replicas=_scale((stored.get("subresources") or {}).get("scale")),
    )


def _scale(declared: JsonObject | None) -> tuple[str, str, str] | None:
    if declared is None:
        return None
    names = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
    spec, status, selector = (str(declared.get(name) or "").lstrip(".") for name in names)
    return spec, status, selector


def _columns(listed: Any) -> list[Column]:
    if not listed:
        return [_AGE]
    return [
        Column(
            name=str(one.get("name", "")),
            path=str(one.get("jsonPath", "")),
            type=str(one.get("type", "string")),
            wide=bool(one.get("priority")),
        )
        for one in listed
    ]


def _schemas(spec: JsonObject) -> dict[str, JsonObject]:
    return {one["name"]: one["schema"]["openAPIV3Schema"] for one in spec["versions"]}


def _established(body: JsonObject, *, now: datetime) -> JsonObject:
    earlier = {one["type"]: one for one in (body.get("status") or {}).get("conditions") or ()}
    time = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastTransitionTime": earlier.get(type_, {}).get("lastTransitionTime", time),
        }
        for type_, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    names = body["spec"]["names"]
    stored = list((body.get("status") or {}).get("storedVersions") or ())
    stored += [one["name"] for one in body["spec"]["versions"] if one.get("storage") and one["name"] not in stored]
    accepted = {"listKind": f"{names['kind']}List", "singular": names["kind"].lower(), **names}
    return {**body, "status": {"acceptedNames": accepted, "conditions": conditions, "storedVersions": stored}}
