"""The formats of strings in schemas of users' kinds. Other formats are allowed, and not checked, as in a cluster.

Source: kube-openapi, `pkg/validation/strfmt`. Not checked here although a cluster does: ISBNs and credit card numbers.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date
from ipaddress import IPv6Address, ip_network


def fits(name: str, text: str) -> bool:
    """Whether a string has a format."""
    check = _CHECKS.get(name.replace("-", "")) or _CHECKS.get(name)
    return check is None or check(text)


def _matches(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _is(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        with suppress(ValueError, binascii.Error):
            parse(text)
            return True
        return False

    return check


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_UUID = r"[0-9a-fA-F]{{8}}-?[0-9a-fA-F]{{4}}-?{}[0-9a-fA-F]{{3}}-?{}[0-9a-fA-F]{{3}}-?[0-9a-fA-F]{{12}}"
_ANY, _VARIANT = "[0-9a-fA-F]", "[89abAB]"
_DAY = _is(date.fromisoformat)
_TIME = _matches(r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_OCTET = r"0*(25[0-5]|2[0-4]\d|1?\d?\d)"
_CHECKS: Mapping[str, Callable[[str], bool]] = {
    "byte": _is(_base64),
    "bsonobjectid": _matches("[0-9a-fA-F]{24}"),
    "cidr": lambda text: "/" in text and _is(lambda given: ip_network(given, strict=False))(text),
    "date": lambda text: len(text) == 10 and _DAY(text),
    "datetime": lambda text: _TIME(text) and _DAY(text[:10]),
    "duration": _matches(r"[+-]?((\d+(\.\d*)?|\.\d+)\s*(ns|us|µs|ms|s|m|h|d|w|nanos?|micros?|millis?|secs?|seconds?|"
                         r"mins?|minutes?|hours?|days?|weeks?)\s*)+|0"),
    "email": _matches(r"[^@\s<>,;:]+@[^@\s<>,;:]+"),
    "hexcolor": _matches("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": _matches(r"(?i)[a-z0-9](-?[a-z0-9]{0,62})?|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}"),
    "ipv4": _matches(rf"{_OCTET}(\.{_OCTET}){{3}}"),
    "ipv6": _is(IPv6Address),
    "k8sshortname": _matches(_LABEL),
    "k8slongname": lambda text: len(text) < 254 and _matches(rf"{_LABEL}(\.{_LABEL})*")(text),
    "mac": _matches(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}|"
                    r"([0-9a-fA-F]{2}[:-]){7}[0-9a-fA-F]{2}"),
    "rgbcolor": _matches(r"rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)"),
    "ssn": _matches(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "uri": _matches(r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s]*|/[^\s]*"),
    "uuid": _matches(_UUID.format(_ANY, _ANY)),
    "uuid3": _matches(_UUID.format("3", _ANY)),
    "uuid4": _matches(_UUID.format("4", _VARIANT)),
    "uuid5": _matches(_UUID.format("5", _VARIANT)),
}  # fmt: skip
