"""Conditions and transforms of rules: checks them, and converts them to the shape that AWS returns.

Source: ELBv2 API Reference, RuleCondition and RuleTransform; ALB user guide, "Condition types for listener rules".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from lockgate.embedded.aws.elbv2.state import Shape
from lockgate.embedded.aws.protocol import Refusal
from lockgate.gateway.regex import mistake

CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}
ONCE = ("host-header", "path-pattern", "http-request-method", "source-ip")
REGEX = ("host-header", "path-pattern", "http-header")
VALUES = 5  # per rule, in all conditions together
WILDCARDS = 5
LENGTH = 128

_HOST = re.compile(r"[A-Za-z0-9.*?-]+")
_PATH = re.compile(r"[A-Za-z0-9_\-.$/~\"'@:+&*?]+")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}")
_METHOD = re.compile(r"[A-Z\-_]{1,40}")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def complete(given: Sequence[Shape]) -> list[Shape]:
    """Raises `Refusal`."""
    if not given:
        raise Refusal("ValidationError", "A condition must be specified")
    conditions = [_condition(condition) for condition in given]
    for field in ONCE:
        if sum(condition["Field"] == field for condition in conditions) > 1:
            raise Refusal("ValidationError", f"A rule can only have one '{field}' condition")
    values = [value for condition in conditions for value in _values(condition)]
    if len(values) > VALUES:
        raise Refusal("ValidationError", f"A rule can only have '{VALUES}' condition values")
    if sum(_wildcards(condition) for condition in conditions) > WILDCARDS:
        raise Refusal("ValidationError", f"A rule can only have '{WILDCARDS}' condition wildcards")
    return conditions


def transforms(given: Sequence[Shape]) -> list[Shape]:
    """Raises `Refusal`."""
    kinds = [transform["Type"] for transform in given]
    if len(set(kinds)) < len(kinds):
        raise Refusal("ValidationError", "A rule can only have one transform of each type")
    return [_transform(transform) for transform in given]


def _condition(given: Shape) -> Shape:
    field = given.get("Field", "")
    if field not in CONFIGS:
        raise Refusal("ValidationError", f"Condition field '{field}' must be one of '[{', '.join(CONFIGS)}]'")
    configs = [config for config in CONFIGS.values() if config in given]
    plain = {key: given[key] for key in ("Values", "RegexValues") if given.get(key)}
    if plain and field not in ("host-header", "path-pattern"):
        raise Refusal("ValidationError", f"A '{field}' condition takes its values in '{CONFIGS[field]}'")
    if any(config != CONFIGS[field] for config in configs) or (plain and configs):
        raise Refusal("ValidationError", f"A '{field}' condition can only have '{CONFIGS[field]}'")
    config = {key: value for key, value in given.get(CONFIGS[field], plain).items() if value not in (None, [])}
    if "RegexValues" in config:
        if field not in REGEX or "Values" in config:
            raise Refusal("ValidationError", f"A '{field}' condition cannot have these regex values")
        for value in config["RegexValues"]:
            _check_regex(value, LENGTH)
    elif not config.get("Values"):
        raise Refusal("ValidationError", f"A '{field}' condition value must be specified")
    if field == "http-header":
        _check_header_name(config.get("HttpHeaderName", ""))
    for value in config.get("Values", ()):
        _check_value(field, value)
    shown: Shape = {"Field": field, CONFIGS[field]: config}
    if field in ("host-header", "path-pattern"):
        shown |= config  # returned in both fields, because older clients read `Values`
    return shown


def _check_value(field: str, value: str | Shape) -> None:
    if isinstance(value, dict):  # a key/value pair of query-string
        if not value.get("Value"):
            raise Refusal("ValidationError", "A 'query-string' condition value must be specified")
        parts = [value["Value"], value.get("Key") or ""]
    else:
        parts = [value]
    for part in parts:
        if len(part) > LENGTH:
            raise Refusal("ValidationError", f"Condition value '{part}' cannot be longer than '{LENGTH}' characters")
    text = parts[0]
    good = True
    match field:
        case "host-header":
            last = text.rpartition(".")[2]
            good = bool(_HOST.fullmatch(text)) and "." in text and bool(re.fullmatch(r"[A-Za-z0-9*?-]+", last))
        case "path-pattern":
            good = bool(_PATH.fullmatch(text))
        case "http-request-method":
            good = bool(_METHOD.fullmatch(text))
        case "source-ip":
            good = _is_block(text)
        case _:
            good = all(_PRINTABLE.fullmatch(part) for part in parts)
    if not good:
        raise Refusal("ValidationError", f"Condition value '{text}' is not valid for the condition field '{field}'")


def _check_header_name(name: str) -> None:
    if not _HEADER.fullmatch(name):
        raise Refusal("ValidationError", f"HTTP header name '{name}' is not valid: 1 to 40 characters of a header name")
    if name.lower() == "host":
        raise Refusal("ValidationError", "The 'http-header' condition cannot be used for the header 'Host'")


def _is_block(text: str) -> bool:
    if "/" not in text or text == "255.255.255.255/32":
        return False
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _check_regex(pattern: str, length: int) -> None:
    if len(pattern) > length:
        raise Refusal("ValidationError", f"The regex '{pattern}' cannot be longer than '{length}' characters")
    if wrong := _mistake(pattern):
        raise Refusal("ValidationError", f"The regex '{pattern}' is not valid: {wrong}")


def _mistake(pattern: str) -> str | None:
    """The user guide excludes look-around, back-references and the like. Each is missing in one of our two engines."""
    try:
        re.compile(pattern)
        return mistake(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error)


def _values(condition: Shape) -> Sequence[object]:
    config = condition[CONFIGS[condition["Field"]]]
    values: Sequence[object] = config.get("Values") or config.get("RegexValues") or ()
    return values


def _wildcards(condition: Shape) -> int:
    if condition["Field"] in ("http-request-method", "source-ip"):
        return 0
    count = 0
    for value in condition[CONFIGS[condition["Field"]]].get("Values", ()):
        parts = [value.get("Key") or "", value["Value"]] if isinstance(value, dict) else [value]
        count += sum(len(re.findall(r"(?<!\\)[*?]", part)) for part in parts)
    return count


def _transform(given: Shape) -> Shape:
    kind = given["Type"]
    config = {"host-header-rewrite": "HostHeaderRewriteConfig", "url-rewrite": "UrlRewriteConfig"}[kind]
    if set(given) - {"Type", config}:
        raise Refusal("ValidationError", f"A transform of type '{kind}' can only have '{config}'")
    rewrites = given.get(config, {}).get("Rewrites") or []
    if len(rewrites) != 1:
        raise Refusal("ValidationError", f"A transform of type '{kind}' must have exactly one rewrite")
    _check_regex(rewrites[0]["Regex"], 1024)
    if len(rewrites[0]["Replace"]) > 1024:
        raise Refusal("ValidationError", "The replacement of a rewrite cannot be longer than '1024' characters")
    if re.search(r"[\x00-\x20\x7f]", rewrites[0]["Replace"]):  # it becomes part of the request line and headers
        raise Refusal(
            "ValidationError", f"The replacement '{rewrites[0]['Replace']}' contains characters that are not valid"
        )
    return {"Type": kind, config: {"Rewrites": [dict(rewrites[0])]}}
