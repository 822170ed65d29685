"""CustomResourceDefinitions that a user applies: the kinds that they bring, from then on served like any other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from lockgate.embedded.kubernetes.catalogue import Catalogue, Unstructured, is_built_in, unstructured
from lockgate.embedded.kubernetes.schemas import Schemas
from lockgate.embedded.kubernetes.writes import By, Writes
from lockgate.resources import faults
from lockgate.resources.faults import Fault
from lockgate.resources.model import Column, JsonObject, Kind, ObjectKey, Resource

_DEFINITIONS = ("apiextensions.k8s.io", "CustomResourceDefinition")
_AGE = Column("Age", ".metadata.creationTimestamp", type="date")


class Definitions:
    """Follows the stored definitions. A kind with a typed model keeps that; its definition is only kept."""

    def __init__(self, catalogue: Catalogue, schemas: Schemas, writes: Writes, clock: Callable[[], datetime]) -> None:
        self._catalogue = catalogue
        self._schemas = schemas
        self._writes = writes
        self._clock = clock
        schemas.checks[_DEFINITIONS] = refusals
        writes.observers.append(self._stored)
        writes.removal_observers.append(self._removed)

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
        self._writes.drop_kind(*kind.group_kind)
        known = self._catalogue.by_kind(*kind.group_kind)
        if known is not None and issubclass(known, Unstructured):
            self._catalogue.remove(*kind.group_kind)
            self._schemas.forget(kind.group_kind)


def refusals(body: JsonObject) -> list[Fault]:
    """What is wrong with a definition, as far as serving it depends on it."""
    spec = body.get("spec") or {}
    names = spec.get("names") or {}
    found: list[Fault] = []
    if not (group := spec.get("group")):
        found.append(faults.required(("spec", "group")))
    elif is_built_in(str(group)):
        found.append(faults.forbidden(("spec", "group"), f"{group} is one of the API's own groups"))
    found += [faults.required(("spec", "names", part)) for part in ("plural", "kind") if not names.get(part)]
    if spec.get("scope") not in ("Namespaced", "Cluster"):
        found.append(faults.unsupported(("spec", "scope"), spec.get("scope", ""), ("Cluster", "Namespaced")))
    expected = f"{names.get('plural')}.{group}"
    name = body["metadata"].get("name")
    if not found and name != expected:
        found.append(faults.invalid(("metadata", "name"), name, 'must be spec.names.plural+"."+spec.group'))
    versions = spec.get("versions") or []
    if not isinstance(versions, list) or not all(isinstance(one, dict) and one.get("name") for one in versions):
        found.append(faults.required(("spec", "versions")))
        return found
    if sum(bool(one.get("storage")) for one in versions) != 1:
        found.append(
            faults.invalid(
                ("spec", "versions"), len(versions), "must have exactly one version marked as storage version"
            )
        )
    for index, one in enumerate(versions):
        if not isinstance((one.get("schema") or {}).get("openAPIV3Schema"), dict):
            at = ("spec", "versions", index, "schema", "openAPIV3Schema")
            found.append(faults.required(at, "schemas are required"))
    return found


def _kind(spec: JsonObject) -> Kind:
    """The stored version comes first, the other served ones after it."""
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
    )


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
    stored = [one["name"] for one in body["spec"]["versions"] if one.get("storage")]
    accepted = {"listKind": f"{names['kind']}List", "singular": names["kind"].lower(), **names}
    return {**body, "status": {"acceptedNames": accepted, "conditions": conditions, "storedVersions": stored}}
