"""The JSONPath of printer columns: ``.status.conditions[?(@.type=="Ready")].status``, ``.spec.hosts[0]``.

Source: kubernetes.io "JSONPath Support", limited to what CRDs' `additionalPrinterColumns` allow.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeAlias

_STEP = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\'"]|\\.)+)
      | \[\?\(@\.(?P<key>[^=!\s]+)\s*(?P<operator>==|!=)\s*["'](?P<value>[^"']*)["']\)\]
      | \[(?P<index>-?\d+)\]
      | \[["'](?P<quoted>[^"']+)["']\]
      | \[(?P<all>\*)\] | \.(?=\[)
    """,
    re.VERBOSE,
)
Step: TypeAlias = tuple[str, Any]


def first(path: str, body: Any) -> Any:
    """The first value at `path`, or None. An invalid path has no value."""
    values = [body]
    for step in _steps(path):
        values = [found for value in values for found in _take(step, value)]
    return values[0] if values else None


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[Step, ...]:
    path = path.removeprefix("{").removesuffix("}").removeprefix("$")
    if not path.startswith((".", "[")):
        path = f".{path}"
    steps: list[Step] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return (("field", "\0"),)
        if found["field"]:
            steps.append(("field", re.sub(r"\\(.)", r"\1", found["field"])))
        elif found["key"]:
            steps.append(("filter", (found["key"].split("."), found["operator"] == "==", found["value"])))
        elif found["index"]:
            steps.append(("index", int(found["index"])))
        elif found["quoted"]:
            steps.append(("field", found["quoted"]))
        elif found["all"]:
            steps.append(("all", None))
        at = found.end()
    return tuple(steps)


def _take(step: Step, value: Any) -> list[Any]:
    name, argument = step
    match name:
        case "field":
            found = value.get(argument) if isinstance(value, dict) else None
            return [] if found is None else [found]
        case "index":
            in_range = isinstance(value, list) and -len(value) <= argument < len(value)
            return [value[argument]] if in_range else []
        case "filter":
            keys, equal, text = argument
            items = value if isinstance(value, list) else ()
            return [item for item in items if (_deep(item, keys) == text) is equal]
        case _:
            return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []


def _deep(value: Any, keys: list[str]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
