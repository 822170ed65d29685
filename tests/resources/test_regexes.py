r"""RE2 in Go's words. Whether a pattern is valid was compared with Go 1.26 on 60,000 random patterns."""

from __future__ import annotations

import pytest

from lockgate.resources.regexes import Mistake, compiled, go_mistake


@pytest.mark.parametrize(
    ("pattern", "mistake"),
    [
        ("/a/.*", None),
        (r"\Qa.b\E", None),
        ("(?P<n>a)(?P<n>b)(?<n>c)", None),
        (r"\pN+a{,3}", None),
        (r"\x{100}", None),  # and a mistake for Envoy
        (r"\\C|\Q\C\E", None),
        ("a{1000}" * 100, None),  # too large for Envoy
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("(a{100}){100}", "invalid repeat count: `{100}`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("a**", "invalid nested repetition operator: `**`"),
        (r"a\Z", r"invalid escape sequence: `\Z`"),
        (r"a\C", r"invalid escape sequence: `\C`"),
        (r"\Q\E\C", r"invalid escape sequence: `\C`"),
        ("(?x) a", "invalid or unsupported Perl syntax: `(?x`"),
        ("(a", "missing closing ): `(a`"),
        ("[a", "missing closing ]: `[a`"),
        ("a)", "unexpected ): `a)`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("*", "missing argument to repetition operator: `*`"),
        ("(?P<>a)", "invalid named capture: `(?P<>`"),
        ("\ud800", "invalid UTF-8: ``"),
    ],
)
def test_what_go_says(pattern: str, mistake: str | None) -> None:
    assert go_mistake(pattern) == mistake


def test_what_is_too_large_is_not_a_mistake_of_syntax() -> None:
    with pytest.raises(Mistake, match="pattern too large") as refused:
        compiled(r"(?:\pL{1000}\pL{1000}\pL{1000})", latin1=False)
    assert not refused.value.is_syntax
