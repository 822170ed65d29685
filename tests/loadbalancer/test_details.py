"""Security policies, desync mitigation, capacities of web ACLs, error reasons, pages, patterns and rewrites."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.loadbalancer import error_reasons, pages, patterns, quotas
from lockgate.loadbalancer.desync import Suspicion, suspicion
from lockgate.loadbalancer.model import Rewrite
from lockgate.loadbalancer.policies import POLICIES, policy, towards_targets
from lockgate.loadbalancer.request import Request
from lockgate.loadbalancer.rewrites import RewriteFailed, rewritten
from lockgate.loadbalancer.waf.capacity import capacity


@pytest.mark.parametrize(
    ("name", "versions", "ciphers", "to_targets"),
    [
        ("", ("TLSv1", "TLSv1.2"), 18, "2016-08"),
        ("TLS13-1-2-2021-06", ("TLSv1.2", "TLSv1.3"), 8, "TLS13-1-0-2021-06"),
        ("TLS13-1-3-2021-06", ("TLSv1.3", "TLSv1.3"), 0, "TLS13-1-0-2021-06"),
        ("TLS13-1-2-Res-FIPS-2023-04", ("TLSv1.2", "TLSv1.3"), 4, "TLS13-1-0-FIPS-2023-04"),
        ("TLS13-1-2-Res-FIPS-PQ-2025-09", ("TLSv1.2", "TLSv1.3"), 4, "TLS13-1-0-FIPS-2023-04"),
        ("FS-1-2-Res-2020-10", ("TLSv1.2", "TLSv1.2"), 4, "2016-08"),
        ("TLS-1-0-2015-04", ("TLSv1", "TLSv1.2"), 19, "2016-08"),
    ],
)
def test_security_policies(name: str, versions: tuple[str, str], ciphers: int, to_targets: str) -> None:
    full = f"ELBSecurityPolicy-{name}" if name else ""
    found = policy(full)
    assert found is not None
    assert (found.oldest, found.newest) == versions
    assert len(found.ciphers) == ciphers
    assert (found.fips, found.post_quantum) == ("FIPS" in name, "PQ" in name)
    assert towards_targets(full) is POLICIES[f"ELBSecurityPolicy-{to_targets}"]


def test_an_unknown_policy() -> None:
    assert policy("ELBSecurityPolicy-2030-01") is None
    assert towards_targets("ELBSecurityPolicy-2030-01").name == "ELBSecurityPolicy-2016-08"


def test_quotas_that_aws_does_not_adjust() -> None:
    fixed = quotas.DEFAULTS.keys() - quotas.ADJUSTABLE.keys()
    assert quotas.TARGET_GROUPS_OF_LOAD_BALANCER in fixed
    assert quotas.RULES not in fixed


@pytest.mark.parametrize(
    ("method", "headers", "found"),
    [
        ("POST", {"content-length": "3"}, None),
        ("GET", {}, None),
        ("GET", {"content-length": "0"}, ("Acceptable", "GetHeadZeroContentLength")),
        ("HEAD", {"content-length": "3"}, ("Ambiguous", "UndefinedContentLengthSemantics")),
        ("GET", {"transfer-encoding": "chunked"}, ("Ambiguous", "UndefinedTransferEncodingSemantics")),
        ("POST", {"content_length": "3"}, ("Ambiguous", "SuspiciousHeader")),
        ("POST", {"x-a": "a\x01"}, ("Acceptable", "NonCompliantHeader")),
    ],
)
def test_suspicious_requests(method: str, headers: dict[str, str], found: tuple[Any, str] | None) -> None:
    request = Request(method, headers=tuple(headers.items()))
    expected = Suspicion(*found) if found else None
    assert suspicion(request, "strictest") == expected
    by_framing = expected if expected and "Header" not in expected.reason else None
    assert suspicion(request, "defensive") == by_framing
    assert suspicion(Request(method, headers=tuple(headers.items()), protocol="HTTP/2"), "defensive") is None


def test_chunks_in_http_1_0() -> None:
    request = Request("POST", headers=(("transfer-encoding", "chunked"),), protocol="HTTP/1.0")
    assert suspicion(request, "monitor") == Suspicion("Ambiguous", "UndefinedTransferEncodingSemantics")


def match(kind: str = "ByteMatchStatement", field: str = "UriPath", steps: int = 0, **more: Any) -> dict[str, Any]:
    transformations = [{"Type": "NONE"}, *({"Type": "LOWERCASE"} for _ in range(steps))]
    return {kind: {"FieldToMatch": {field: {}}, "TextTransformations": transformations, **more}}


EXACTLY: dict[str, Any] = {"PositionalConstraint": "EXACTLY"}


@pytest.mark.parametrize(
    ("statement", "cost"),
    [
        (match(**EXACTLY), 2),
        (match(PositionalConstraint="CONTAINS_WORD"), 10),
        (match(steps=2, **EXACTLY), 22),
        (match(field="JsonBody", **EXACTLY), 4),
        (match(field="AllQueryArguments", **EXACTLY), 12),
        (match("RegexMatchStatement"), 3),
        (match("RegexPatternSetReferenceStatement"), 25),
        (match("SqliMatchStatement"), 20),
        (match("SqliMatchStatement", SensitivityLevel="HIGH"), 30),
        (match("XssMatchStatement"), 40),
        (match("SizeConstraintStatement"), 1),
        ({"GeoMatchStatement": {"CountryCodes": ["KR"]}}, 1),
        ({"IPSetReferenceStatement": {"ARN": "arn:i"}}, 1),
        ({"IPSetReferenceStatement": {"ARN": "arn:i", "IPSetForwardedIPConfig": {"Position": "ANY"}}}, 5),
        ({"NotStatement": {"Statement": match(**EXACTLY)}}, 2),
        ({"AndStatement": {"Statements": [match(**EXACTLY), match("XssMatchStatement")]}}, 42),
        ({"OrStatement": {"Statements": [match(**EXACTLY)]}, "NotStatement": None}, 2),
        ({"RateBasedStatement": {"Limit": 100}}, 2),
        ({"RateBasedStatement": {"CustomKeys": [{}], "ScopeDownStatement": match(**EXACTLY)}}, 34),
        ({"RuleGroupReferenceStatement": {"ARN": "arn:g"}}, 77),
        ({"RuleGroupReferenceStatement": {"ARN": "arn:gone"}}, 0),
        ({"ManagedRuleGroupStatement": {"Name": "AWSManagedRulesCommonRuleSet"}}, 700),
        ({"ManagedRuleGroupStatement": {"Name": "Theirs", "ScopeDownStatement": match(**EXACTLY)}}, 2),
    ],
)
def test_what_a_rule_costs(statement: dict[str, Any], cost: int) -> None:
    assert capacity([{"Statement": statement}, {"Statement": statement}], {"arn:g": 77}) == 2 * cost


def test_error_reasons_with_their_status_and_metric() -> None:
    assert error_reasons.status_of("AuthTokenEpRequestTimeout") == 500
    assert error_reasons.status_of("AuthInvalidStateParam") == 401
    assert error_reasons.auth_metric("AuthTokenEpRequestTimeout") == "ELBAuthError"
    assert error_reasons.auth_metric("AuthUserinfoResponseSizeExceeded") == "ELBAuthUserClaimsSizeExceeded"
    assert error_reasons.auth_metric("AuthInvalidStateParam") == "ELBAuthFailure"
    assert error_reasons.lambda_status("LambdaRequestTooLarge") == 413
    assert error_reasons.lambda_status("LambdaInvalidResponse") == 502
    assert error_reasons.lambda_metric("LambdaServiceException") == "LambdaInternalError"
    assert error_reasons.lambda_metric("LambdaInvalidResponse") == "LambdaUserError"


@pytest.mark.parametrize(
    ("status", "phrase", "kind"),
    [(301, "Moved Permanently", "text/html"), (302, "Moved Temporarily", "text/html"), (464, "", "")],
)
def test_pages(status: int, phrase: str, kind: str) -> None:
    assert (pages.reason(status), pages.content_type(status)) == (phrase, kind)
    assert bool(pages.page(status)) is bool(kind)


def test_the_type_of_a_fixed_response() -> None:
    assert pages.fixed_content_type(None, "hello") == "text/plain; charset=utf-8"
    assert pages.fixed_content_type(None, "") == ""
    assert pages.fixed_content_type("application/json", "{}") == "application/json"


def test_patterns_with_and_without_wildcards() -> None:
    assert patterns.is_literal("/a") and not patterns.is_literal("/a?")
    assert patterns.is_literal(r"a\*", escapes=True)
    assert patterns.literal(r"a\*b", escapes=True) == "a*b"
    assert patterns.expression("a*.?", any_character=".") == r"a.*\.."
    assert not patterns.search("(", "(", case_sensitive=True)  # it does not compile, so it matches nothing
    assert patterns.search("^/A", "/a", case_sensitive=False)


@pytest.mark.parametrize(
    ("transform", "made"),
    [
        (Rewrite("url", "^/api/(.*)$", "/$1?v=$2"), ("a.example", "/orders?v=")),
        (Rewrite("url", "o", "00"), ("a.example", "/api/00rders")),
        (Rewrite("url", "x*", "-"), "the URL rewrite leads to"),
        (Rewrite("url", "(", "x"), ("a.example", "/api/orders")),
        (Rewrite("url", "^/.*$", "api"), "the URL rewrite leads to 'api', which is not a valid path"),
        (Rewrite("host-header", "^a", "b"), ("b.example", "/api/orders")),
        (Rewrite("host-header", "^.*$", "a/b"), "the host rewrite leads to 'a/b', which is not a valid host"),
    ],
)
def test_rewrites(transform: Rewrite, made: tuple[str, str] | str) -> None:
    request = Request(host="a.example", target="/api/orders")
    if isinstance(made, str):
        with pytest.raises(RewriteFailed, match=made):
            rewritten([transform], request)
    else:
        found = rewritten([transform], request)
        assert (found.host, found.target) == made
