"""An index over many rules: a request is compared only with rules that its path, or a header, does not rule out.

By path: every pattern has a literal prefix, possibly empty. The longest prefix in the index that a path starts with
leads to all rules that can match the path, because every shorter matching prefix is a prefix of the longest one. By
header: a value that rules name leads to the rules that accept it. A request with any other value, in different case or
on several lines, is compared with all rules. The order of rules is preserved; only rules that cannot match are skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from envoy.config.route.v3.route_components_pb2 import RouteList
from envoy.type.matcher.v3.http_inputs_pb2 import HttpRequestHeaderMatchInput
from xds.type.matcher.v3.matcher_pb2 import Matcher

from lockgate.loadbalancer.model import HttpHeader, PathPattern, Rule
from lockgate.loadbalancer.patterns import is_literal, matches
from lockgate.xds.protobuf import Message, pack

FEW: Final = 12  # up to this many rules, comparing all is faster than the index
MOST_ENTRIES: Final = 40  # per rule; above this, the index repeats rules too often

Candidate = TypeVar("Candidate")


@dataclass(frozen=True, slots=True)
class _Index:
    """Positions of the rules that a key leads to, in order; `others` applies to requests without a key."""

    header: str
    kind: Literal["prefix_match_map", "exact_match_map"]
    keys: Mapping[str, Sequence[int]]
    others: Sequence[int]

    @property
    def largest(self) -> int:
        return max(map(len, self.keys.values()))

    @property
    def entries(self) -> int:
        return sum(map(len, self.keys.values())) + len(self.others)


def indexed(
    candidates: Sequence[Candidate],
    rule_of: Callable[[Candidate], Rule],
    routes: Callable[[Sequence[Candidate]], list[Message]],
) -> Message | None:
    """A matcher over `candidates`, with the routes that `routes` makes of each list; None if an index does not pay."""
    if len(candidates) <= FEW:
        return None
    rules = [rule_of(candidate) for candidate in candidates]
    found = [each for each in (_by_path(rules), _by_header(rules)) if each is not None]
    best = min(found, key=lambda each: each.largest, default=None)
    if best is None or best.largest == len(rules) or best.entries > MOST_ENTRIES * len(rules):
        return None

    def then(places: Sequence[int]) -> Message:
        action = {"name": "routes", "typed_config": pack(RouteList(routes=routes([candidates[at] for at in places])))}
        return Matcher.OnMatch(action=action)

    tree = Matcher.MatcherTree(
        input={"name": "index", "typed_config": pack(HttpRequestHeaderMatchInput(header_name=best.header))}
    )
    for key, places in best.keys.items():
        getattr(tree, best.kind).map[key].CopyFrom(then(places))
    return Matcher(matcher_tree=tree, on_no_match=then(best.others))


def _by_path(rules: Sequence[Rule]) -> _Index | None:
    beginnings = [_beginnings(rule) for rule in rules]
    anywhere = frozenset(at for at, some in enumerate(beginnings) if "" in some)
    holders: dict[str, list[int]] = {}
    for at, some in enumerate(beginnings):
        for each in some:
            holders.setdefault(each, []).append(at)
    leading: dict[str, frozenset[int]] = {"": anywhere}
    for key in sorted(holders.keys() - {""}):
        shorter = next(leading[key[:end]] for end in range(len(key) - 1, -1, -1) if key[:end] in leading)
        if not shorter.issuperset(holders[key]):  # `/a/*` leads to the same rules as `/a`
            leading[key] = shorter.union(holders[key])
    keys = {key: sorted(places) for key, places in leading.items() if key}
    return _Index(":path", "prefix_match_map", keys, sorted(anywhere)) if keys else None


def _beginnings(rule: Rule) -> frozenset[str]:
    """The literal prefixes of a rule: the path of every matching request starts with one of them."""
    condition = next((each for each in rule.conditions if isinstance(each, PathPattern)), None)
    if condition is None or condition.regex_values:
        return frozenset([""])
    return frozenset(_beginning(value) for value in condition.values)


def _beginning(pattern: str) -> str:
    return next((pattern[:at] for at in range(len(pattern)) if not is_literal(pattern[at])), pattern)


def _by_header(rules: Sequence[Rule]) -> _Index | None:
    """An index by the header that most rules use."""
    asked = [[each for each in rule.conditions if isinstance(each, HttpHeader)] for rule in rules]
    names = Counter(name for some in asked for name in {each.name.lower() for each in some})
    if not names:
        return None
    header = names.most_common(1)[0][0]
    conditions = [[each for each in some if each.name.lower() == header] for some in asked]
    # Envoy joins repeated headers with commas, so a value with a comma may be two values.
    values = {value for some in conditions for each in some for value in each.values if is_literal(value)}
    keys = {
        key: [at for at, some in enumerate(conditions) if all(_takes(each, key) for each in some)]
        for key in sorted(values)
        if key and "," not in key
    }
    return _Index(header, "exact_match_map", keys, range(len(rules))) if keys else None


def _takes(condition: HttpHeader, value: str) -> bool:
    """Whether the condition may match; regex values are compared by Envoy."""
    return bool(condition.regex_values) or any(matches(each, value, case_sensitive=False) for each in condition.values)
