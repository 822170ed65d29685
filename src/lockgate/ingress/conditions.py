"""Parses ``conditions.*`` and ``transforms.*`` annotations: JSON lists to conditions and rewrites.

Source: aws-load-balancer-controller `pkg/ingress/enhanced_backend_types.go` and its guide's page.
"""

from __future__ import annotations

from typing import Final

from lockgate.ingress.annotations.json_values import Fields, Node
from lockgate.ingress.refusal import Refused
from lockgate.loadbalancer.model import (
    Condition,
    HostHeader,
    HttpHeader,
    HttpRequestMethod,
    PathPattern,
    QueryPair,
    QueryString,
    Rewrite,
    SourceIp,
)


def read_conditions(root: Node) -> tuple[Condition, ...]:
    """Entries with an unknown field are ignored, as upstream."""
    found = []
    for node in root.items("[]ingress.RuleCondition"):
        condition = _condition(node.object("RuleCondition"))
        if condition is not None:
            found.append(condition)
    return tuple(found)


def read_transforms(root: Node) -> tuple[Rewrite, ...]:
    found: list[Rewrite] = []
    for number, node in enumerate(root.items("[]ingress.Transform")):
        fields = node.object("Transform")
        match fields["type"].string() or "":
            case "url-rewrite":
                found += _rewrites(fields, "urlRewriteConfig", "url", number)
            case "host-header-rewrite":
                found += _rewrites(fields, "hostHeaderRewriteConfig", "host-header", number)
            case unknown:
                raise Refused(f"unknown transform type: {unknown}")
    return tuple(found)


def _condition(fields: Fields) -> Condition | None:
    match fields["field"].string():
        case "host-header":
            return HostHeader(*_values_or_regexes(_config(fields, "hostHeaderConfig"), "hostHeaderConfig"))
        case "path-pattern":
            return PathPattern(*_values_or_regexes(_config(fields, "pathPatternConfig"), "pathPatternConfig"))
        case "http-header":
            config = _config(fields, "httpHeaderConfig")
            # ELBv2 refuses an empty name, the controller does not.
            name = config["httpHeaderName"].string() or ""
            return HttpHeader(name, *_values_or_regexes(config, "httpHeaderConfig"))
        case "http-request-method":
            return HttpRequestMethod(_values(fields, "httpRequestMethodConfig"))
        case "query-string":
            pairs = [
                item.object("QueryStringKeyValuePair")
                for item in _config(fields, "queryStringConfig")["values"].items()
            ]
            if not pairs:
                raise Refused("invalid queryStringConfig: Values cannot be empty")
            return QueryString(tuple(_pair(pair) for pair in pairs))
        case "source-ip":
            return SourceIp(_values(fields, "sourceIPConfig"))
        case _:
            return None


_CONFIGS: Final = {
    "hostHeaderConfig": "HostHeaderConditionConfig",
    "pathPatternConfig": "PathPatternConditionConfig",
    "httpHeaderConfig": "HTTPHeaderConditionConfig",
    "httpRequestMethodConfig": "HTTPRequestMethodConditionConfig",
    "queryStringConfig": "QueryStringConditionConfig",
    "sourceIPConfig": "SourceIPConditionConfig",
}
"""The controller's types, which its decoder names in errors."""


def _config(fields: Fields, name: str) -> Fields:
    if fields[name].is_null:
        raise Refused(f"missing {name}")
    return fields[name].object(_CONFIGS[name])


def _values(fields: Fields, name: str) -> tuple[str, ...]:
    values = _config(fields, name)["values"].strings()
    if not values:
        raise Refused(f"invalid {name}: values cannot be empty")
    return values


def _values_or_regexes(config: Fields, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    values, regexes = config["values"].strings(), config["regexValues"].strings()
    if not values and not regexes:
        raise Refused(f"invalid {name}: values or regexValues must be specified")
    if values and regexes:
        raise Refused(f"invalid {name}: precisely one of values and regexValues can be specified")
    return values, regexes


def _pair(fields: Fields) -> QueryPair:
    value = fields["value"].string()
    if not value:
        raise Refused("invalid queryStringConfig: value cannot be empty")
    return QueryPair(value, fields["key"].string())


def _rewrites(fields: Fields, name: str, target: str, number: int) -> list[Rewrite]:
    if fields[name].is_null:
        raise Refused(f"missing {name}")
    rewrites = fields[name].object("RewriteConfigObject")["rewrites"].items("[]ingress.RewriteConfig")
    if not rewrites:
        raise Refused(f"{name}.rewrites cannot be empty")
    found = []
    for node in rewrites:
        rewrite = node.object("RewriteConfig")
        regex, replace = rewrite["regex"].string() or "", rewrite["replace"].string() or ""
        found.append(Rewrite("url" if target == "url" else "host-header", regex, replace, number))
    return found
