"""The Kubernetes API's errors about the fields of an object.

They are separate from `faults.Fault`, because their shape is upstream's: clients read the path, reason and message of
each (apimachinery `util/validation/field`, `Status.details.causes`). The reader reports each to the user as a `Fault`
with a code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from lockgate.resources.model import JsonObject

Path: TypeAlias = tuple[str | int, ...]


def value_at(value: Any, path: Path) -> Any:
    """The value at a path of a manifest; None if there is none."""
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


class Key(str):
    """A part of a path that is a map key, not a field; it is printed in brackets."""

    __slots__ = ()


class Reason(StrEnum):
    """`CauseType`s of apimachinery's `meta/v1`, for `Status.details.causes`."""

    REQUIRED = "FieldValueRequired"
    INVALID = "FieldValueInvalid"
    UNSUPPORTED = "FieldValueNotSupported"
    FORBIDDEN = "FieldValueForbidden"
    DUPLICATE = "FieldValueDuplicate"
    TOO_LONG = "FieldValueTooLong"
    TOO_MANY = "FieldValueTooMany"
    TYPE = "FieldValueTypeInvalid"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One reason to refuse an object. `message` starts as in the API (``Required value``); `str()` prefixes the field.

    `webhook` names the admission webhook that refuses; it is empty for the API server.
    """

    path: Path
    reason: Reason
    message: str
    webhook: str = ""

    @property
    def field(self) -> str:
        return field_name(self.path)

    def cause(self) -> JsonObject:
        return {"reason": self.reason.value, "message": self.message, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.path else self.message


def denial(faults: Sequence[FieldError]) -> str:
    """The first fault's webhook's answer for all of its faults: the text after ``denied the request: ``.

    Istio's webhook lists bare messages (hashicorp's multierror); others list field errors (apimachinery's aggregate).
    """
    webhook = faults[0].webhook
    own = [fault for fault in faults if fault.webhook == webhook]
    if webhook.endswith("istio.io"):
        if len(own) == 1:
            return f"configuration is invalid: {own[0].message}"
        listed = "".join(f"\n\t* {fault.message}" for fault in own)
        return f"configuration is invalid: {len(own)} errors occurred:{listed}\n\n"
    texts = [str(fault) for fault in own]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def required(path: Path, detail: str = "") -> FieldError:
    return FieldError(path, Reason.REQUIRED, "Required value" + (f": {detail}" if detail else ""))


def invalid(path: Path, value: object, detail: str) -> FieldError:
    return FieldError(path, Reason.INVALID, f"Invalid value: {quoted(value)}: {detail}")


def unsupported(path: Path, value: object, supported: Iterable[str]) -> FieldError:
    allowed = ", ".join(quoted(one) for one in supported)
    return FieldError(path, Reason.UNSUPPORTED, f"Unsupported value: {quoted(value)}: supported values: {allowed}")


def forbidden(path: Path, detail: str) -> FieldError:
    return FieldError(path, Reason.FORBIDDEN, f"Forbidden: {detail}")


def duplicate(path: Path, value: object) -> FieldError:
    return FieldError(path, Reason.DUPLICATE, f"Duplicate value: {quoted(value)}")


def too_long(path: Path, limit: int, unit: str = "bytes") -> FieldError:
    return FieldError(path, Reason.TOO_LONG, f"Too long: may not be more than {limit} {unit}")


def wrong_type(path: Path, value: object, expected: str) -> FieldError:
    """In the words of the CRD validator, which names the actual type."""
    found = json_type(value)
    message = f'Invalid value: "{found}": {field_name(path)} in body must be of type {expected}: "{found}"'
    return FieldError(path, Reason.TYPE, message)


def field_name(path: Path) -> str:
    """``spec.rules[0].http``. Map keys that are not plain names are in brackets: ``data[tls.crt]``."""
    text = ""
    for part in path:
        if isinstance(part, (int, Key)) or not _PLAIN.fullmatch(part):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


def json_type(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
        case _:
            return "array"


def json_kind(value: object) -> str:
    """The type of a JSON value as Go's decoder names it."""
    return {str: "string", dict: "object", list: "array", bool: "bool", type(None): "null"}.get(type(value), "number")


def quoted(value: object) -> str:
    """A value as Go's field errors print it: strings quoted, all else as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)
