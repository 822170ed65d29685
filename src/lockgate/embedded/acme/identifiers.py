"""The names for which the CA may issue: RFC 8555 section 7.1.3, and Let's Encrypt's policy.

The Public Suffix List is not included. Only public suffixes of a single label are refused.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from lockgate.embedded.acme.problems import Problem, about_identifiers

MOST_NAMES = 100  # Let's Encrypt's limit

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def read(identifiers: object) -> tuple[str, ...]:
    """The distinct DNS names of a newOrder, in lower case, sorted. Raises `Problem`."""
    if not isinstance(identifiers, list) or not identifiers:
        raise Problem("malformed", "NewOrder request did not specify any identifiers")
    if len(identifiers) > MOST_NAMES:
        raise Problem("malformed", f"Order cannot contain more than {MOST_NAMES} identifiers")
    names: set[str] = set()
    for identifier in identifiers:
        if not isinstance(identifier, dict) or not isinstance(identifier.get("value"), str):
            raise Problem("malformed", "NewOrder request holds an identifier without type and value")
        if identifier.get("type") != "dns":
            raise Problem(
                "unsupportedIdentifier",
                f"NewOrder request included unsupported identifier: type {str(identifier.get('type'))!r},"
                f" value {identifier['value']!r}",
            )
        if not identifier["value"]:
            raise Problem("malformed", "NewOrder request included empty identifier")
        names.add(identifier["value"].lower())
    check(sorted(names))
    return tuple(sorted(names))


def check(names: Sequence[str]) -> None:
    """Raises one `Problem` for all names that the policy refuses."""
    if faults := [(name, fault) for name in names if (fault := _fault(name))]:
        raise about_identifiers("rejectedIdentifier", faults)


def covers(pattern: str, name: str) -> bool:
    """Whether a certificate's name covers another. A wildcard stands for exactly one label (RFC 6125 6.4.3)."""
    if pattern == name:
        return True
    return pattern.startswith("*.") and name.partition(".")[2] == pattern[2:] and not name.startswith("*")


def _fault(name: str) -> str | None:
    base = name.removeprefix("*.")
    if "*" in base:
        return "Domain name has more than one wildcard, or one that is not its first label"
    if _is_address(base):
        return "Domain name is an IP address"
    if base.endswith("."):
        return "Domain name ends in a dot"
    if len(base) > 253:
        return "Domain name is longer than 253 bytes"
    labels = base.split(".")
    for label in labels:
        if not label:
            return "Domain name contains an empty label"
        if not _LABEL.fullmatch(label):
            return "Domain name contains an invalid character or label"
        if label[2:4] == "--" and not label.startswith("xn--"):
            return "Domain name contains a label with hyphens in third and fourth place that is not an A-label"
    if len(labels) < 2:
        return "Domain name needs at least one dot"
    if labels[-1].isdigit():
        return "Domain name ends in a number"
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True
