"""Findings as SARIF 2.1.0, as GitHub's code scanning and other viewers read it.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; GitHub's documentation, "SARIF
support for code scanning", for what it asks beyond: each result has a file, and a path relative to the repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import cleandoc
from pathlib import PurePath
from typing import Any, TypeAlias
from urllib.parse import quote

from lockgate.check.findings import Finding
from lockgate.check.outcome import Outcome
from lockgate.resources.faults import Code, Position, Severity

Json: TypeAlias = dict[str, Any]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_MOST = 25_000  # results that GitHub takes of one run
_SECURITY = {Severity.ERROR: "7.0", Severity.WARNING: "5.0", Severity.INFO: "1.0"}


def sarif(result: Outcome, files: Sequence[str], version: str) -> Json:
    """`files` are all that were read: a finding about no file is placed in the first."""
    fallback = Position(files[0], 1) if files else Position(".", 1)
    every: list[tuple[Finding, str | None]] = [(each, None) for each in result.findings]
    every += [(each.finding, each.by.reason) for each in result.suppressed]
    codes = {finding.code: finding.fault.code for finding, _ in every}
    numbers = {id: number for number, id in enumerate(sorted(codes))}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "Lockgate",
                        "version": version,
                        "semanticVersion": version,
                        "rules": [_rule(codes[id]) for id in numbers],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(finding, reason, numbers, fallback) for finding, reason in every[:_MOST]],
            }
        ],
    }


def _rule(code: Code) -> Json:
    examples = ""
    if code.example:
        examples = f"\n\nExample:\n\n```yaml\n{cleandoc(code.example)}\n```"
    if code.instead:
        examples += f"\n\nUse instead:\n\n```yaml\n{cleandoc(code.instead)}\n```"
    text = f"{code.what} {code.why}"
    properties: Json = {"tags": ["kubernetes", *code.aliases]}
    if code.id.startswith("LG7"):
        properties = {"tags": ["security", "kubernetes", *code.aliases], "security-severity": _SECURITY[code.severity]}
    return {
        "id": code.id,
        "name": "".join(word.capitalize() for word in code.title.replace("-", " ").split() if word.isalnum()),
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": text},
        "help": {"text": text, "markdown": text + examples},
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
        "properties": properties,
    }


def _result(finding: Finding, reason: str | None, numbers: dict[str, int], fallback: Position) -> Json:
    shown = finding.diagnostic
    fix = f" Fix: {shown.fix}." if shown.fix else ""
    place = shown.position or fallback
    found: Json = {
        "ruleId": shown.code,
        "ruleIndex": numbers[shown.code],
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{shown.message[:1].upper()}{shown.message[1:]}.{fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _artifact(place.file),
                    "region": {"startLine": place.line, "startColumn": place.column},
                },
                **({"logicalLocations": [{"fullyQualifiedName": shown.subject}]} if shown.subject else {}),
            }
        ],
        "partialFingerprints": {"lockgate/v1": finding.fingerprint},
    }
    if reason is not None:
        found["suppressions"] = [{"kind": "inSource", **({"justification": reason} if reason else {})}]
    return found


def _artifact(file: str) -> Json:
    path = PurePath(file)
    if path.is_absolute():
        return {"uri": f"file://{quote(path.as_posix())}"}
    return {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}
