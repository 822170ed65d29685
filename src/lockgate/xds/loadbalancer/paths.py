"""An index over many rules: a request is compared only with rules whose path pattern can begin as its path does.

Every pattern has a literal beginning, perhaps an empty one. The longest of all beginnings that a path starts with
leads to the rules that can match it: a rule's own beginning, if the path starts with it, is a beginning of that one
too. So the order of rules stays what it is, and only those that cannot match are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from envoy.config.route.v3.route_components_pb2 import RouteList
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from xds.type.matcher.v3.matcher_pb2 import Matcher

from lockgate.loadbalancer.model import PathPattern, Rule
from lockgate.loadbalancer.patterns import is_literal
from lockgate.xds.loadbalancer.protobuf import Message, pack

FEW: Final = 12  # rules that are compared in less time than an index takes
MOST_ENTRIES: Final = 40  # of the index for each rule: beyond, rules without a path would be repeated too often

Candidate = TypeVar("Candidate")


def by_path(
    candidates: Sequence[Candidate],
    rule_of: Callable[[Candidate], Rule],
    routes: Callable[[Sequence[Candidate]], list[Message]],
) -> Message | None:
    """A matcher over `candidates`, each list of them made into routes by `routes`; None where it would not pay."""
    if len(candidates) <= FEW:
        return None
    beginnings = [_beginnings(rule_of(candidate)) for candidate in candidates]
    keys = sorted({each for some in beginnings for each in some if each})
    anywhere = [at for at, some in enumerate(beginnings) if "" in some]
    if not keys or len(keys) * len(anywhere) > MOST_ENTRIES * len(candidates):
        return None
    holders: dict[str, list[int]] = {}
    for at, some in enumerate(beginnings):
        for each in some:
            holders.setdefault(each, []).append(at)
    tree = Matcher.MatcherTree(
        input={"name": "path", "typed_config": pack(HttpRequestHeaderMatchInput(header_name=":path"))}
    )
    leading: dict[str, frozenset[int]] = {"": frozenset(anywhere)}  # by key, the candidates that it leads to
    for key in keys:
        shorter = next(leading[key[:end]] for end in range(len(key) - 1, -1, -1) if key[:end] in leading)
        if shorter.issuperset(holders[key]):
            continue  # as of `/a` and `/a/*`: one leads to no others than the shorter one does
        leading[key] = shorter.union(holders[key])
        found = sorted(leading[key])
        tree.prefix_match_map.map[key].CopyFrom(_then(routes([candidates[at] for at in found])))
    if not tree.prefix_match_map.map:
        return None
    return Matcher(matcher_tree=tree, on_no_match=_then(routes([candidates[at] for at in anywhere])))


def _then(routes: list[Message]) -> Message:
    action = {"name": "routes", "typed_config": pack(RouteList(routes=routes))}
    return Matcher.OnMatch(action=action)


def _beginnings(rule: Rule) -> frozenset[str]:
    """What the path of a request that matches starts with: one of these."""
    condition = next((each for each in rule.conditions if isinstance(each, PathPattern)), None)
    if condition is None or condition.regex_values:
        return frozenset([""])
    return frozenset(_beginning(value) for value in condition.values)


def _beginning(pattern: str) -> str:
    return next((pattern[:at] for at in range(len(pattern)) if not is_literal(pattern[at])), pattern)
