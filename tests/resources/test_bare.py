"""Quotes around placeholders that YAML cannot read as text."""

from __future__ import annotations

import pytest

from lockgate.resources.bare import quoted


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("name: {{APP}}-web", "name: '{{APP}}-web'"),
        ("  - {{ a.b }}", "  - '{{ a.b }}'"),
        ("- host: {{SUB}}.{{DOMAIN}} # both", "- host: '{{SUB}}.{{DOMAIN}}' # both"),
        ("a.b/c: {{ arn }}\nd: e\r\n", "a.b/c: '{{ arn }}'\nd: e\r\n"),
        ('"a": {{ arn }}\r\n', "\"a\": '{{ arn }}'\r\n"),
        ("a: %HOST%:80/%PATH%", "a: '%HOST%:80/%PATH%'"),
        ("a: @HOST@", "a: '@HOST@'"),
    ],
)
def test_bare_placeholders_are_quoted(text: str, changed: str) -> None:
    assert quoted(text) == changed
    assert quoted(changed) is None


@pytest.mark.parametrize(
    "text",
    [
        "a: {{ .Values.host }}",
        "a: {{ include \"name\" . }}\nb: {{ HOST }}",
        "{{- if .Values.on }}\na: {{ HOST }}",
        "{% if on %}\na: {{ HOST }}",
        "{{ end }}\na: {{ HOST }}",
        "a: '{{ HOST }}'",
        'a: "{{ HOST }}"',
        "a: it is {{ HOST }}",
        "a: {{ HOST }} or so",
        "|\n  {{ HOST }}",
        "a: {b: c}",
    ],
)  # fmt: skip
def test_templates_and_text_stay(text: str) -> None:
    assert quoted(text) is None


def test_the_work_grows_with_the_text() -> None:
    for part in ("- ", "a: {{A}}", "{{A}}", " ", "a: {{A}}\n"):
        for text in (part * 50_000, "a: " + part * 50_000, f"a: {part * 50_000} x"):
            quoted(text)
