"""CEL: the rules in schemas of users' kinds (`x-kubernetes-validations`), and compiled expressions in general.

The library loads at the first expression. A rule with `oldSelf` is a transition rule: it applies only to an update, and
only where the old value is known, which in a list needs keys.

Source: kubernetes.io "Extend the Kubernetes API with CustomResourceDefinitions", "Validation rules";
apiextensions-apiserver, `pkg/apiserver/schema/cel/validation.go`.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from lockgate.embedded.kubernetes.custom.cel_syntax import as_written, rewritten
from lockgate.resources.field_errors import FieldError, Path, Reason, quoted, value_at
from lockgate.resources.model import JsonObject


class CelError(ValueError):
    """An expression that does not compile, or whose evaluation failed."""


class Program:
    """A compiled expression. Raises `CelError`."""

    def __init__(self, expression: str) -> None:
        from lockgate.embedded.kubernetes.custom.cel_library import environment

        try:
            self._compiled = environment().compile(rewritten(expression))
        except RuntimeError as error:
            raise CelError(
                as_written(str(error)).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
            ) from error

    @property
    def result(self) -> str:
        """The type of what it evaluates to; ``DYN`` if that is not known."""
        name: str = self._compiled.return_type().name()
        return name

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        try:
            result = self._compiled.eval(data=dict(values))
        except (RuntimeError, TypeError, ValueError) as error:
            raise CelError(as_written(str(error))) from error
        if result.type().name() == "ERROR":
            raise CelError(_as_in_go(as_written(str(result.plain_value()).partition(": ")[2])))
        return result.plain_value()


def _as_in_go(text: str) -> str:
    """An evaluation's error in the words of cel-go, by which users search."""
    if found := re.fullmatch(r'Key not found in map : "(.*)"', text):
        return f"no such key: {found[1]}"
    if text.startswith("No matching overloads found"):
        return "no such overload"
    return "division by zero" if text == "divide by zero" else text


@lru_cache(maxsize=4096)
def program(expression: str) -> Program:
    return Program(expression)


def has_rules(schema: JsonObject) -> bool:
    """Whether a schema, or a part of it, has rules."""
    return next(rules(schema, ()), None) is not None


def rules(schema: JsonObject, path: Path) -> Iterator[tuple[Path, JsonObject]]:
    """All rules of a schema, with the path of each in the schema."""
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        yield (*path, "x-kubernetes-validations", index), rule
    for name, part in (schema.get("properties") or {}).items():
        yield from rules(part, (*path, "properties", name))
    for name in ("items", "additionalProperties"):
        if isinstance(part := schema.get(name), dict):
            yield from rules(part, (*path, name))


def refusals(schema: JsonObject, value: Any, old: Any, path: Path = ()) -> Iterator[FieldError]:
    """The rules that a value violates. `old` is the replaced value; None if there is none, or it is not known."""
    if value is None:
        return
    for rule in schema.get("x-kubernetes-validations") or ():
        yield from _judged(rule, schema, value, old, path)
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        before = old if isinstance(old, dict) else {}
        for name, item in value.items():
            if inner := properties.get(name) or (more if isinstance(more, dict) else None):
                yield from refusals(inner, item, before.get(name), (*path, name))
    elif isinstance(value, list) and (items := schema.get("items")):
        known = _by_key(schema, old) if isinstance(old, list) else {}
        for index, item in enumerate(value):
            yield from refusals(items, item, known.get(_key(schema, item)), (*path, index))


def _by_key(schema: JsonObject, items: list[Any]) -> dict[str, Any]:
    return {key: item for item in items if (key := _key(schema, item))}


def _key(schema: JsonObject, item: Any) -> str:
    """The key of an item; "" in a list whose items have none."""
    names = schema.get("x-kubernetes-list-map-keys") if schema.get("x-kubernetes-list-type") == "map" else None
    return json.dumps([item.get(name) for name in names]) if names and isinstance(item, dict) else ""


def _judged(rule: JsonObject, schema: JsonObject, value: Any, old: Any, path: Path) -> Iterator[FieldError]:
    expression = rule["rule"]
    values = {"self": typed(schema, value, root=not path)}
    if _OLD.search(expression):
        optional = rule.get("optionalOldSelf")
        if old is None and not optional:
            return
        values["oldSelf"] = None if old is None else typed(schema, old, root=not path)
        if optional:
            expression = _OLD.sub("optional.none()" if old is None else "optional.of(oldSelf)", expression)
    elif old == value:
        return  # what was stored before the rule may stay
    try:
        if program(expression).evaluate(values) is True:
            return
        why = _message(rule, values)
    except CelError as error:
        shown = rule.get("message") or rule["rule"]
        yield FieldError(path, Reason.INVALID, f"Invalid value: {error} evaluating rule: {shown}")
        return
    at = (*path, *field_path(rule.get("fieldPath") or ""))
    reason = rule.get("reason") or Reason.INVALID
    match reason:
        case Reason.FORBIDDEN:
            yield FieldError(at, Reason.FORBIDDEN, f"Forbidden: {why}")
        case Reason.REQUIRED:
            yield FieldError(at, Reason.REQUIRED, f"Required value: {why}")
        case Reason.DUPLICATE:
            yield FieldError(at, Reason.DUPLICATE, f"Duplicate value: {quoted(value_at(value, at[len(path) :]))}")
        case _:
            shown = "" if isinstance(value, (dict, list)) else f"{quoted(value)}: "
            yield FieldError(at, Reason.INVALID, f"Invalid value: {shown}{why}")


_OLD = re.compile(r"\boldSelf\b")


def _message(rule: JsonObject, values: Mapping[str, Any]) -> str:
    if expression := rule.get("messageExpression"):
        with suppress(CelError):
            told = program(expression).evaluate(values)
            if isinstance(told, str) and told.strip() and "\n" not in told:
                return told
    return str(rule.get("message") or f"failed rule: {rule['rule']}")


def field_path(text: str) -> Path:
    """``.spec['a.b']`` as parts."""
    return tuple(name or quoted_name for name, quoted_name in re.findall(r"\.([A-Za-z_$][\w$]*)|\['([^']*)'\]", text))


def typed(schema: JsonObject, value: Any, *, root: bool = False) -> Any:
    """A value of the type that its schema gives it in CEL. Fields have names that CEL can express."""
    if isinstance(value, dict):
        properties, more = schema.get("properties") or {}, schema.get("additionalProperties")
        result: JsonObject = {}
        for name, item in value.items():
            if name in properties:
                result[_escaped(name)] = typed(properties[name], item)
            elif root and name == "metadata":
                result[name] = {part: item[part] for part in ("name", "generateName") if part in item}
            else:
                result[name] = typed(more if isinstance(more, dict) else {}, item)
        return result
    if isinstance(value, list):
        items = schema.get("items") or {}
        return [typed(items, item) for item in value]
    if isinstance(value, str) and (format_ := schema.get("format")):
        return _of_format(format_, value)
    if isinstance(value, int) and not isinstance(value, bool) and schema.get("type") == "number":
        return float(value)
    return value


def _of_format(name: str, text: str) -> Any:
    from google.protobuf.duration_pb2 import Duration
    from google.protobuf.timestamp_pb2 import Timestamp

    with suppress(ValueError):
        match name:
            case "date-time" | "date":
                moment = Timestamp()
                moment.FromDatetime(datetime.fromisoformat(text))
                return moment
            case "byte":
                return b64decode(text)
            case "duration" if parts := re.findall(r"([\d.]+)(h|ms|m|s)", text):
                units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
                span = Duration()
                span.FromTimedelta(timedelta(seconds=sum(float(number) * units[unit] for number, unit in parts)))
                return span
    return text


_RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)


def _escaped(name: str) -> str:
    if name in _RESERVED:
        return f"__{name}__"
    text = name.replace("__", "__underscores__")
    for character, word in ((".", "__dot__"), ("-", "__dash__"), ("/", "__slash__")):
        text = text.replace(character, word)
    return text
