"""Decodes request bodies: JSON, YAML and protobuf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

from lockgate.embedded.kubernetes import protobuf
from lockgate.embedded.kubernetes.exchange import Request, UnsupportedMediaType
from lockgate.resources.field_errors import Path, field_name
from lockgate.resources.model import JsonObject
from lockgate.resources.status import BadRequest
from lockgate.resources.unicode import ESCAPED_SURROGATE, without_surrogates

_ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_DEEPEST = 200  # no real manifest is deeper, and Python's recursion limit is higher


def manifest(request: Request) -> JsonObject:
    """The object in the body. Raises `BadRequest`, `UnsupportedMediaType`."""
    match request.content_type:
        case "application/vnd.kubernetes.protobuf":
            return protobuf.decode(request.body)
        case "application/json" | "":
            value = _json(request.body)
        case "application/yaml" | "application/apply-patch+yaml":
            value = from_yaml(request.body)
        case _:
            raise unsupported(_ACCEPTED)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"couldn't get version/kind; json parse error: expected an object, found {_name(value)}")
    return value


def optional_manifest(request: Request) -> JsonObject:
    """Like `manifest`, but an empty body is an empty object, as DeleteOptions are optional."""
    return manifest(request) if request.body.strip() else {}


def patch(request: Request) -> Any:
    return _json(request.body)


def from_yaml(text: bytes) -> Any:
    """One YAML document (JSON is YAML). Aliases are refused, because a few lines of them can expand to gigabytes."""
    import yaml

    if text.lstrip()[:1] == b"{":
        return _json(text)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, loader)):
            raise BadRequest("error converting YAML to JSON: aliases are not accepted")
        value = yaml.load(text, loader)  # noqa: S506  a safe loader
        # Dates and the like are converted to JSON's types. Values that JSON lacks, such as infinity, are refused.
        return _json(json.dumps(value, default=str, allow_nan=False).encode())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise BadRequest(f"error converting YAML to JSON: {error}") from error


def unsupported(accepted: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )


def _json(text: bytes) -> Any:
    """Decodes like Go: invalid UTF-8 and lone surrogates become U+FFFD."""
    decoded = text.decode("utf-8", "replace")
    try:
        value = json.loads(decoded, parse_constant=_no_constant, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"couldn't get version/kind; json parse error: {error}") from error
    check_depth(value)
    return without_surrogates(value) if ESCAPED_SURROGATE.search(decoded) else value


def repeated_fields(request: Request) -> list[str]:
    """The fields that a JSON body has more than once. The last one counts."""
    if request.content_type not in ("application/json", ""):
        return []
    try:
        value = json.loads(request.body.decode("utf-8", "replace"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return []
    return [field_name(path) for path in _repeated(value, ())]


class _Pairs(list[tuple[str, Any]]):
    """An object, with repeated names."""


def _repeated(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, part in value:
            if name in seen:
                yield (*path, name)
            seen.add(name)
            yield from _repeated(part, (*path, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _repeated(part, (*path, index))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float | int:
    """Go writes a float that is a whole number, such as 50.0 from Python, without its fraction."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"cannot unmarshal number {text[:40]} into Go value of type float64")
    return int(number) if number.is_integer() and abs(number) < 1e21 else number


def check_depth(value: Any) -> None:
    """Raises `BadRequest` for a value that is nested deeper than `_DEEPEST`."""
    if _depth(value) > _DEEPEST:
        raise BadRequest(f"exceeded max depth {_DEEPEST}")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            part
            for item in level
            if isinstance(item, (dict, list))
            for part in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def _name(value: Any) -> str:
    return {list: "a list", str: "a string", type(None): "null"}.get(type(value), "a scalar")
