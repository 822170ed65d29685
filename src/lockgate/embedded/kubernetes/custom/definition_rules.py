"""What a cluster refuses in a CustomResourceDefinition beside its schema: names, columns, subresources, conversion.

Source: apiextensions-apiserver, `pkg/apis/apiextensions/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lockgate.embedded.kubernetes.admitting import clients
from lockgate.embedded.kubernetes.custom import schema_rules
from lockgate.embedded.kubernetes.custom.cel_formats import FORMATS
from lockgate.resources import field_errors
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.model import JsonObject

_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS: Final = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SIMPLE: Final = "must be a simple json path starting with ."


def refusals(body: JsonObject) -> Iterator[FieldError]:
    """The faults of a definition whose fields have the right types."""
    spec = body["spec"]
    yield from _names(spec)
    if spec.get("preserveUnknownFields"):
        why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        yield field_errors.invalid(("spec", "preserveUnknownFields"), True, why)
    for index, version in enumerate(spec["versions"]):
        at = ("spec", "versions", index)
        schema = version["schema"]["openAPIV3Schema"]
        yield from schema_rules.refusals(schema, (*at, "schema", "openAPIV3Schema"))
        yield from _columns(version, at)
        yield from _scale((version.get("subresources") or {}).get("scale"), (*at, "subresources", "scale"))
        yield from _selectable(version, schema, at)
        if version.get("deprecationWarning") and not version.get("deprecated"):
            text = version["deprecationWarning"]
            yield field_errors.invalid((*at, "deprecationWarning"), text, "can only be set for deprecated versions")
    yield from _conversion(spec.get("conversion") or {})
    yield from _unserved(body)


def _names(spec: JsonObject) -> Iterator[FieldError]:
    if "." not in spec["group"]:
        yield field_errors.invalid(("spec", "group"), spec["group"], "should be a domain with at least one dot")
    names = spec["names"]
    if names.get("listKind") and names["listKind"] == names["kind"]:
        why = "kind and listKind may not be the same"
        yield field_errors.invalid(("spec", "names", "listKind"), names["listKind"], why)
    for field in ("shortNames", "categories"):
        for index, name in enumerate(names.get(field) or ()):
            for why in FORMATS["dns1035Label"](name):
                yield field_errors.invalid(("spec", "names", field, index), name, why)


def _columns(version: JsonObject, at: Path) -> Iterator[FieldError]:
    for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
        place = (*at, "additionalPrinterColumns", index)
        if column.get("type") not in _COLUMN_TYPES:
            why = f"must be one of {','.join(_COLUMN_TYPES)}"
            yield field_errors.invalid((*place, "type"), column.get("type"), why)
        if column.get("format") and column["format"] not in _COLUMN_FORMATS:
            why = f"must be one of {','.join(_COLUMN_FORMATS)}"
            yield field_errors.invalid((*place, "format"), column["format"], why)
        if not str(column.get("jsonPath") or ".").startswith("."):
            yield field_errors.invalid((*place, "jsonPath"), column["jsonPath"], _SIMPLE)


def _scale(scale: JsonObject | None, at: Path) -> Iterator[FieldError]:
    if scale is None:
        return
    for name, root in (("specReplicasPath", ".spec"), ("statusReplicasPath", ".status"), ("labelSelectorPath", "")):
        path = str(scale.get(name) or "")
        if not path:
            if root:
                yield field_errors.required((*at, name))
        elif not path.startswith("."):
            yield field_errors.invalid((*at, name), path, _SIMPLE)
        elif root and not path.startswith(f"{root}."):
            yield field_errors.invalid((*at, name), path, f"should be a json path under {root}")
        elif not root and not path.startswith((".spec.", ".status.")):
            yield field_errors.invalid((*at, name), path, "should be a json path under either .status or .spec")


def _selectable(version: JsonObject, schema: JsonObject, at: Path) -> Iterator[FieldError]:
    for index, field in enumerate(version.get("selectableFields") or ()):
        path, place = str(field.get("jsonPath") or ""), (*at, "selectableFields", index, "jsonPath")
        if not path.startswith((".", "[")):
            start = path.partition(".")[0]
            yield field_errors.invalid(place, path, f"is an invalid path: expected [ or . but got: {start}")
        elif not schema_rules.refers(schema, path):
            yield field_errors.invalid(place, path, "is an invalid path: does not refer to a valid field")


def _unserved(body: JsonObject) -> Iterator[FieldError]:
    """Versions in which objects may still be stored."""
    names = {one["name"] for one in body["spec"]["versions"]}
    for index, version in enumerate((body.get("status") or {}).get("storedVersions") or ()):
        if version not in names:
            why = (
                f"missing from spec.versions; {version} was previously a storage version, and must remain in "
                f"spec.versions until a storage migration ensures no data remains persisted in {version} and removes "
                f"{version} from status.storedVersions"
            )
            yield field_errors.invalid(("status", "storedVersions", index), version, why)


def _conversion(conversion: JsonObject) -> Iterator[FieldError]:
    at, strategy = ("spec", "conversion"), conversion.get("strategy", "None")
    webhook = conversion.get("webhook") or {}
    client, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy not in ("None", "Webhook"):
        yield field_errors.unsupported((*at, "strategy"), strategy, ("None", "Webhook"))
    elif strategy == "None":
        if webhook:
            yield field_errors.forbidden((*at, "webhook"), "should not be set when strategy is not set to Webhook")
    elif not client:
        why = "required when strategy is set to Webhook"
        yield field_errors.required((*at, "webhookClientConfig"), why)
    elif found := list(clients.refusals(client, (*at, "webhookClientConfig"))):
        yield from found
    elif not versions:
        yield field_errors.required((*at, "conversionReviewVersions"))
    elif not {"v1", "v1beta1"} & set(versions):
        why = "must include at least one of v1, v1beta1"
        yield field_errors.invalid((*at, "conversionReviewVersions"), versions, why)
