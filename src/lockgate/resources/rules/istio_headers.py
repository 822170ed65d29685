"""Header names and values as Istio's webhook reads them: `pkg/config/validation`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockgate.resources import istio
from lockgate.resources.field_errors import FieldError, Path
from lockgate.resources.rules.istio_names import problem, q
from lockgate.resources.unicode import visible

_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PSEUDO = frozenset((":method", ":scheme", ":authority", ":path", ":status"))
_CLAIMS = "@request.auth.claims"
_EMPTY = "header name cannot be empty"
_WHY = "header value configuration: invalid header configuration. "


def matched_name(path: Path, name: str) -> Iterator[FieldError]:
    """The name of a header that a match compares."""
    if not name:
        yield problem(path, _EMPTY)
    elif not is_claim(name) and name not in _PSEUDO and not _NAME.fullmatch(name):
        yield problem(path, f"header name {visible(name)} is not a valid header name")


def is_claim(name: str) -> bool:
    """Whether the header stands for a claim of a JWT. Source: `pkg/jwt/routing.go`, ToRoutingClaim."""
    rest = name[len(_CLAIMS) :]
    if not name.lower().startswith(_CLAIMS):
        return False
    return (rest.startswith(".") and len(rest) > 1) or (rest.startswith("[") and rest.endswith("]") and len(rest) > 2)


def listed_name(path: Path, name: str) -> Iterator[FieldError]:
    """The name of a header in a list of CORS."""
    if not name:
        yield problem(path, _EMPTY)
    elif name != "*" and not _NAME.fullmatch(name):
        yield problem(path, f"header name {visible(name)} is not a valid header name")


def operations(path: Path, headers: istio.Headers | None) -> Iterator[FieldError]:
    """What a rule or a destination changes. A request's authority may be set, not removed; a response has none."""
    for side in ("request", "response"):
        changes: istio.HeaderOperations | None = getattr(headers, side) if headers else None
        if changes is None:
            continue
        for field, pairs in (("add", changes.add), ("set", changes.set)):
            for name, text in pairs.items():
                at = (*path, side, field, name)
                yield from _changed(at, name, may_be_authority=side == "request")
                yield from _value(at, text)
        for index, name in enumerate(changes.remove):
            yield from _changed((*path, side, "remove", index), name, may_be_authority=False)


def _changed(path: Path, name: str, *, may_be_authority: bool) -> Iterator[FieldError]:
    lower = name.lower()
    if not name:
        yield problem(path, _EMPTY)
    elif may_be_authority and lower in ("host", ":authority"):
        return
    elif lower == "host":
        yield problem(path, f"invalid header {q(name)}: cannot set Host header")
    elif name.startswith(":"):
        yield problem(path, f'invalid header {q(name)}: header cannot have ":" prefix')


def _value(path: Path, text: str) -> Iterator[FieldError]:
    if _CONTROL.search(text):
        yield problem(path, f"header value configuration {visible(text)} is invalid")
    elif (reason := _mistake(text)) is not None:
        yield problem(path, _WHY + reason)


# One part of a value: text, an escaped percent sign, or a command, whose arguments are text or a JSON array of strings.
_STRING = r'"(?:[^"\\]|\\.)*"'
_ARRAY = rf" *\[ *{_STRING} *(?:, *{_STRING} *)*\] *"
_COMMAND = re.compile(rf"%[^%(]*(?:\((?:{_ARRAY}|(?! *\[)[^)]*)\) *)?%", re.DOTALL)


def _mistake(text: str) -> str | None:
    """Why Envoy would refuse the value; what stands between percent signs may be any command."""
    at = 0
    while (at := text.find("%", at)) >= 0:
        if at == len(text) - 1:
            return "Un-escaped %"
        if text[at + 1] == "%":
            at += 2
        elif found := _COMMAND.match(text, at):
            at = found.end()
        else:
            return f"Un-terminated variable expression '{visible(text)}'"
    return None
