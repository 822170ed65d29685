"""Tables of requests and expectations: what is read, what is refused with its place, and what differs."""

from __future__ import annotations

from itertools import pairwise
from xml.etree.ElementTree import fromstring

import pytest
from trace_cases import edge

from lockgate.trace.cases import BadCase, Case, cases, junit, run

EDGE = edge()
# Each line has twelve of the line before: a few lines stand for millions of values.
ALIASES = "- &a [x, x, x]\n" + "".join(
    f"- &{name} [{', '.join([f'*{before}'] * 12)}]\n" for before, name in pairwise("abcdefg")
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("url: https://web.example/", "c.yaml:1:1: expected a list of cases, each with `url` and `expect`"),
        ("", "c.yaml:1:1: expected a list of cases"),
        ("- [a", "c.yaml:2:1: a bracket is not closed"),
        ("- url: a\n   expect: {}", "c.yaml:2:10: a `:` is not allowed here"),
        ("- web", "c.yaml:1:3: expected a map with `url` and `expect`"),
        ("- {url: 'http://a.example'}", "c.yaml:1:3: `expect` is missing; it takes status, by,"),
        ("- url: http://a.example\n  expect: 200", "c.yaml:2:3: `expect` is missing"),
        ("- url: http://a.example\n  expcet: {}", "c.yaml:2:3: unknown key `expcet`; a case takes name, url,"),
        ("- url: a\n  expect: {statsu: 200}", "c.yaml:2:12: unknown key `statsu`; `expect` takes status, by,"),
        ("- url: ftp://a.example\n  expect: {status: 200}", "c.yaml:1:3: "),
        ("- {headers: [a], url: 'http://a.example', expect: {status: 1}}", "c.yaml:1:4: `headers` is not a map"),
        ("- {url: 'http://a.example', expect: {status: 1}, from: home}", "c.yaml:1:50: 'home' is not an IP address"),
        ("- {url: 'http://a.example', url: b, expect: {status: 1}}", "c.yaml:1:29: "),
        (ALIASES, "c.yaml:"),
        ("x" * (16 * 1024 * 1024 + 1), "c.yaml:1:1: larger than 16,777,216 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(BadCase) as refused:
        cases(text.encode(), "c.yaml")
    assert str(refused.value).startswith(problem)


def test_other_encodings_are_refused() -> None:
    with pytest.raises(BadCase, match=r"^c.yaml:2:1: not UTF-8 text$"):
        cases(b"# caf\xc3\xa9\n- url: \xff\n", "c.yaml")


def one(expect: str, url: str = "https://shop.example/api/a?b=c", **more: str) -> Case:
    added = "".join(f"  {key}: {value}\n" for key, value in more.items())
    (case,) = cases(f"- url: {url}\n  expect: {expect}\n{added}".encode(), "c.yaml")
    return case


@pytest.mark.parametrize(
    ("case", "differences"),
    [
        (one("{backend: 'shop/api:8080', error: false, target: /a?b=c, authority: shop.example, rule: 1}"), ()),
        (one("{location: null, status: null}"), ()),
        (one("{status: 503}"), ("status: expected 503, found None",)),
        (one("{status: 301, by: load balancer, backend: null}", "http://shop.example/"), ()),
        (one("{backend: 'shop/web:3000'}", "http://shop.example/", follow="true"), ()),
        (one("{by: dns, route: null, error: true}", "https://other.example/"), ()),
        (one("{cause: No hosted zone}", "https://other.example/"), ()),
        (
            one("{cause: ''}", "https://other.example/"),
            ("cause: expected '', found 'No hosted zone holds other.example.'",),
        ),
    ],
)
def test_expectations(case: Case, differences: tuple[str, ...]) -> None:
    found = run(EDGE, case)
    assert found.differences == differences
    assert found.passed is not bool(differences)


def test_junit_has_a_failure_for_each_case_that_fails() -> None:
    passing, failing = one("{error: false}"), one("{status: 503}", name='"\\0 & <web>"')
    (suite,) = fromstring(junit([run(EDGE, passing), run(EDGE, failing)], "routes"))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [each.get("name") for each in suite] == ["https://shop.example/api/a?b=c", "\ufffd & <web>"]
    (failure,) = suite[1]
    assert failure.get("message") == "status: expected 503, found None"
    assert "listener: " in (failure.text or "")
