"""The base of all manifests: the shape of a typed value, and the registry of kinds.

A kind is a frozen pydantic model. It defines parsing, validation errors with their paths, defaults, printer columns and
the OpenAPI document that kubectl reads. Fields are snake_case here and camelCase in manifests.

Fields that Go omits when empty have Go's zero value here ("", 0, (), {}); Go's pointers are ``None`` when absent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator
from pydantic_core import PydanticCustomError

# JSON as in the Kubernetes API. It is Any because Python's recursive aliases do not narrow.
JsonObject: TypeAlias = dict[str, Any]

# The API refuses "80" for a number and 1 for a boolean, so values are not converted.
Integer: TypeAlias = Annotated[int, Strict()]
Number: TypeAlias = Annotated[float, Strict()]
Flag: TypeAlias = Annotated[bool, Strict()]

# Go's acronyms in field names (Kubernetes' API conventions, "Naming conventions"): all capitals unless at the start.
_ACRONYMS = {
    word.lower(): word
    for word in (
        "ARN", "ARNs", "CA", "CIDR", "CIDRs", "CN", "ID", "IDs", "IP", "IPs", "IPC", "OS", "PID",
        "TLS", "UID", "URL", "URLs", "UUID",
    )
}  # fmt: skip


def manifest_name(field: str) -> str:
    """The manifest name of a Python field: ``clusterIP`` for ``cluster_ip``, ``dnsNames`` for ``dns_names``."""
    first, *rest = field.rstrip("_").split("_")
    return first + "".join(_ACRONYMS.get(word) or word[:1].upper() + word[1:] for word in rest)


def _int_or_string(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise PydanticCustomError("int_or_string", "Input should be an integer or a string")
    return value


IntOrString: TypeAlias = Annotated[int | str, BeforeValidator(_int_or_string)]


class Model(BaseModel):
    """An immutable part of a manifest. Unknown fields are ignored here and reported by `reader`."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=manifest_name,
        populate_by_name=True,
        defer_build=True,
    )

    # Additional fields are legal: this part is only stored, or read no deeper than this.
    OPEN: ClassVar[bool] = False
    # Groups of fields (by manifest name) of which at most one may be set.
    AT_MOST_ONE: ClassVar[tuple[tuple[str, ...], ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        # `labels:` without a value is null in YAML; Go decodes null into any field as its zero value.
        if isinstance(value, dict) and None in value.values():
            return {name: item for name, item in value.items() if item is not None}
        return value

    def manifest(self) -> JsonObject:
        """The fields that were set, as in a manifest: camelCase names, lists and maps."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class OwnerReference(Model):
    api_version: str
    kind: str
    name: str
    uid: str = ""
    controller: Flag | None = None
    block_owner_deletion: Flag | None = None


class ObjectMeta(Model):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: Integer = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: Integer | None = None
    self_link: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()
    managed_fields: tuple[JsonObject, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A printer column of `kubectl get`: a JSONPath into the object. A `wide` column needs ``-o wide``.

    `cell` computes from the manifest what no JSONPath can express (``2/2``, ``80:30080/TCP``); `path` is empty then. A
    column of type ``date`` has a timestamp that is printed as an age.
    """

    name: str
    path: str = ""
    type: str = "string"
    wide: bool = False
    cell: Callable[[JsonObject], str | int] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's names in the Kubernetes API. `versions` are served alike; the first is stored and preferred.

    The first column is the name, unless `columns` has a ``Name`` (Event).
    """

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = True
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()
    """Fields of a user's kind that field selectors may name."""
    replicas: tuple[str, str, str] | None = None
    """For a user's kind with ``/scale``: the paths of its desired and actual replicas, and of its selector."""

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.versions[0]}" if self.group else self.versions[0]

    @property
    def group_kind(self) -> tuple[str, str]:
        return (self.group, self.kind)


class ObjectKey(NamedTuple):
    """An object's name in one API: unique among live objects. `namespace` is empty for cluster-scoped kinds.

    It is a tuple because indexes of ten thousand objects hash and compare it all the time.
    """

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
    """Class decorator: registers a kind for the reader, the API and its documents."""
    _KINDS[model.KIND.group_kind] = model
    return model


def kinds() -> dict[tuple[str, str], type[Resource]]:
    """All registered kinds by (group, kind). Import `lockgate.resources.kinds` first."""
    return _KINDS
