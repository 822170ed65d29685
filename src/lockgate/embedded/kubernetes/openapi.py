"""The OpenAPI documents for kubectl's validation, merges and `explain`, on demand: in version 3 one per group and
version, and in version 2 one of all.

kubectl reads the query parameters of a kind's PATCH (whether it supports `dryRun` and `fieldValidation`), the schemas,
and their patch merge keys.
"""

from __future__ import annotations

from hashlib import sha256

from lockgate.embedded.kubernetes import built_in_schemas, openapi_v2
from lockgate.embedded.kubernetes.catalogue import Catalogue
from lockgate.embedded.kubernetes.conversions import EVENTS
from lockgate.embedded.kubernetes.discovery import served
from lockgate.embedded.kubernetes.exchange import encoded
from lockgate.embedded.kubernetes.negotiation import OPENAPI_V2, openapi_v2_media
from lockgate.embedded.kubernetes.schemas import Schemas
from lockgate.resources.model import JsonObject, Kind

_ACTIONS = (("get", "get"), ("put", "put"), ("patch", "patch"), ("delete", "delete"))


class Documents:
    def __init__(self, catalogue: Catalogue, schemas: Schemas) -> None:
        self._catalogue = catalogue
        self._schemas = schemas
        self._made: dict[str, bytes] = {}
        self._revision = -1

    def index(self) -> JsonObject:
        paths = {}
        for group, version in (*served(self._catalogue), (EVENTS.group, EVENTS.versions[0])):
            at = f"apis/{group}/{version}" if group else f"api/{version}"
            # The hash only has to change with the content. Hashing the content would require all documents, which is
            # slow.
            mark = sha256(f"{at} {self._catalogue.revision}".encode()).hexdigest()[:32].upper()
            paths[at] = {"serverRelativeURL": f"/openapi/v3/{at}?hash={mark}"}
        return {"paths": paths}

    def version_2(self, accept: str) -> tuple[bytes, str]:
        """The document of version 2, and its content type. Raises `NotAcceptable`."""
        self._refresh()
        media = openapi_v2_media(accept)
        if media not in self._made:
            documents = (self._make(path, complete=True) for path in self.index()["paths"])
            made = openapi_v2.swagger(document for document in documents if document is not None)
            self._made |= {"application/json": encoded(made), OPENAPI_V2: openapi_v2.message(made)}
        return self._made[media], media

    def document(self, path: str) -> bytes | None:
        """The document at ``api/v1`` or ``apis/G/V`` as JSON text; None for other paths."""
        self._refresh()
        if path not in self._made:
            made = self._make(path)
            if made is None:
                return None
            self._made[path] = encoded(made)
        return self._made[path]

    def _refresh(self) -> None:
        if self._revision != self._catalogue.revision:
            self._made.clear()
            self._revision = self._catalogue.revision

    def _make(self, path: str, *, complete: bool = False) -> JsonObject | None:
        """Models lack some fields of built-in kinds, and say so, which version 2 cannot. So its schemas are `complete`,
        but without descriptions."""
        match path.split("/"):
            case ["api", version]:
                group = ""
            case ["apis", group, version]:
                pass
            case _:
                return None
        models = served(self._catalogue).get((group, version), [])
        paths: JsonObject = {}
        components: JsonObject = {}
        if (group, version) == (EVENTS.group, EVENTS.versions[0]):
            found = built_in_schemas.component(EVENTS.api_version, EVENTS.kind)
            assert found is not None
            components.update(found[1])
            paths |= _paths(EVENTS, version, f"#/components/schemas/{found[0]}")
        elif not models:
            return None
        for model in models:
            built_in = (
                built_in_schemas.component(f"{group}/{version}".lstrip("/"), model.KIND.kind) if complete else None
            )
            name, schemas = built_in or self._schemas.open_api(model, version)
            components.update(schemas)
            paths |= _paths(model.KIND, version, f"#/components/schemas/{name}")
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.32.4"},
            "paths": paths,
            "components": {"schemas": components},
        }


def _paths(kind: Kind, version: str, schema: str) -> JsonObject:
    root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection, item = f"{root}{scope}/{kind.plural}", f"{root}{scope}/{kind.plural}/{{name}}"
    return {
        collection: {"post": _operation(kind, version, "post", schema)},
        item: {method: _operation(kind, version, action, schema) for method, action in _ACTIONS},
    }


def _operation(kind: Kind, version: str, action: str, schema: str) -> JsonObject:
    parameters = ["dryRun", "fieldManager", "fieldValidation"] if action in ("post", "put", "patch") else []
    if action == "patch":
        parameters.append("force")
    return {
        "operationId": f"{action}{kind.group.title().replace('.', '')}{version.title()}{kind.kind}",
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "boolean" if name == "force" else "string"}}
            for name in parameters
        ],
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": schema}}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": version, "kind": kind.kind},
    }
