"""Rules of a listener: paths as conditions, their order, and the two passes that drop redirects.

Source: aws-load-balancer-controller `pkg/ingress/model_build_listener_rules.go`, `rule_optimizer.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lockgate.ingress.refusal import Refused
from lockgate.loadbalancer.model import Action, Condition, HostHeader, PathPattern, Redirect


def path_condition(path: str, path_type: str | None, *, regex: bool) -> PathPattern | None:
    """The condition of an Ingress path; `regex` is the annotation use-regex-path-match."""
    if not path:
        return None
    wild = "*" in path or "?" in path
    match path_type:
        case "Exact":
            if wild:
                raise Refused(f"exact path shouldn't contain wildcards: {path}")
            return PathPattern((path,))
        case "Prefix":
            if wild:
                raise Refused(f"prefix path shouldn't contain wildcards: {path}")
            if path == "/":
                return PathPattern(("/*",))
            stem = path.removesuffix("/")
            return PathPattern((stem, f"{stem}/*"))
        case _ if regex:
            return PathPattern(regex_values=(path[1:],))
        case _:
            return PathPattern((path,))


def rule_conditions(host: str, path: PathPattern | None, extra: Sequence[Condition]) -> tuple[Condition, ...]:
    """All conditions of one rule: the annotation's other kinds, then host, then path."""
    others = tuple(item for item in extra if not isinstance(item, HostHeader | PathPattern))
    hosts = [item for item in extra if isinstance(item, HostHeader)]
    paths = ([path] if path else []) + [item for item in extra if isinstance(item, PathPattern)]
    host_values = ((host,) if host else ()) + tuple(value for item in hosts for value in item.values)
    host_regexes = tuple(value for item in hosts for value in item.regex_values)
    path_values = tuple(value for item in paths for value in item.values)
    path_regexes = tuple(value for item in paths for value in item.regex_values)
    _one_kind("host", host_values, host_regexes)
    _one_kind("path", path_values, path_regexes)
    found: tuple[Condition, ...] = others
    if host_values or host_regexes:
        found += (HostHeader(host_values, host_regexes),)
    if path_values or path_regexes:
        found += (PathPattern(path_values, path_regexes),)
    return found or (PathPattern(("/*",)),)


def path_order(paths: Iterable[tuple[int, str, str | None]]) -> list[int]:
    """Indexes of a rule's paths in the order of precedence. Items are (index, path, path type)."""
    ranked = [
        (_rank(path_type), -len(path.encode()) if path_type == "Prefix" else 0, index)
        for index, path, path_type in paths
    ]
    return [index for _, _, index in sorted(ranked)]


@dataclass(frozen=True, slots=True)
class Match:
    """The parts of a rule that the two passes compare."""

    conditions: tuple[Condition, ...]
    redirect: Redirect | None

    @classmethod
    def of(cls, conditions: tuple[Condition, ...], actions: Iterable[Action]) -> Match:
        return cls(conditions, next((action for action in actions if isinstance(action, Redirect)), None))


def kept(port: int, protocol: str, rules: Sequence[Match]) -> list[int]:
    """Indexes of the rules that the listener gets. Rules that redirect to themselves are dropped, and so are rules
    after a redirect that matches all of their requests."""
    survivors: list[int] = []
    redirects: list[tuple[frozenset[str], frozenset[str]]] = []
    for index, rule in enumerate(rules):
        if rule.redirect is not None and redirects_to_itself(port, protocol, rule.conditions, rule.redirect):
            continue
        if redirects and any(_covers(earlier, rule.conditions) for earlier in redirects):
            continue
        survivors.append(index)
        if rule.redirect is not None and all(
            isinstance(condition, HostHeader | PathPattern) for condition in rule.conditions
        ):
            redirects.append((_hosts(rule.conditions), _paths(rule.conditions)))
    return survivors


def redirects_to_itself(port: int, protocol: str, conditions: Iterable[Condition], redirect: Redirect) -> bool:
    """Whether the redirect leads to the same request at the same listener. Only host and path are compared."""
    hosts: set[str] = set()
    paths: set[str] = set()
    for condition in conditions:
        if isinstance(condition, HostHeader):
            hosts.update(condition.values)
        elif isinstance(condition, PathPattern):
            if condition.regex_values:
                return False
            paths.update(condition.values)
    return (
        (redirect.host == "#{host}" or redirect.host in hosts)
        and (redirect.path == "/#{path}" or redirect.path in paths)
        and redirect.port in ("#{port}", str(port))
        and redirect.protocol in ("#{protocol}", protocol)
        and redirect.query == "#{query}"
    )


def _covers(earlier: tuple[frozenset[str], frozenset[str]], conditions: tuple[Condition, ...]) -> bool:
    """Compares sets of texts, not patterns: only ``/*`` matches every path."""
    hosts, paths = earlier
    later_hosts, later_paths = _hosts(conditions), _paths(conditions)
    return (not hosts or (bool(later_hosts) and later_hosts <= hosts)) and (
        not paths or "/*" in paths or (bool(later_paths) and later_paths <= paths)
    )


def _hosts(conditions: Iterable[Condition]) -> frozenset[str]:
    """Regular expressions are ignored, as upstream: a host condition with only regexes counts as every host."""
    return frozenset(
        value for condition in conditions if isinstance(condition, HostHeader) for value in condition.values
    )


def _paths(conditions: Iterable[Condition]) -> frozenset[str]:
    return frozenset(
        value
        for condition in conditions
        if isinstance(condition, PathPattern)
        for value in (*condition.values, *condition.regex_values)
    )


def _rank(path_type: str | None) -> int:
    return {"Exact": 0, "Prefix": 1}.get(path_type or "", 2)


def _one_kind(what: str, values: tuple[str, ...], regexes: tuple[str, ...]) -> None:
    if values and regexes:
        raise Refused(
            f"{what} condition must specify exactly one of Values and RegexValues, got both "
            f"Values [{' '.join(values)}] and RegexValues [{' '.join(regexes)}]"
        )
