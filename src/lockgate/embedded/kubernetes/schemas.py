"""What the API knows of a kind's fields: validation, defaults, and by what its lists merge."""

from __future__ import annotations

from pydantic import ValidationError

from lockgate.embedded.kubernetes.patch import MergeKey, Path
from lockgate.embedded.kubernetes.refusals import Cause, invalid
from lockgate.embedded.kubernetes.server_side_apply import ListKeys
from lockgate.resources.model import JsonObject, Resource


class Schemas:
    def checked(self, model: type[Resource], body: JsonObject) -> Resource:
        """The object as a typed value. Raises `Invalid` with every fault."""
        try:
            return model.model_validate(body)
        except ValidationError as error:
            causes = [Cause(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors()]
            raise invalid(model.KIND, body["metadata"].get("name", ""), causes) from error

    def defaulted(self, model: type[Resource], body: JsonObject) -> JsonObject:
        return body

    def unknown_fields(self, model: type[Resource], version: str, body: JsonObject) -> list[str]:
        return []

    def pruned(self, model: type[Resource], version: str, body: JsonObject) -> JsonObject:
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
