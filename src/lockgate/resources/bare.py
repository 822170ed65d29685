"""Quotes placeholders that YAML cannot read as text.

``name: {{ APP }}-web`` is a map to YAML, and ``host: %HOST%`` is an error. Pipelines replace them before anybody parses
the file. A Helm template is not changed: it needs its chart.
"""

from __future__ import annotations

import re

_NAME = r"[ \t]*(?!(?:end|else)\b)[A-Za-z_][\w.-]*[ \t]*\}\}"  # APP }}, app.name }}
_BRACES = rf"\{{\{{{_NAME}"
_ACTION = re.compile(rf"\{{%|\{{\{{(?!{_NAME})")
_KEY = r"(?:[\"']?[\w./-]++[\"']?:[ \t]++)"
_VALUE = re.compile(
    # Indentation, list entries and a key,
    rf"^([ \t]*+(?:(?:-[ \t]++)++{_KEY}?|{_KEY}))"
    # a value that starts with a placeholder and has no spaces outside of braces
    rf"((?:{_BRACES}|%[A-Z][A-Z0-9_]*%|@@?[A-Z][A-Z0-9_]*@@?)(?:{_BRACES}|[^\s{{}}'\"])*)"
    # and the rest of the line
    r"(?=[ \t]*+(?:(?<=[ \t])#.*)?\r?$)",
    re.MULTILINE,
)


def quoted(text: str) -> str | None:
    """A document's text with single quotes around such values, line by line; None if it has none, or is a template."""
    if _ACTION.search(text):
        return None
    changed = _VALUE.sub(r"\1'\2'", text)
    return changed if changed != text else None
