"""The cost of rules in web ACL capacity units (WCU).

Source: AWS WAF Developer Guide, "Match rule statements", "Rate-based rule statement", "AWS Managed Rules rule groups
list". According to the guide, nesting itself costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

Json: TypeAlias = Mapping[str, Any]

MOST: Final = 5000  # for one web ACL or one rule group

MANAGED: Final[Mapping[str, int]] = {
    "AWSManagedRulesACFPRuleSet": 50,
    "AWSManagedRulesATPRuleSet": 50,
    "AWSManagedRulesAdminProtectionRuleSet": 100,
    "AWSManagedRulesAmazonIpReputationList": 25,
    "AWSManagedRulesAnonymousIpList": 50,
    "AWSManagedRulesAntiDDoSRuleSet": 50,
    "AWSManagedRulesBotControlRuleSet": 50,
    "AWSManagedRulesCommonRuleSet": 700,
    "AWSManagedRulesKnownBadInputsRuleSet": 200,
    "AWSManagedRulesLinuxRuleSet": 200,
    "AWSManagedRulesPHPRuleSet": 100,
    "AWSManagedRulesSQLiRuleSet": 200,
    "AWSManagedRulesUnixRuleSet": 100,
    "AWSManagedRulesWindowsRuleSet": 200,
    "AWSManagedRulesWordPressRuleSet": 100,
}


def capacity(rules: Iterable[Json], groups: Mapping[str, int]) -> int:
    """`rules` have the API's shape; `groups` maps rule group ARNs to their capacities."""
    return sum(_statement(rule["Statement"], groups) for rule in rules)


def _statement(statement: Json, groups: Mapping[str, int]) -> int:
    name = next((name for name, how in statement.items() if how is not None), "")
    how: Json = statement.get(name) or {}
    match name:
        case "AndStatement" | "OrStatement":
            return sum(_statement(each, groups) for each in how["Statements"])
        case "NotStatement":
            return _statement(how["Statement"], groups)
        case "RateBasedStatement":
            inner = how.get("ScopeDownStatement")
            return 2 + 30 * len(how.get("CustomKeys") or ()) + (_statement(inner, groups) if inner else 0)
        case "RuleGroupReferenceStatement":
            return groups.get(how["ARN"], 0)
        case "ManagedRuleGroupStatement":
            inner = how.get("ScopeDownStatement")
            return MANAGED.get(how["Name"], 0) + (_statement(inner, groups) if inner else 0)
        case "IPSetReferenceStatement":
            return 5 if (how.get("IPSetForwardedIPConfig") or {}).get("Position") == "ANY" else 1
        case "ByteMatchStatement":
            return _component(10 if how["PositionalConstraint"].startswith("CONTAINS") else 2, how)
        case "RegexMatchStatement":
            return _component(3, how)
        case "RegexPatternSetReferenceStatement":
            return _component(25, how)
        case "SqliMatchStatement":
            return _component(30 if how.get("SensitivityLevel") == "HIGH" else 20, how)
        case "XssMatchStatement":
            return _component(40, how)
        case "SizeConstraintStatement":
            return _component(1, how)
        case _:  # countries, labels, autonomous systems
            return 1


def _component(base: int, how: Json) -> int:
    """Adds the cost of the field and its text transformations."""
    field = next((name for name, value in how["FieldToMatch"].items() if value is not None), None)
    own = 2 * base if field == "JsonBody" else base
    steps = [*(how.get("TextTransformations") or ()), *(how.get("PreParseTextTransformations") or ())]
    decoded = sum(each["Type"] != "NONE" for each in steps)
    return int(own + 10 * decoded + (10 if field == "AllQueryArguments" else 0))
