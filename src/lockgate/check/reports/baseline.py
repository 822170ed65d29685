"""The baseline: findings that a team knows and has not fixed yet, in a file that stands in version control.

A finding is recognised by its fingerprint; code, object and message are there for the reader of a diff.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from lockgate.check.findings import Finding

_VERSION = 1


class BadBaseline(ValueError):
    """The text is no baseline. The message says why."""


def write(findings: Iterable[Finding]) -> str:
    """One line for each finding, in an order that does not change when lines move."""
    rows = sorted((each.code, each.diagnostic.subject, each.fault.message, each.fingerprint) for each in findings)
    names = ("code", "object", "message", "fingerprint")
    lines = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows)
    inner = ",\n    ".join(lines)
    return f'{{\n  "version": {_VERSION},\n  "findings": [' + (f"\n    {inner}\n  " if inner else "") + "]\n}\n"


def read(text: str) -> frozenset[str]:
    """The fingerprints. Raises `BadBaseline`."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise BadBaseline(f"not JSON: {error}") from None
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise BadBaseline(f"not a baseline of version {_VERSION}; write one with --write-baseline")
    rows = content.get("findings")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "fingerprint" in row for row in rows):
        raise BadBaseline("`findings` is not a list of findings, each with its fingerprint")
    return frozenset(str(row["fingerprint"]) for row in rows)
