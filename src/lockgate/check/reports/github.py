"""Findings as workflow commands of GitHub Actions, which show them as annotations of a pull request.

Source: GitHub's documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lockgate.check.findings import Finding
from lockgate.resources.faults import Severity

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


def commands(findings: Sequence[Finding]) -> Iterator[str]:
    for each in findings:
        shown = each.diagnostic
        title = f"{shown.code} {each.fault.code.title}"
        properties = {"title": title}
        if shown.position:
            place = shown.position
            properties = {"file": place.file, "line": str(place.line), "col": str(place.column), "title": title}
        text = "\n".join(filter(None, (shown.message, shown.fix and f"Fix: {shown.fix}", shown.subject)))
        written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        yield f"::{_COMMANDS[each.severity]} {written}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
