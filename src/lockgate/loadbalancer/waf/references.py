"""The resources that rules reference, in the WAFv2 API's shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

Json: TypeAlias = Mapping[str, Any]


def references_of(rules: Iterable[Json]) -> Iterator[str]:
    """The ARNs of sets and groups that rules reference, possibly with duplicates."""
    pending: list[Any] = [each.get("Statement") for each in rules]
    while pending:
        item = pending.pop()
        if isinstance(item, Mapping):
            for name, value in item.items():
                if name.endswith("ReferenceStatement") and isinstance(value, Mapping):
                    yield value["ARN"]
                elif name.endswith(("Statement", "Statements")):
                    pending.append(value)
        elif isinstance(item, list | tuple):
            pending += item
