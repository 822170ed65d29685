"""Web ACLs by table: rules as WAFv2's API has them, and what they make of requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lockgate.loadbalancer.request import Request
from lockgate.loadbalancer.waf import json_body
from lockgate.loadbalancer.waf.evaluate import Verdict, blind_spots, evaluate
from lockgate.loadbalancer.waf.fields import Inspected
from lockgate.loadbalancer.waf.metrics import counted, exposition
from lockgate.loadbalancer.waf.model import Address, Networks, WebAcl
from lockgate.loadbalancer.waf.rates import MOST, RateKey, Rates
from lockgate.loadbalancer.waf.reader import References, web_acl
from lockgate.loadbalancer.waf.references import references_of
from lockgate.loadbalancer.waf.regex import refusal
from lockgate.loadbalancer.waf.transformations import SUPPORTED

CASES = Path(__file__).parents[1] / "cases" / "loadbalancer" / "waf"
OFFICE = {"Addresses": ["192.0.2.0/24", "2001:db8::/32"]}
BOTS = {"RegularExpressionList": [{"RegexString": "^curl/"}, {"RegexString": "(?i)bot"}]}


def rows(file: str) -> list[Any]:
    cases = yaml.safe_load((CASES / file).read_text())
    return [
        pytest.param(case, request, id=f"{case['case']}-{at}")
        for case in cases
        for at, request in enumerate(case["requests"])
    ]


def acl(rules: list[dict[str, Any]], case: dict[str, Any]) -> WebAcl:
    groups = {
        arn: {**group, "Rules": [rule_of(at, each) for at, each in enumerate(group["Rules"])]}
        for arn, group in case.get("groups", {}).items()
    }
    answer = {
        "Name": "lab",
        "ARN": "arn:lab",
        "DefaultAction": case.get("default", {"Allow": {}}),
        "Rules": [rule_of(at, each) for at, each in enumerate(rules)],
        "LabelNamespace": "awswaf:123456789012:webacl:lab:",
        "CustomResponseBodies": case.get("bodies"),
    }
    return web_acl(answer, References({"arn:office": OFFICE}, {"arn:bots": BOTS}, groups))


def rule_of(at: int, row: dict[str, Any]) -> dict[str, Any]:
    """A rule as the API has it; ``at`` is a path."""
    made = {"Priority": at, **row}
    if "at" in row:
        position = "STARTS_WITH" if row.get("prefix") else "EXACTLY"
        field: dict[str, Any] = {"UriPath": {}}
        match = {"SearchString": row["at"].encode(), "PositionalConstraint": position, "FieldToMatch": field}
        made["Statement"] = {"ByteMatchStatement": match}
    else:
        made["Statement"] = row["statement"]
    return made


def inspected(row: dict[str, Any]) -> Inspected:
    headers = list(row.get("headers", {}).items())
    headers += [(f"x-{at}", "") for at in range(row.get("header_count", 1) - 1)]
    if "header_bytes" in row:
        headers.append(("x-large", "x" * row["header_bytes"]))
    request = Request(
        method=row.get("method", "GET"),
        target=row.get("path", "/"),
        host=row.get("host", "a.example.com"),
        headers=tuple(headers),
        source=row.get("source", "127.0.0.1"),
    )
    body = b"x" * row.get("fill_before", 0) + row.get("body", "").encode()
    return Inspected(request, None if row.get("grpc") else body, tuple(row.get("fingerprints", {}).items()))


def verdict(made: WebAcl, row: dict[str, Any]) -> Verdict:
    country: Callable[[Address], str | None] | None = None
    if "countries" in row:

        def country(address: Address) -> str | None:
            return str(row["countries"][str(address)]) if str(address) in row["countries"] else None

    return evaluate(made, inspected(row), counts=lambda _: row.get("earlier", 0), country=country)


@pytest.mark.parametrize(("case", "row"), rows("statements.yaml"))
def test_whether_a_request_meets_a_statement(case: dict[str, Any], row: dict[str, Any]) -> None:
    rule = {"Name": "rule", "statement": case["statement"], "Action": {"Block": {}}}
    found = verdict(acl([rule], case), row)
    outcome = "unknown" if found.blind_spots else found.blocked is not None
    assert outcome == row["met"]
    if "labels" in row:
        assert list(found.labels) == row["labels"]
    if "counted_by" in row:
        assert [list(key.values) for key in found.rates] == [[value.encode() for value in row["counted_by"]]]
        assert found.rates[0].window == row.get("window", 300)


@pytest.mark.parametrize(("case", "row"), rows("web_acls.yaml"))
def test_what_comes_of_a_request(case: dict[str, Any], row: dict[str, Any]) -> None:
    made = acl(case["rules"], case)
    assert {spot.rule: spot.why for spot in blind_spots(made)} == case.get("blind", {})
    found = verdict(made, row)
    assert (found.rule or "default") == row["by"]
    assert (found.blocked.status if found.blocked else None) == row.get("blocked")
    assert list(found.counted) == row.get("counted", [])
    assert dict(found.insert) == row.get("insert", {})
    assert [spot.rule for spot in found.blind_spots] == row.get("blind", [])
    if "labels" in row:
        assert list(found.labels) == row["labels"]
    if "content" in row:
        assert found.blocked
        assert found.blocked.content == row["content"]
        assert found.blocked.content_type == row.get("content_type", "")
        assert dict(found.blocked.headers) == row.get("headers", {})


def test_what_requests_add_to_the_metrics() -> None:
    rules: list[dict[str, Any]] = [
        {"Name": "seen", "at": "/", "prefix": True, "Action": {"Count": {}}},
        {"Name": "closed", "at": "/x", "Action": {"Block": {}}},
    ]
    made = acl(rules, {})
    counts = Counter(
        (metric, "lab", rule) for path in ("/x", "/", "/") for metric, rule in counted(verdict(made, {"path": path}))
    )
    assert exposition(counts) == (
        "# TYPE AllowedRequests counter\n"
        'AllowedRequests{WebACL="lab",Rule="Default_Action"} 2\n'
        "# TYPE BlockedRequests counter\n"
        'BlockedRequests{WebACL="lab",Rule="closed"} 1\n'
        "# TYPE CountedRequests counter\n"
        'CountedRequests{WebACL="lab",Rule="seen"} 3\n'
    )


TRANSFORMATIONS = yaml.safe_load((CASES / "transformations.yaml").read_text())


@pytest.mark.parametrize(
    ("name", "row"), [pytest.param(name, row, id=name) for name, rows in TRANSFORMATIONS.items() for row in rows]
)
def test_text_transformations(name: str, row: dict[str, str]) -> None:
    given = (
        bytes.fromhex(row["hex_of"]) if "hex_of" in row else row.get("utf8", "").encode() or row["of"].encode("latin-1")
    )
    wanted = bytes.fromhex(row["hex"]) if "hex" in row else row["makes"].encode("latin-1")
    assert SUPPORTED[name](given) == wanted


def test_every_text_transformation_has_a_row() -> None:
    assert TRANSFORMATIONS.keys() == SUPPORTED.keys()


@given(st.sampled_from(sorted(SUPPORTED)), st.binary(max_size=64))
def test_text_transformations_take_anything(name: str, text: bytes) -> None:
    assert isinstance(SUPPORTED[name](text), bytes)


@given(
    st.recursive(
        st.one_of(st.booleans(), st.none(), st.integers(), st.text()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    ).filter(lambda value: isinstance(value, dict | list))
)
def test_json_is_read_as_a_json_parser_reads_it(value: Any) -> None:
    import json

    def elements(value: Any) -> list[tuple[str, str]]:
        match value:
            case dict():
                return [each for key, inner in value.items() for each in [("KEY", key), *elements(inner)]]
            case list():
                return [each for inner in value for each in elements(inner)]
            case str():
                return [("VALUE", value)]
            case _:
                return [("VALUE", json.dumps(value))]

    parsed = json_body.parse(json.dumps(value).encode())
    assert parsed.is_whole
    assert [(each.kind, each.text.decode("utf-8", "surrogateescape")) for each in parsed.elements] == elements(value)


@given(st.binary(max_size=200))
def test_whatever_comes_as_json_is_read(text: bytes) -> None:
    json_body.parse(text)


def test_json_that_is_nested_too_deep_is_read_as_far_as_it_goes() -> None:
    parsed = json_body.parse(b'[["a"],' + b"[" * 8000)
    assert [element.text for element in parsed.elements] == [b"a"]
    assert not parsed.is_whole


@given(st.lists(st.tuples(st.ip_addresses(v=4), st.integers(1, 32))), st.ip_addresses(v=4))
def test_networks_hold_what_is_in_one_of_them(pairs: list[tuple[Any, int]], address: Any) -> None:
    texts = [f"{start}/{length}" for start, length in pairs]
    assert (address in Networks.of(texts)) == any(address in ip_network(text, strict=False) for text in texts)


KEY = RateKey("rule", 10, 60, (b"192.0.2.7",))


@given(st.lists(st.floats(0, 30)))
def test_requests_are_counted_for_as_long_as_the_window(gaps: list[float]) -> None:
    rates, now = Rates(), 1000.0
    times: list[float] = []
    for gap in gaps:
        now += gap
        within = [time for time in times if time > now - KEY.window]
        at_edge = [time for time in times if now - KEY.window - 1 <= time <= now - KEY.window + 1]
        assert abs(rates.count(KEY, now) - len(within)) <= len(at_edge)
        rates.add(KEY, now)
        times.append(now)


def test_of_too_many_keys_those_that_came_last_are_known() -> None:
    rates = Rates()
    rates.add(KEY, 1000)
    for number in range(MOST):
        rates.add(replace(KEY, values=(b"%d" % number,)), 1000)
        if number == MOST // 2:
            rates.add(KEY, 1000)
    assert rates.count(KEY, 1000) == 2
    assert rates.count(replace(KEY, values=(b"0",)), 1000) == 0
    assert rates.count(replace(KEY, values=(b"1",)), 1000) == 1


def test_regular_expressions_share_the_time_of_a_request() -> None:
    headers = {"MatchPattern": {"All": {}}, "MatchScope": "ALL", "OversizeHandling": "CONTINUE"}
    statement = {"RegexMatchStatement": {"RegexString": "x", "FieldToMatch": {"Headers": headers}}}
    rules: list[dict[str, Any]] = [
        {"Name": name, "statement": statement, "Action": {"Block": {}}, "VisibilityConfig": {}}
        for name in ("first", "second")
    ]
    request = Inspected(Request(headers=(("a", "b"), ("c", "d"))))
    left = iter([0.2, 0.2, 0.1, 0.0, -0.1])
    found = evaluate(acl(rules, {}), request, left=lambda: next(left))
    assert [(spot.rule, spot.why) for spot in found.blind_spots] == [
        (name, "its regular expressions exceed the time limit for a request") for name in ("first", "second")
    ]
    assert list(left) == []


def test_what_rules_refer_to() -> None:
    statements = [
        {"IPSetReferenceStatement": {"ARN": "a"}},
        {
            "RateBasedStatement": {
                "ScopeDownStatement": {"NotStatement": {"Statement": {"IPSetReferenceStatement": {"ARN": "b"}}}}
            }
        },
        {
            "AndStatement": {
                "Statements": [{"RegexPatternSetReferenceStatement": {"ARN": "c"}}, {"GeoMatchStatement": {}}]
            }
        },
        {"RuleGroupReferenceStatement": {"ARN": "d"}},
    ]
    assert sorted(references_of([{"Statement": each} for each in statements])) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("^/api/v[0-9]+$", None),
        ("[[:digit:]]{3}", None),
        (r"(?i)bot|\Qa+b\E", None),
        (r"[\1+]+", None),
        (r"\\1", None),
        (r"(a)\1", "it has a back-reference"),
        (r"(?>a+)b", "it has an atomic group"),
        ("a++b", "it has a possessive quantifier"),
        ("(", "it is not a regular expression"),
        (r"a\Kb", r"it has \C, \R, \K, \G or \X"),
        (r"(?im-s:a)\p{Lu}\x{61}{2,}", None),
        ("(?u)a", "it has an option that PCRE does not have"),
        ("(?i-r:a)", "it has an option that PCRE does not have"),
        ("(?V1)a", "it has an option that PCRE does not have"),
        (r"\mbot\M", r"it has \m, \M or \L"),
        (r"(?:\d{100}[a}]{100}){5}(?:ab{9}){9}", None),
        ("a{65536}", "it is too large"),
        ("(?:(?:ab){1000}){1000,}", "it is too large"),
    ],
)
def test_regular_expressions_that_waf_refuses(pattern: str, why: str | None) -> None:
    assert refusal(pattern) == why


def test_equal_web_acls_are_equal_values() -> None:
    case = {"statement": {"RegexMatchStatement": {"RegexString": "a.c", "FieldToMatch": {"UriPath": {}}}}}
    first, second = (acl([{"Name": "r", "statement": case["statement"]}], case) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
