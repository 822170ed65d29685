"""CEL's libraries of formats and semantic versions.

Source: apiserver, `pkg/cel/library/{format,semverlib}.go`; apimachinery, `pkg/api/validate/content`; semver.org.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from lockgate.embedded.kubernetes.custom import formats

_LABEL, _OLD_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?", "[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_ENDS = "and must start and end with an alphanumeric character"
_LETTERS = "must consist of alphanumeric characters, '-', '_' or '.',"


def _pattern(pattern: str, longest: int, why: str, *examples: str) -> Callable[[str], list[str]]:
    compiled = re.compile(pattern)
    shown = " or ".join(f"'{each}'" for each in examples) if len(examples) < 3 else (
        ",  or ".join(f"'{each}'" for each in examples)
    )  # fmt: skip
    fault = f"{why} (e.g. {shown}, regex used for validation is '{pattern}')"

    def check(text: str) -> list[str]:
        found = [f"must be no more than {longest} bytes"] if len(text.encode()) > longest else []
        return found if compiled.fullmatch(text) else [*found, fault]

    return check


_plain_label = _pattern(
    _LABEL,
    63,
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS}",
    "my-name",
    "123-abc",
)
_subdomain = _pattern(
    _SUBDOMAIN,
    253,
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {_ENDS}",
    "example.com",
)
_old_label = _pattern(
    _OLD_LABEL,
    63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character",
    "my-name",
    "abc-123",
)
_name_part = _pattern(_NAME, 63, f"name part {_LETTERS} {_ENDS}", "MyName", "my.name", "123-abc")
_label_value = _pattern(
    f"({_NAME})?",
    63,
    f"a valid label must be an empty string or {_LETTERS.removeprefix('must ')} {_ENDS}",
    "MyValue",
    "my_value",
    "12345",
)


def _label(text: str) -> list[str]:
    if "." in text and re.fullmatch(_SUBDOMAIN, text):
        return [*_plain_label(text)[:-1], "must not contain dots"]
    return _plain_label(text)


def _qualified_name(text: str) -> list[str]:
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        return [f"a qualified name {_LETTERS} {_ENDS} with an optional DNS subdomain prefix and '/'"]
    found = [f"prefix part {each}" for each in _subdomain(prefix)] if prefix else []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    return [*found, *(_name_part(name) if name else ["name part must be non-empty"])]


def _prefix(check: Callable[[str], list[str]]) -> Callable[[str], list[str]]:
    return lambda text: check(f"{text[:-1]}a" if len(text) > 1 and text.endswith("-") else text)


def _uri(text: str) -> list[str]:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        return [f'parse "{text}": {error}']
    if not text:
        return ['parse "": empty url']
    if not (parts.scheme or text.startswith("/")) or re.search(r"[\s\x7f]", text):
        return [f'parse "{text}": invalid URI for request']
    return []


def _format(name: str, fault: str) -> Callable[[str], list[str]]:
    return lambda text: [] if formats.fits(name, text) else [fault]


FORMATS: Final[dict[str, Callable[[str], list[str]]]] = {
    "dns1123Label": _label,
    "dns1123Subdomain": _subdomain,
    "dns1035Label": _old_label,
    "qualifiedName": _qualified_name,
    "dns1123LabelPrefix": _prefix(_label),
    "dns1123SubdomainPrefix": _prefix(_subdomain),
    "dns1035LabelPrefix": _prefix(_old_label),
    "labelValue": _label_value,
    "uri": _uri,
    "uuid": _format("uuid", "does not match the UUID format"),
    "byte": _format("byte", "invalid base64"),
    "date": _format("date", "invalid date"),
    "datetime": _format("datetime", "invalid datetime"),
}


_NUMBER = "(?:0|[1-9][0-9]*)"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-((?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
Version = tuple[int, int, int, tuple[tuple[int, int, str], ...]]


def semver(text: str) -> Version:
    """A semantic version; versions compare by precedence. Raises `ValueError`."""
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ValueError(f'"{text}" is not a semantic version')
    before = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (found[4] or "").split(".") if part
    )
    # A version with a pre-release comes before the one without.
    return int(found[1]), int(found[2]), int(found[3]), before or ((2, 0, ""),)


def normalized(text: str) -> str:
    """Without ``v`` and leading zeros, and with all three numbers."""
    head = re.match(r"v?([0-9.]*)(.*)", text, re.DOTALL)
    assert head is not None
    numbers = [each.lstrip("0") or "0" for each in head[1].split(".")]
    return ".".join([*numbers, "0", "0"][: max(3, len(numbers))]) + head[2]
