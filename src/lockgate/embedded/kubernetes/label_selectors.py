"""Label selectors, parsed as apimachinery's `pkg/labels/selector.go` does: same language, same errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from lockgate.resources.field_errors import quoted
from lockgate.resources.rules import metadata
from lockgate.resources.status import BadRequest

Labels = Mapping[str, str]
Requirement = Callable[[Labels], bool]

_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_SYMBOLS = frozenset(["==", "!=", "=", "!", "<", ">", "(", ")", ","])
_OPERATORS = "in, notin, =, ==, !=, gt, lt"


def requirements(text: str) -> list[Requirement]:
    """Raises `BadRequest`."""
    tokens = _Tokens([*_TOKEN.findall(text)])
    found: list[Requirement] = []
    while tokens.next:
        if tokens.next in _SYMBOLS - {"!"}:
            raise BadRequest(f"found '{tokens.next}', expected: !, identifier, or 'end of string'")
        try:
            found.append(_requirement(tokens))
        except _Unparsable as error:
            raise BadRequest(f"unable to parse requirement: {error}") from None
        if not tokens.next:
            break
        if (separator := tokens.take()) != ",":
            raise BadRequest(f"found '{separator}', expected: ',' or 'end of string'")
        if not tokens.next or tokens.next in _SYMBOLS - {"!"}:
            raise BadRequest(f"found '{tokens.next}', expected: identifier after ','")
    return found


class _Unparsable(ValueError):
    pass


class _Tokens:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> str:
        """The token that comes; "" at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        taken = self.next
        self._at += 1
        return taken


def _requirement(tokens: _Tokens) -> Requirement:
    absent = tokens.next == "!"
    if absent:
        tokens.take()
    key = tokens.take()
    if not key or key in _SYMBOLS:
        raise _Unparsable(f"found '{key}', expected: identifier")
    for fault in metadata.labels((), {key: ""}):
        raise _Unparsable(f"<nil>: {fault.message}")
    if absent:
        return lambda labels: key not in labels
    if tokens.next in ("", ","):
        return lambda labels: key in labels
    operator = tokens.take()
    if operator in ("in", "notin"):
        values = frozenset(_values(tokens))
        _check_values(key, sorted(values))
        return lambda labels: (labels.get(key) in values) is (operator == "in")
    if operator not in ("=", "==", "!=", "<", ">"):
        raise _Unparsable(f"found '{operator}', expected: {_OPERATORS}")
    value = ""
    if tokens.next not in ("", ","):
        value = tokens.take()
        if value in _SYMBOLS:
            raise _Unparsable(f"found '{value}', expected: identifier")
    if operator in ("<", ">"):
        return _ordered(key, operator, value)
    _check_values(key, [value])
    return lambda labels: (labels.get(key) == value) is (operator != "!=")


def _values(tokens: _Tokens) -> Iterator[str]:
    if (opening := tokens.take()) != "(":
        raise _Unparsable(f"found '{opening}' expected: '('")
    if tokens.next == ")":
        tokens.take()
        yield ""
        return
    last = ","
    while True:
        found = tokens.take()
        if found == ")":
            if last == ",":
                yield ""
            return
        if found == ",":
            if last == ",":
                yield ""
        elif not found or found in _SYMBOLS:
            raise _Unparsable(f"found '{found}', expected: ',', or identifier")
        else:
            yield found
            if tokens.next not in (",", ")"):
                raise _Unparsable(f"found '{tokens.next}', expected: ',' or ')'")
        last = found


def _check_values(key: str, values: list[str]) -> None:
    faults = [
        f"values[{index}][{key}]: {fault.message}"
        for index, value in enumerate(values)
        for fault in metadata.labels((), {"key": value})
    ]
    if faults:
        raise _Unparsable(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")


def _ordered(key: str, operator: str, value: str) -> Requirement:
    """A label that is not a whole number is neither more nor less."""
    try:
        limit = int(value)
    except ValueError:
        why = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise _Unparsable(f"values[0]: Invalid value: {quoted(value)}: {why}") from None

    def holds(labels: Labels) -> bool:
        try:
            found = int(labels.get(key, ""))
        except ValueError:
            return False
        return found > limit if operator == ">" else found < limit

    return holds
