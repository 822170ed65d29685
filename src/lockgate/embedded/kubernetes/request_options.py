"""The options of writes and deletions: query parameters, or a DeleteOptions in the body.

Source: apimachinery, `pkg/apis/meta/v1/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from lockgate.embedded.kubernetes import bodies
from lockgate.embedded.kubernetes.exchange import Request
from lockgate.embedded.kubernetes.refusals import Cause, invalid
from lockgate.resources.field_errors import json_kind, quoted
from lockgate.resources.model import JsonObject, Kind
from lockgate.resources.status import BadRequest

_NAMES = {"POST": "CreateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
_POLICIES = ("Foreground", "Background", "Orphan")
_MODES = ("", "Ignore", "Strict", "Warn")
_LONGEST = 128  # bytes of a manager's name


def check_write(request: Request) -> None:
    """Raises `Invalid` for values that options cannot have."""
    _refuse(request, [*_dry_run(request.all.get("dryRun", ())), *_manager(request), *_mode(request)])


def of_deletion(request: Request) -> JsonObject:
    """The options of a deletion. Raises `Invalid`, `BadRequest`."""
    options = bodies.optional_manifest(request)
    if (kind := options.get("kind")) not in (None, "", "DeleteOptions"):
        version = options.get("apiVersion", "")
        where = 'in scheme "pkg/runtime/scheme.go:111"'
        raise BadRequest(f'no kind "{kind}" is registered for version "{version}" {where}')
    for name, (type_, go) in _TYPES.items():
        value = options.get(name)
        if value is not None and (not isinstance(value, type_) or (type_ is int and isinstance(value, bool))):
            given = json_kind(value)
            raise BadRequest(f"json: cannot unmarshal {given} into Go struct field DeleteOptions.{name} of type {go}")
    if not request.body.strip():
        for name in ("propagationPolicy", "orphanDependents", "dryRun"):
            if name in request.query:
                options = {**options, name: request.query[name]}
        if "dryRun" in request.query:
            options["dryRun"] = list(request.all["dryRun"])
        if "orphanDependents" in request.query:
            options["orphanDependents"] = request.flag("orphanDependents")
        request.number("gracePeriodSeconds", signed=True)
    elif not options.get("dryRun") and "dryRun" in request.query:
        options = {**options, "dryRun": list(request.all["dryRun"])}
    _refuse(request, [*_deletion(options), *_dry_run(options.get("dryRun") or ())])
    return options


_TYPES: dict[str, tuple[type, str]] = {
    "gracePeriodSeconds": (int, "int64"),
    "preconditions": (dict, "v1.Preconditions"),
    "orphanDependents": (bool, "bool"),
    "propagationPolicy": (str, "v1.DeletionPropagation"),
    "dryRun": (list, "[]string"),
}


def _refuse(request: Request, causes: list[Cause]) -> None:
    if causes:
        name = _NAMES.get(request.method, "UpdateOptions")
        raise invalid(Kind("meta.k8s.io", ("v1",), name, name.lower()), "", causes)


def _dry_run(values: tuple[str, ...] | list[str]) -> Iterator[Cause]:
    if any(value != "All" for value in values):
        shown = ",".join(quoted(value) for value in values)
        yield Cause("dryRun", f'Unsupported value: [{shown}]: supported values: "All"', "FieldValueNotSupported")


def _manager(request: Request) -> Iterator[Cause]:
    manager = request.query.get("fieldManager", "")
    if len(manager.encode()) > _LONGEST:
        yield Cause("fieldManager", f"Too long: may not be more than {_LONGEST} bytes", "FieldValueTooLong")
    for index, character in enumerate(manager):
        if not character.isprintable():
            why = f"invalid character U+{ord(character):04X} (at position {index})"
            yield Cause("fieldManager", f"Invalid value: {quoted(manager)}: {why}")


def _mode(request: Request) -> Iterator[Cause]:
    mode = request.query.get("fieldValidation", "")
    if mode not in _MODES:
        supported = ", ".join(f'"{each}"' for each in _MODES)
        yield Cause(
            "fieldValidation",
            f'Unsupported value: "{mode}": supported values: {supported}',
            "FieldValueNotSupported",
        )


def _deletion(options: JsonObject) -> Iterator[Cause]:
    policy = options.get("propagationPolicy")
    if policy and options.get("orphanDependents") is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        yield Cause("propagationPolicy", f'Invalid value: "{policy}": {why}')
    if policy not in (None, "", *_POLICIES):
        supported = ", ".join(f'"{each}"' for each in (*_POLICIES, "nil"))
        why = f'Unsupported value: "{policy}": supported values: {supported}'
        yield Cause("propagationPolicy", why, "FieldValueNotSupported")
