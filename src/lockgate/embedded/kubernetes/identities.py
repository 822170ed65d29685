"""What a client may not change or contradict: the kind, version, name and namespace of the path, and some metadata."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from lockgate.embedded.kubernetes.calls import Call
from lockgate.embedded.kubernetes.catalogue import is_built_in
from lockgate.embedded.kubernetes.refusals import Cause, invalid, undecodable
from lockgate.resources.field_errors import json_kind, quoted
from lockgate.resources.model import JsonObject
from lockgate.resources.status import ApiError, BadRequest, Unclassified


def check_identity(call: Call, body: Any) -> None:
    """Checks that a body has the kind, version, name and namespace of the path."""
    kind, target = call.model.KIND, call.target
    if not isinstance(body, dict):
        raise undecodable(kind, target.version, "json: cannot unmarshal into Go value")
    if not isinstance(body.get("metadata", {}), dict | None):
        why = f"json: cannot unmarshal {json_kind(body['metadata'])} into Go value of type v1.ObjectMeta"
        raise undecodable(kind, target.version, why)
    if not is_built_in(kind.group):
        _check_users_kind(call, body)
    have = (body.get("apiVersion") or target.api_version, body.get("kind") or kind.kind)
    if have != (target.api_version, kind.kind):
        raise BadRequest(
            f"the API version in the data ({have[0]}, {have[1]}) does not match the expected API version "
            f"({target.api_version}, {kind.kind})"
        )
    metadata = body.get("metadata") or {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if target.name and name and name != target.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
    if kind.namespaced and namespace and namespace != target.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def check_patched(call: Call, before: JsonObject, after: Any) -> None:
    """Checks what a patch may not change."""
    kind, target = call.model.KIND, call.target
    metadata = after.get("metadata") if isinstance(after, dict) else None
    if not isinstance(metadata, dict):
        check_identity(call, after)
        return
    have = (after.get("apiVersion"), after.get("kind"))
    if have != (target.api_version, kind.kind) and is_built_in(kind.group):
        raise unpatchable(call, f"{have[0]}, Kind={have[1]} is not {target.api_version}, Kind={kind.kind}")
    check_identity(call, after)
    check_metadata(call, before["metadata"], metadata, replaced=False)


def unpatchable(call: Call, why: str) -> ApiError:
    shown = json.dumps(call.request.body.decode("utf-8", "replace"))
    return invalid(call.model.KIND, call.target.name, [Cause("patch", f"Invalid value: {shown}: {why}")])


def check_metadata(call: Call, before: JsonObject, after: JsonObject, *, replaced: bool) -> None:
    """Checks what a client may not change. A replacement's uid is a precondition instead."""
    version = after.get("resourceVersion")
    if version and not str(version).isdigit():
        raise Unclassified(f'strconv.ParseUint: parsing "{str(version)[:64]}": invalid syntax')
    for name in ("deletionTimestamp",) if replaced else ("uid", "deletionTimestamp"):
        if after.get(name) not in (None, "", before.get(name)):
            cause = Cause(f"metadata.{name}", f"Invalid value: {quoted(after[name])}: field is immutable")
            raise invalid(call.model.KIND, call.target.name, [cause])


def _check_users_kind(call: Call, body: JsonObject) -> None:
    kind, target = call.model.KIND, call.target
    if not body.get("kind"):
        text = json.dumps(body)
        raise BadRequest(
            f"the object provided is unrecognized (must be of type {kind.kind}): "
            f"Object 'Kind' is missing in '{text}' ({text[:64]})"
        )
    patched = call.request.method == "PATCH"
    for name, expected in (("kind", kind.kind), ("apiVersion", target.api_version)):
        if body.get(name) and body[name] != expected and (name == "kind" or patched):
            cause = Cause(name, f'Invalid value: "{body[name]}": must be {expected}')
            named = replace(kind, kind=str(body["kind"]))
            raise invalid(named, target.name or (body.get("metadata") or {}).get("name", ""), [cause])
    for name in ("labels", "annotations"):
        values = (body.get("metadata") or {}).get(name)
        for value in values.values() if isinstance(values, dict) else ():
            if not isinstance(value, str | None):
                why = f"json: cannot unmarshal {json_kind(value)} into Go struct field ObjectMeta.{name} of type string"
                raise undecodable(kind, target.version, why)
