"""What the API knows of a kind's fields: validation, defaults, and by what its lists merge."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from lockgate.embedded.kubernetes.patch import MergeKey, Path
from lockgate.embedded.kubernetes.refusals import Cause, denied, invalid
from lockgate.embedded.kubernetes.server_side_apply import ListKeys
from lockgate.resources import validation
from lockgate.resources.faults import Fault, field_name
from lockgate.resources.model import JsonObject, Resource
from lockgate.resources.status import ApiError


class Schemas:
    def checked(self, model: type[Resource], body: JsonObject) -> Resource:
        """The object as a typed value. Raises `Invalid` with every fault, or what an admission webhook answers."""
        try:
            parsed = model.model_validate(body)
        except ValidationError as error:
            raise _refusal(model, body, validation.validate(model, body)) from error
        if faults := validation.refusals(parsed, body):
            raise _refusal(model, body, faults)
        return parsed

    def warnings(self, model: type[Resource], body: JsonObject) -> list[str]:
        """What a client is told of an object that is stored all the same."""
        return [str(fault) for fault in validation.warnings(model.model_validate(body))]

    def defaulted(self, model: type[Resource], body: JsonObject) -> JsonObject:
        return body

    def unknown_fields(self, model: type[Resource], version: str, body: JsonObject) -> list[str]:
        return [field_name(path) for path in validation.unknown_fields(model, body)]

    def pruned(self, model: type[Resource], version: str, body: JsonObject) -> JsonObject:
        """The object without the fields that its kind does not have."""
        for path in validation.unknown_fields(model, body):
            body = _without(body, path)
        return body

    def open_api(self, model: type[Resource], version: str) -> tuple[str, JsonObject]:
        """The name of a kind's schema, and all schemas that it is made of."""
        name = f"{'.'.join(reversed((model.KIND.group or 'core').split('.')))}.{version}.{model.KIND.kind}"
        schema = {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "x-kubernetes-group-version-kind": [
                {"group": model.KIND.group, "version": version, "kind": model.KIND.kind}
            ],
        }
        return name, {name: schema}

    def list_keys(self, model: type[Resource]) -> ListKeys:
        return _list_keys

    def merge_key(self, model: type[Resource]) -> MergeKey:
        return _merge_key


def _list_keys(path: Path) -> tuple[str, ...] | None:
    if path == ("metadata", "finalizers"):
        return ()
    if path == ("metadata", "ownerReferences"):
        return ("uid",)
    if path == ("status", "conditions"):
        return ("type",)
    return None


def _merge_key(path: Path) -> str | None:
    keys = _list_keys(path)
    return None if keys is None else keys[0] if keys else ""


def _refusal(model: type[Resource], body: JsonObject, faults: list[Fault]) -> ApiError:
    name = body["metadata"].get("name", "")
    own = [fault for fault in faults if not fault.webhook]
    if own:  # the API server looks first; only what it takes comes before a webhook
        return invalid(model.KIND, name, [Cause(fault.field, fault.message, fault.reason) for fault in own])
    return denied(faults[0].webhook, [str(fault) for fault in faults if fault.webhook == faults[0].webhook])


def _without(value: Any, path: tuple[str | int, ...]) -> Any:
    part, rest = path[0], path[1:]
    if isinstance(value, list):
        return [_without(item, rest) if index == part else item for index, item in enumerate(value)]
    if not rest:
        return {name: item for name, item in value.items() if name != part}
    return {**value, part: _without(value[part], rest)}
