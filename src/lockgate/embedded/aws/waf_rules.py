"""WAFv2's checks of rules, beyond the ranges and enumerations of its model.

Source: WAFv2 API Reference, "Data types"; AWS WAF Developer Guide, "AWS WAF quotas", "Supported status codes for custom
response", "Label syntax". The first reasons are AWS's own texts, from user reports
(hashicorp/terraform-provider-aws #14120, #29321, #34320); the others are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any, Final, TypeAlias

from lockgate.embedded.aws.protocol import Refusal
from lockgate.loadbalancer.waf.capacity import MANAGED
from lockgate.loadbalancer.waf.regex import refusal

Json: TypeAlias = Mapping[str, Any]
Known: TypeAlias = Mapping[str, Sequence[str]]

ONE: Final = "You have used none or multiple values for a field that requires exactly one value."
REFERENCE: Final = "A reference in your rule statement is not valid."
FORMAT: Final = "The parameter contains formatting that is not valid."
TOO_FEW: Final = (
    "You haven't met a minimum requirement for a threshold setting. Examples include a rule group capacity setting "
    "that's too low and an OR statement with only one nested statement."
)

RESERVED: Final = frozenset({"awswaf", "aws", "waf", "rulegroup", "webacl", "regexpatternset", "ipset", "managed"})
STATUSES: Final = frozenset(
    {200, 201, 202, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 409, 411, 412, 413, 414}
    | {415, 416, 421, 429, 500, 501, 502, 503, 504, 505}
)
WINDOWS: Final = (60, 120, 300, 600)
SEARCH_BYTES, REGEX_CHARACTERS, TRANSFORMATIONS = 200, 200, 10
GROUPS: Final = ("RuleGroupReferenceStatement", "ManagedRuleGroupStatement")


def invalid(reason: str, field: str, parameter: str) -> Refusal:
    return Refusal("WAFInvalidParameterException", f"Error reason: {reason}, field: {field}, parameter: {parameter}")


def check(rules: Sequence[Json], bodies: Collection[str], known: Known, *, in_group: bool) -> None:
    """`bodies` are the keys of custom response bodies. `known` maps the ARN of a rule group to the names of its rules,
    and the ARN of a set to nothing. Raises `Refusal`.
    """
    _distinct((str(rule["Priority"]) for rule in rules), "Two rules have the same priority.", "RULE", "Priority")
    _distinct((rule["Name"] for rule in rules), "Two rules have the same name.", "RULE", "Name")
    for rule in rules:
        name, how = _one(rule["Statement"], "STATEMENT", "Statement")
        by_group = name in GROUPS
        if by_group != (rule.get("Action") is None) or by_group != (rule.get("OverrideAction") is not None):
            raise invalid(ONE, "RULE", "Rule")
        if by_group and in_group:
            raise invalid("A rule group cannot have a rule that runs another one.", "STATEMENT", name)
        if by_group and rule.get("RuleLabels"):
            raise invalid("A rule that runs a rule group cannot add labels.", "RULE", "RuleLabels")
        _group(name, how, known)
        _statement(name, how, known, nested=False)
        if by_group:
            _one(rule["OverrideAction"], "OVERRIDE_ACTION", "OverrideAction")
        else:
            check_action(rule["Action"], "RULE_ACTION", bodies)
        for label in rule.get("RuleLabels") or ():
            if RESERVED & set(label["Name"].split(":")):
                raise invalid("A label has a reserved word.", "RULE", "RuleLabels")


def check_action(action: Json, field: str, bodies: Collection[str]) -> None:
    """A rule's action or a default one. Raises `Refusal`."""
    _, how = _one(action, field, "RuleAction" if field == "RULE_ACTION" else "DefaultAction")
    response = how.get("CustomResponse")
    if response is None:
        return
    if response["ResponseCode"] not in STATUSES:
        raise invalid("The status code is not supported.", "CUSTOM_RESPONSE", str(response["ResponseCode"]))
    key = response.get("CustomResponseBodyKey")
    if key is not None and key not in bodies:
        raise invalid("There is no custom response body with this key.", "CUSTOM_RESPONSE", key)
    names = [each["Name"].lower() for each in response.get("ResponseHeaders") or ()]
    if "content-type" in names:
        raise invalid("The header content-type cannot be specified.", "CUSTOM_RESPONSE", "ResponseHeaders")
    _distinct(names, "A header is specified twice.", "CUSTOM_RESPONSE", "ResponseHeaders")


def check_addresses(addresses: Iterable[str], version: str) -> None:
    """Checks the addresses of an IP set; `version` is the API's `IPAddressVersion`. Raises `Refusal`."""
    for text in addresses:
        try:
            network = ip_network(text, strict=False)
        except ValueError as error:
            raise invalid(FORMAT, "IP_ADDRESS", text) from error
        if "/" not in text or network.prefixlen == 0 or f"IPV{network.version}" != version:
            raise invalid(FORMAT, "IP_ADDRESS", text)


def check_patterns(patterns: Iterable[str], field: str) -> None:
    for pattern in patterns:
        if len(pattern) > REGEX_CHARACTERS or refusal(pattern):
            raise invalid(FORMAT, field, pattern)


def _group(name: str, how: Json, known: Known) -> None:
    match name:
        case "RuleGroupReferenceStatement":
            if how["ARN"] not in known:
                raise invalid(REFERENCE, "RULE", "Statement")
            for override in (*(how.get("RuleActionOverrides") or ()), *(how.get("ExcludedRules") or ())):
                if override["Name"] not in known[how["ARN"]]:
                    raise invalid("The rule group has no rule of this name.", "RULE", override["Name"])
                if "ActionToUse" in override:
                    _one(override["ActionToUse"], "RULE_ACTION", "RuleAction")
        case "ManagedRuleGroupStatement" if how["VendorName"] == "AWS" and how["Name"] not in MANAGED:
            raise invalid(REFERENCE, "RULE", "Statement")


def _statement(name: str, how: Json, known: Known, *, nested: bool) -> None:
    match name:
        case "AndStatement" | "OrStatement":
            if len(how["Statements"]) < 2:
                raise invalid(TOO_FEW, f"{name[:-9].upper()}_STATEMENT", name)
            for each in how["Statements"]:
                _nested(each, known)
        case "NotStatement":
            _nested(how["Statement"], known)
        case "RateBasedStatement":
            if nested:
                raise invalid("A rate-based statement cannot be nested.", "RATE_BASED_STATEMENT", name)
            _rate(how, known)
        case "RuleGroupReferenceStatement" | "ManagedRuleGroupStatement":
            if nested:
                raise invalid("A rule group cannot be nested.", "STATEMENT", name)
            if how.get("ScopeDownStatement") is not None:
                _nested(how["ScopeDownStatement"], known)
        case "IPSetReferenceStatement" | "RegexPatternSetReferenceStatement" if how["ARN"] not in known:
            raise invalid(REFERENCE, "RULE", "Statement")
        case "RegexMatchStatement":
            check_patterns([how["RegexString"]], "STATEMENT")
        case "ByteMatchStatement":
            if not 0 < len(how["SearchString"]) <= SEARCH_BYTES:
                raise invalid(FORMAT, "BYTE_MATCH_STATEMENT", "SearchString")
        case _:
            pass
    if how.get("FieldToMatch") is not None:
        _component(name, how)


def _nested(statement: Json, known: Known) -> None:
    name, how = _one(statement, "STATEMENT", "Statement")
    _statement(name, how, known, nested=True)


def _rate(how: Json, known: Known) -> None:
    field, keys = "RATE_BASED_STATEMENT", how.get("CustomKeys") or ()
    window = how.get("EvaluationWindowSec")
    if window is not None and window not in WINDOWS:
        raise invalid("The evaluation window must be 60, 120, 300 or 600.", field, "EvaluationWindowSec")
    kind = how["AggregateKeyType"]
    if (kind == "CUSTOM_KEYS") != bool(keys):
        raise invalid("Custom keys go with the aggregate key type CUSTOM_KEYS.", "CUSTOM_KEYS", "CustomKeys")
    names = [_one(key, "CUSTOM_KEYS", "CustomKeys")[0] for key in keys]
    if names in (["IP"], ["ForwardedIP"]):
        raise invalid("An address alone is an aggregate key type of its own.", "CUSTOM_KEYS", names[0])
    by_header = kind == "FORWARDED_IP" or "ForwardedIP" in names
    if by_header != (how.get("ForwardedIPConfig") is not None):
        raise invalid(ONE, "FORWARDED_IP_CONFIG", "ForwardedIPConfig")
    inner = how.get("ScopeDownStatement")
    if kind == "CONSTANT" and inner is None:
        raise invalid("Counting all requests needs a scope-down statement.", "SCOPE_DOWN", "ScopeDownStatement")
    if inner is not None:
        _nested(inner, known)


def _component(name: str, how: Json) -> None:
    field, _ = _one(how["FieldToMatch"], "FIELD_TO_MATCH", "FieldToMatch")
    for member in ("TextTransformations", "PreParseTextTransformations"):
        steps = how.get(member) or ()
        if len(steps) > TRANSFORMATIONS:
            raise invalid("There are too many text transformations.", "TEXT_TRANSFORMATION", member)
        _distinct(
            (str(each["Priority"]) for each in steps),
            "Two text transformations have the same priority.",
            "TEXT_TRANSFORMATION",
            member,
        )
    exactly = name == "ByteMatchStatement" and how["PositionalConstraint"] == "EXACTLY"
    if field in ("JA3Fingerprint", "JA4Fingerprint") and not exactly:
        raise invalid("A fingerprint can only be matched exactly.", "FIELD_TO_MATCH", field)
    if how.get("PreParseTextTransformations") and field not in ("SingleQueryArgument", "AllQueryArguments"):
        raise invalid("Only query arguments are parsed.", "PRE_PARSE_TEXT_TRANSFORMATION", field)


def _one(union: Json, field: str, parameter: str) -> tuple[str, Json]:
    given = [(name, how) for name, how in union.items() if how is not None]
    if len(given) != 1:
        raise invalid(ONE, field, parameter)
    return given[0]


def _distinct(values: Iterable[str], reason: str, field: str, parameter: str) -> None:
    found = list(values)
    if len(set(found)) < len(found):
        raise invalid(reason, field, parameter)
