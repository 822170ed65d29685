"""What every manifest has in common: the shape of a typed value, and the registry of the kinds we know.

A kind is a frozen pydantic model. From it come parsing, every validation error with its path, defaults, printer
columns and the OpenAPI document that kubectl reads. Fields are snake_case here and camelCase in manifests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# JSON as the Kubernetes API moves it. Any, because Python's recursive aliases do not narrow.
JsonObject: TypeAlias = dict[str, Any]


class Model(BaseModel):
    """An immutable part of a manifest. Unknown fields are ignored here and told by `reader`."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        defer_build=True,
    )


class OwnerReference(Model):
    api_version: str
    kind: str
    name: str
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of `kubectl get`: a JSONPath into the object. `wide` ones show with ``-o wide`` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """How the Kubernetes API names a kind. `versions` are served alike, the first one stored and preferred."""

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = True
    columns: tuple[Column, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.versions[0]}" if self.group else self.versions[0]

    @property
    def group_kind(self) -> tuple[str, str]:
        return (self.group, self.kind)


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """An object's name in one API: unique among live objects. `namespace` is empty for cluster-scoped kinds."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class Resource(Model):
    """A whole object. Subclasses set `KIND`, and add `spec` and `status` as they need."""

    KIND: ClassVar[Kind]

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = Field(default_factory=ObjectMeta)

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.KIND.group, self.KIND.kind, self.metadata.namespace, self.metadata.name)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace


ResourceT = TypeVar("ResourceT", bound=Resource)

_KINDS: dict[tuple[str, str], type[Resource]] = {}


def register(model: type[ResourceT]) -> type[ResourceT]:
    """Class decorator: make a kind known to the reader, the API and its documents."""
    _KINDS[model.KIND.group_kind] = model
    return model


def kinds() -> dict[tuple[str, str], type[Resource]]:
    """All registered kinds by (group, kind). Import `lockgate.resources.kinds` first to have them all."""
    return _KINDS
