"""Checks input against a service's model: required members, ranges, lengths, enumerations, patterns.

In AWS, every front end checks these before its service gets the call, with the same messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from lockgate.embedded.aws.protocol import Call, Refusal, model
from lockgate.embedded.aws.xml_writer import UNWRITABLE

SHOWN = 5  # faults reported in one answer

# No parameter may contain characters that XML lacks, even if its model allows them, because no answer could contain
# them.
_WRITABLE = r"[\u0009\u000A\u000D\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]*"


def check(call: Call, *, loosely: bool = False) -> None:
    """Raises `Refusal` with all faults in the call's parameters, according to the model.

    `loosely` skips the patterns of strings, because manifests contain placeholders as names, which clients look up.
    """
    service = model(call.service)
    shape = service.operation_model(call.operation).input_shape
    if shape is None:
        return
    faults = list(_faults(shape, call.parameters, "", loosely))
    if not faults:
        return
    code = _CODES.get(call.service, "ValidationError")
    plural = "s" if len(faults) > 1 else ""
    raise Refusal(code, f"{len(faults)} validation error{plural} detected: {'; '.join(faults[:SHOWN])}")


_CODES = {
    "acm": "ValidationException",
    "cognito-idp": "InvalidParameterException",
    "ec2": "InvalidParameterValue",
    "route53": "InvalidInput",
    "shield": "ValidationException",
    "wafv2": "ValidationException",
}


def check_types(call: Call) -> None:
    """Checks that each value has its shape's type, since clients can send any type in JSON. Raises `Refusal`."""
    shape = model(call.service).operation_model(call.operation).input_shape
    if shape is not None:
        _check_type(shape, call.parameters, "")


def _check_type(shape: Any, value: Any, path: str) -> None:
    kind = shape.type_name
    found = type(value)
    if not issubclass(found, _TYPES.get(kind, (object,))) or (found is bool and kind != "boolean"):
        raise Refusal(
            "SerializationException", f"Value at '{path}' is of type {found.__name__}, where a {kind} is expected"
        )
    match kind:
        case "structure":
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    _check_type(member, value[name], _join(path, name))
        case "list":
            for number, item in enumerate(value, start=1):
                _check_type(shape.member, item, f"{path}.{number}.member")
        case "map":
            for key, item in value.items():
                _check_type(shape.value, item, f"{path}.{key}.member")


_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list, tuple),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "blob": (str, bytes),
}


def _faults(shape: Any, value: Any, path: str, loosely: bool) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            for name in shape.required_members:
                if value.get(name) is None:
                    yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    yield from _faults(member, value[name], _join(path, name), loosely)
        case "list":
            yield from _bounds(shape, len(value), value, path, "length")
            for number, item in enumerate(value, start=1):
                yield from _faults(shape.member, item, f"{path}.{number}.member", loosely)
        case "map":
            for key, item in value.items():
                yield from _text(shape.key, key, f"{path}.key", loosely)
                yield from _faults(shape.value, item, f"{path}.{key}.member", loosely)
        case "string":
            yield from _bounds(shape, len(value), value, path, "length")
            yield from _text(shape, value, path, loosely)
        case "integer" | "long" | "float" | "double":
            yield from _bounds(shape, value, value, path, "value")
        case _:
            return


def _bounds(shape: Any, size: float, value: Any, path: str, of: str) -> Iterator[str]:
    minimum, maximum = shape.metadata.get("min"), shape.metadata.get("max")
    if minimum is not None and size < minimum:
        yield _fault(value, path, f"have {of} greater than or equal to {minimum}")
    if maximum is not None and size > maximum:
        yield _fault(value, path, f"have {of} less than or equal to {maximum}")


def _text(shape: Any, value: str, path: str, loosely: bool) -> Iterator[str]:
    if UNWRITABLE.search(value):
        yield _fault(value, path, f"satisfy regular expression pattern: {_WRITABLE}")
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield _fault(value, path, f"satisfy enum value set: [{', '.join(allowed)}]")
    pattern = shape.metadata.get("pattern")
    if not loosely and pattern and (compiled := _compile(pattern)) and not compiled.fullmatch(value):
        yield _fault(value, path, f"satisfy regular expression pattern: {pattern}")


def _fault(value: Any, path: str, rule: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {rule}"


def _join(path: str, name: str) -> str:
    lower = name[0].lower() + name[1:]
    return f"{path}.{lower}" if path else lower


@cache
def _compile(pattern: str) -> re.Pattern[str] | None:
    """The models have Java patterns. Python lacks their Unicode classes."""
    if pattern == ".*":  # Java has more line terminators than Python
        return re.compile(r"[^\n\r\u0085\u2028\u2029]*")
    translated = re.sub(r"\\p\{(L|N|Z|P|S|M|IsL|Alpha|Graph|Print|ASCII)\}", r"\\w\\s", pattern)
    try:
        return re.compile(translated)
    except re.error:
        return None
