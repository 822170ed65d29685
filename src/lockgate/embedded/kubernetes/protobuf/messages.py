"""The fields of Kubernetes' messages: a reader of `messages.txt`, which is written from upstream's struct tags.

A line has the name of a message and its fields, each as number, JSON name and type. A field without a name is inlined:
its fields belong to the outer object in JSON. Types are ``s`` (string), ``b`` (bytes), ``i`` (integer), ``z``
(boolean), ``d`` (double), or a message; ``*`` marks a list, ``%`` a map with string keys. The last character tells how
Go writes a zero value:

- ``?`` is a pointer. It is absent if unset, and a zero is a value.
- ``!`` is a plain field that JSON always contains.
- Other plain fields are not in JSON if they are zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias

Many: TypeAlias = Literal["", "*", "%"]
SCALARS: Final = frozenset("sbizd")


@dataclass(frozen=True, slots=True)
class Field:
    number: int
    name: str
    of: str
    many: Many
    pointer: bool
    always: bool


def message_of(api_version: str, kind: str) -> str | None:
    """The message of a built-in kind; None for others."""
    if kind == "DeleteOptions":  # in every group
        return "meta/v1.DeleteOptions"
    return _lines()[0].get(f"{api_version} {kind}") or _META.get((api_version, kind))


_META = {
    ("v1", "Status"): "meta/v1.Status",
    ("meta.k8s.io/v1", "PartialObjectMetadata"): "meta/v1.PartialObjectMetadata",
}


@cache
def fields_of(message: str) -> tuple[Field, ...]:
    return tuple(_field(text) for text in _lines()[1][message].split())


def _field(text: str) -> Field:
    number, name, of = text.split(":", 2)
    many: Many = "*" if of[0] == "*" else "%" if of[0] == "%" else ""
    return Field(int(number), name, of.strip("*%?!"), many, pointer=of.endswith("?"), always=of.endswith("!"))


@cache
def _lines() -> tuple[dict[str, str], dict[str, str]]:
    """Messages by API version and kind, and the unread fields of each message."""
    kinds: dict[str, str] = {}
    messages: dict[str, str] = {}
    for line in files(__package__).joinpath("messages.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        kind, equals, message = line.partition(" = ")
        if equals:
            kinds[kind] = message
        else:
            name, _, rest = line.partition(" ")
            messages[name] = rest
    return kinds, messages
