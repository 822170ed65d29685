"""The fields of Kubernetes' messages: a reader of `messages.txt`, which is written from upstream's struct tags.

A line has the name of a message and its fields, each as number, JSON name and type. A field without a name is inlined:
its fields belong to the outer object in JSON. Types are ``s`` (string), ``b`` (bytes), ``i`` (integer), ``z``
(boolean), ``d`` (double), or a message; ``*`` marks a list, ``%`` a map with string keys. The last character tells how
Go writes a zero value:

- ``?`` is a pointer. It is absent if unset, and a zero is a value.
- ``!`` is a plain field that JSON always contains.
- Other plain fields are not in JSON if they are zero.

Then follows how the field is merged, if it is not merged as usual: ``#`` for an atomic map, ``&`` with the keys of a
list for server-side apply (none for a set), ``^`` with the key for strategic merge patches (none for scalars), ``~``
for the strategy ``retainKeys``. A message with ``#`` is atomic, too.
"""

from __future__ import annotations

import re
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
    atomic: bool
    keys: tuple[str, ...] | None
    """The keys of a list's items: () for a set, None for an atomic list."""
    patch_key: str | None
    """For strategic merge patches: "" for scalars, None if they replace the list."""
    retain_keys: bool


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
    found = _FIELD.fullmatch(text)
    assert found, text
    number, name, marked, of, zero, atomic, keys, patch_key, retain = found.groups()
    many: Many = "*" if marked == "*" else "%" if marked == "%" else ""
    return Field(
        int(number),
        name,
        of,
        many,
        pointer=zero == "?",
        always=zero == "!",
        atomic=bool(atomic),
        keys=None if keys is None else tuple(filter(None, keys.split(","))),
        patch_key=patch_key,
        retain_keys=bool(retain),
    )


_FIELD = re.compile(r"(\d+):([^:]*):([*%]?)([^?!#&^~]+)([?!]?)(#?)(?:&([^^~]*))?(?:\^([^~]*))?(~?)")


@cache
def is_atomic(message: str) -> bool:
    return message in _lines()[2]


@cache
def _lines() -> tuple[dict[str, str], dict[str, str], set[str]]:
    """Messages by API version and kind, the unread fields of each message, and the atomic messages."""
    kinds: dict[str, str] = {}
    messages: dict[str, str] = {}
    atomic: set[str] = set()
    for line in files(__package__).joinpath("messages.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        kind, equals, message = line.partition(" = ")
        if equals:
            kinds[kind] = message
        else:
            name, _, rest = line.partition(" ")
            messages[name.rstrip("#")] = rest
            if name.endswith("#"):
                atomic.add(name[:-1])
    return kinds, messages, atomic
