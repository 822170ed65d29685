"""Reads WAFv2 API responses into `WebAcl` values.

A statement that this reader does not support, or that cannot be evaluated, becomes `NotEvaluated` with the reason. The
rest of the web ACL is evaluated as usual.

Source: WAFv2 API Reference, "Data types".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from lockgate.loadbalancer.waf.model import (
    Action,
    AggregateKey,
    Allow,
    AllQueryArguments,
    And,
    Block,
    Body,
    ByteMatch,
    Component,
    Cookies,
    CookieValue,
    Count,
    Field,
    Fingerprint,
    ForwardedAddress,
    ForwardedIp,
    Geo,
    GroupRule,
    HeaderOrder,
    Headers,
    IpSet,
    JsonBody,
    LabelMatch,
    LabelNamespace,
    Method,
    Networks,
    Not,
    NotEvaluated,
    Or,
    QueryString,
    RateBased,
    RegexMatch,
    Response,
    Rule,
    Selection,
    SingleHeader,
    SingleQueryArgument,
    SizeConstraint,
    SourceAddress,
    Statement,
    Unserved,
    UriFragment,
    UriPath,
    WebAcl,
)
from lockgate.loadbalancer.waf.regex import translated
from lockgate.loadbalancer.waf.transformations import SUPPORTED

Json: TypeAlias = Mapping[str, Any]

PREFIX: Final = "x-amzn-waf-"  # prefix of every request header that WAF inserts
CONTENT_TYPES: Final = {"TEXT_PLAIN": "text/plain", "TEXT_HTML": "text/html", "APPLICATION_JSON": "application/json"}
DEFAULT_WINDOW: Final = 300  # seconds


@dataclass(frozen=True, slots=True)
class References:
    """The resources that rules reference, by ARN, as the API's Get calls return them."""

    ip_sets: Mapping[str, Json] = field(default_factory=dict)
    pattern_sets: Mapping[str, Json] = field(default_factory=dict)
    rule_groups: Mapping[str, Json] = field(default_factory=dict)


def web_acl(answer: Json, references: References) -> WebAcl:
    """`answer` is the WebACL of GetWebACL's response."""
    bodies = answer.get("CustomResponseBodies") or {}
    default = _action(answer["DefaultAction"], bodies)
    rules = (_rule(each, bodies, references) for each in answer.get("Rules") or ())
    return WebAcl(
        name=answer["Name"],
        arn=answer["ARN"],
        default_action=default if isinstance(default, Block) else Allow(getattr(default, "insert", ())),
        rules=tuple(sorted(rules, key=lambda rule: rule.priority)),
        namespace=answer.get("LabelNamespace") or "",
    )


# --- rules and actions -------------------------------------------------------------------------------------------


def _rule(answer: Json, bodies: Json, references: References) -> Rule | GroupRule:
    statement = answer["Statement"]
    name, priority = answer["Name"], int(answer["Priority"])
    group = statement.get("RuleGroupReferenceStatement")
    if group is None:
        return _plain_rule(answer, bodies, references)
    found = references.rule_groups.get(group["ARN"])
    if found is None:
        return Rule(name, priority, NotEvaluated(f"the rule group {group['ARN']} does not exist"), Count())
    own = found.get("CustomResponseBodies") or {}
    overridden = {each["Name"]: each["ActionToUse"] for each in group.get("RuleActionOverrides") or ()}
    overridden |= {each["Name"]: {"Count": {}} for each in group.get("ExcludedRules") or ()}
    rules = [
        _plain_rule({**each, "Action": overridden.get(each["Name"], each.get("Action"))}, own, references)
        for each in found.get("Rules") or ()
    ]
    return GroupRule(
        name=name,
        priority=priority,
        namespace=found.get("LabelNamespace") or "",
        rules=tuple(sorted(rules, key=lambda rule: rule.priority)),
        counts_only="Count" in _given(answer.get("OverrideAction")),
    )


def _plain_rule(answer: Json, bodies: Json, references: References) -> Rule:
    return Rule(
        name=answer["Name"],
        priority=int(answer["Priority"]),
        statement=_statement(answer["Statement"], references),
        action=_action(answer.get("Action") or {"Count": {}}, bodies),  # references to groups have none
        labels=tuple(each["Name"] for each in answer.get("RuleLabels") or ()),
    )


def _action(answer: Json, bodies: Json) -> Action:
    match next(iter(_given(answer).items()), None):
        case "Allow", how:
            return Allow(_inserted(how))
        case "Count", how:
            return Count(_inserted(how))
        case "Block", how:
            return Block(_response((how or {}).get("CustomResponse"), bodies))
        case str(name), _:
            return Unserved(name)
        case _:
            return Unserved("none")


def _inserted(answer: Json) -> tuple[tuple[str, str], ...]:
    handling = (answer or {}).get("CustomRequestHandling") or {}
    return tuple((PREFIX + each["Name"].lower(), each["Value"]) for each in handling.get("InsertHeaders") or ())


def _response(answer: Json | None, bodies: Json) -> Response:
    if answer is None:
        return Response()
    body = bodies.get(answer.get("CustomResponseBodyKey") or "") or {}
    return Response(
        status=int(answer["ResponseCode"]),
        headers=tuple((each["Name"], each["Value"]) for each in answer.get("ResponseHeaders") or ()),
        content_type=CONTENT_TYPES.get(body.get("ContentType", ""), ""),
        content=body.get("Content", ""),
        is_custom=True,
    )


def _given(answer: Json | None) -> Json:
    """Without null members: some clients, and moto, write omitted members as null."""
    return {name: value for name, value in (answer or {}).items() if value is not None}


# --- statements --------------------------------------------------------------------------------------------------


class _Unsupported(Exception):
    """A statement cannot be evaluated; the text says why."""


def _statement(answer: Json, references: References) -> Statement:
    try:
        return _supported(answer, references)
    except _Unsupported as unsupported:
        return NotEvaluated(str(unsupported))


def _supported(answer: Json, references: References) -> Statement:
    match next(iter(_given(answer).items()), None):
        case "IPSetReferenceStatement", how:
            return _ip_set(how, references)
        case "GeoMatchStatement", how:
            return Geo(tuple(how.get("CountryCodes") or ()), _forwarded(how.get("ForwardedIPConfig")))
        case "ByteMatchStatement", how:
            search = how["SearchString"]
            text = search if isinstance(search, bytes) else str(search).encode()
            return ByteMatch(_component(how), text, how["PositionalConstraint"])
        case "RegexMatchStatement", how:
            return _regexes(how, [how["RegexString"]])
        case "RegexPatternSetReferenceStatement", how:
            found = references.pattern_sets.get(how["ARN"])
            if found is None:
                raise _Unsupported(f"the regex pattern set {how['ARN']} does not exist")
            return _regexes(how, [each["RegexString"] for each in found.get("RegularExpressionList") or ()])
        case "SizeConstraintStatement", how:
            return SizeConstraint(_component(how), how["ComparisonOperator"], int(how["Size"]))
        case "LabelMatchStatement", how:
            return LabelMatch(how["Scope"], how["Key"])
        case "RateBasedStatement", how:
            return _rate_based(how, references)
        case "AndStatement", how:
            return And(tuple(_statement(each, references) for each in how["Statements"]))
        case "OrStatement", how:
            return Or(tuple(_statement(each, references) for each in how["Statements"]))
        case "NotStatement", how:
            return Not(_statement(how["Statement"], references))
        case "ManagedRuleGroupStatement", how:
            raise _Unsupported(f"the rules of the managed rule group {how['VendorName']}/{how['Name']} are not public")
        case "SqliMatchStatement" | "XssMatchStatement", _:
            raise _Unsupported("how AWS detects SQL injection and cross-site scripting is not public")
        case "AsnMatchStatement", _:
            raise _Unsupported("Lockgate has no table of autonomous systems")
        case str(other), _:
            raise _Unsupported(f"{other} is not supported")
        case _:
            raise _Unsupported("it has no statement")


def _ip_set(answer: Json, references: References) -> IpSet:
    arn = answer["ARN"]
    found = references.ip_sets.get(arn)
    if found is None:
        raise _Unsupported(f"the IP set {arn} does not exist")
    try:
        networks = Networks.of(found.get("Addresses") or ())
    except ValueError as fault:
        raise _Unsupported(f"the IP set {arn}: {fault}") from fault
    return IpSet(arn, networks, _forwarded(answer.get("IPSetForwardedIPConfig")))


def _forwarded(answer: Json | None) -> ForwardedIp | None:
    if answer is None:
        return None
    return ForwardedIp(answer["HeaderName"].lower(), answer["FallbackBehavior"], answer.get("Position") or "FIRST")


def _regexes(answer: Json, patterns: Iterable[str]) -> RegexMatch:
    compiled = []
    for pattern in patterns:
        made = translated(pattern)
        if made is None:
            raise _Unsupported(f"the regular expression {pattern!r} does not compile")
        compiled.append(made)
    return RegexMatch(_component(answer), tuple(compiled))


def _rate_based(answer: Json, references: References) -> RateBased:
    keys: tuple[AggregateKey, ...]
    match answer["AggregateKeyType"]:
        case "IP":
            keys = (SourceAddress(),)
        case "FORWARDED_IP":
            keys = (ForwardedAddress(),)
        case "CUSTOM_KEYS":
            keys = tuple(_key(each) for each in answer.get("CustomKeys") or ())
        case _:
            keys = ()
    scope_down = answer.get("ScopeDownStatement")
    return RateBased(
        limit=int(answer["Limit"]),
        window=int(answer.get("EvaluationWindowSec") or DEFAULT_WINDOW),
        keys=keys,
        scope_down=None if scope_down is None else _statement(scope_down, references),
        forwarded=_forwarded(answer.get("ForwardedIPConfig")),
    )


def _key(answer: Json) -> AggregateKey:
    match next(iter(_given(answer).items()), None):
        case "IP", _:
            return SourceAddress()
        case "ForwardedIP", _:
            return ForwardedAddress()
        case "Cookie", how:
            return CookieValue(how["Name"], _transformations(how.get("TextTransformations")))
        case "LabelNamespace", how:
            return LabelNamespace(how["Namespace"])
        case "HTTPMethod", _:
            return Component(Method())
        case "Header", how:
            return Component(SingleHeader(how["Name"]), _transformations(how.get("TextTransformations")))
        case "QueryArgument", how:
            return Component(SingleQueryArgument(how["Name"]), _transformations(how.get("TextTransformations")))
        case "QueryString", how:
            return Component(QueryString(), _transformations(how.get("TextTransformations")))
        case "UriPath", how:
            return Component(UriPath(), _transformations(how.get("TextTransformations")))
        case ("JA3Fingerprint" | "JA4Fingerprint") as kind, how:
            return Component(Fingerprint("ja3" if kind.startswith("JA3") else "ja4", how["FallbackBehavior"]))
        case other:
            raise _Unsupported(f"requests cannot be aggregated by {other[0] if other else 'nothing'}")


# --- components --------------------------------------------------------------------------------------------------


def _component(answer: Json) -> Component:
    return Component(
        _field(answer["FieldToMatch"]),
        _transformations(answer.get("TextTransformations")),
        _transformations(answer.get("PreParseTextTransformations")),
    )


def _transformations(answer: Iterable[Json] | None) -> tuple[str, ...]:
    names = [each["Type"] for each in sorted(answer or (), key=lambda each: int(each["Priority"]))]
    for name in names:
        if name not in SUPPORTED:
            raise _Unsupported(f"what the text transformation {name} does is not documented")
    return tuple(name for name in names if name != "NONE")


def _field(answer: Json) -> Field:
    match next(iter(_given(answer).items()), None):
        case "Method", _:
            return Method()
        case "UriPath", _:
            return UriPath()
        case "QueryString", _:
            return QueryString()
        case "UriFragment", how:
            return UriFragment(how.get("FallbackBehavior") or "NO_MATCH")
        case "SingleHeader", how:
            return SingleHeader(how["Name"])
        case "Headers", how:
            return Headers(_selection(how["MatchPattern"], "Headers"), how["MatchScope"], how["OversizeHandling"])
        case "Cookies", how:
            return Cookies(_selection(how["MatchPattern"], "Cookies"), how["MatchScope"], how["OversizeHandling"])
        case "HeaderOrder", how:
            return HeaderOrder(how["OversizeHandling"])
        case "SingleQueryArgument", how:
            return SingleQueryArgument(how["Name"])
        case "AllQueryArguments", _:
            return AllQueryArguments()
        case "Body", how:
            return Body(how.get("OversizeHandling") or "CONTINUE")
        case "JsonBody", how:
            paths = how["MatchPattern"].get("IncludedPaths")
            return JsonBody(
                scope=how["MatchScope"],
                paths=None if paths is None else tuple(paths),
                fallback=how.get("InvalidFallbackBehavior"),
                oversize=how.get("OversizeHandling") or "CONTINUE",
            )
        case ("JA3Fingerprint" | "JA4Fingerprint") as kind, how:
            return Fingerprint("ja3" if kind.startswith("JA3") else "ja4", how["FallbackBehavior"])
        case other:
            raise _Unsupported(f"the field {other[0] if other else 'none'} is not supported")


def _selection(answer: Json, what: str) -> Selection:
    for kind in ("Included", "Excluded"):
        if (names := answer.get(f"{kind}{what}")) is not None:
            return Selection("included" if kind == "Included" else "excluded", tuple(names))
    return Selection()
