"""The specification of an annotation: name, type, the kinds it may be on, and how a group's members combine it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from lockgate.ingress.annotations.json_values import Node, decode
from lockgate.ingress.annotations.values import (
    Malformed,
    read_bool,
    read_int32,
    read_int64,
    read_list,
    read_map,
    read_string,
)
from lockgate.ingress.refusal import Refused
from lockgate.resources.faults import Origin
from lockgate.resources.model import Resource

PREFIX: Final = "alb.ingress.kubernetes.io/"
SERVICE_PREFIX: Final = "service.beta.kubernetes.io/"

T = TypeVar("T")
S = TypeVar("S")


class Merge(StrEnum):
    """What happens if several members of an IngressGroup set the annotation."""

    SAME = "must be equal wherever it is set"
    SAME_PER_PORT = "must be equal wherever it is set for a port"
    UNION = "joined; equal keys must have equal values"
    APART = "applies to each Ingress or backend separately"
    FIRST = "the first member's counts"


@dataclass(frozen=True, slots=True)
class Type(Generic[T]):
    """A way to parse the text. `name` is the controller's name, as used in its errors."""

    name: str
    read: Callable[[str], T]
    shape: str


STRING: Final[Type[str]] = Type("string", read_string, "text, not trimmed")
BOOL: Final[Type[bool]] = Type("bool", read_bool, "`true` or `false`, as Go's ParseBool")
INT32: Final[Type[int]] = Type("int32", read_int32, "whole number, digits only")
INT64: Final[Type[int]] = Type("int64", read_int64, "whole number, digits only")
LIST: Final[Type[tuple[str, ...]]] = Type("stringList", read_list, "`a,b`, items trimmed")
MAP: Final[Type[Mapping[str, str]]] = Type("stringMap", read_map, "`k=v,k=v`, trimmed, `\\,` for a comma")
JSON: Final[Type[str]] = Type("json", read_string, "JSON")

INGRESS: Final = "Ingress"
SERVICE: Final = "Service"


@dataclass(frozen=True, slots=True)
class Annotation(Generic[T]):
    """One annotation. A `name` with ``{…}`` is a family of annotations; see `of`.

    `scope` lists the kinds that it may be on, the one that wins first. `params` is the IngressClassParams field that
    overrides the annotation. `default` and `effect` are text for the reference, `fields` are the ELBv2 fields that it
    sets. `limits` describes what Lockgate accepts without effect, or refuses.
    """

    name: str
    type: Type[T]
    effect: str
    merge: Merge = Merge.APART
    scope: tuple[str, ...] = (INGRESS,)
    default: str = ""
    values: tuple[str, ...] = ()
    params: str = ""
    fields: str = ""
    limits: str = ""
    prefix: str = PREFIX
    key: str = field(init=False, repr=False)
    """The whole annotation, computed once, because it is looked up for every backend."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.prefix + self.name)

    @property
    def stem(self) -> str:
        """The fixed part of a family's name."""
        return self.name.partition("{")[0]

    def of(self, suffix: str) -> Annotation[T]:
        """The family's member for `suffix`."""
        return replace(self, name=self.stem + suffix)

    def read(self, *resources: Resource) -> T | None:
        """The value on the first of `resources` that has the annotation, or None. Raises `Refused`."""
        for resource in resources:
            if (raw := resource.metadata.annotations.get(self.key)) is not None:
                try:
                    return self.type.read(raw)
                except Malformed as error:
                    raise self._refused(resource, raw, error.reason) from None
        return None

    def parse(self, read: Callable[[Node], S], *resources: Resource) -> S | None:
        """As `read`, but parses the JSON with `read`."""
        for resource in resources:
            if (raw := resource.metadata.annotations.get(self.key)) is not None:
                try:
                    return decode(raw, read)
                except Malformed as error:
                    raise self._refused(resource, raw, error.reason) from None
        return None

    def path(self) -> tuple[str, str, str]:
        """The annotation's path in a manifest."""
        return ("metadata", "annotations", self.key)

    def _refused(self, resource: Resource, raw: str, reason: str) -> Refused:
        tail = f": {reason}" if reason else ""
        message = f"failed to parse {self.type.name} annotation, {self.key}: {raw}{tail}"
        return Refused(message, Origin(resource.key, self.path()))


AnyAnnotation = Annotation[Any]
