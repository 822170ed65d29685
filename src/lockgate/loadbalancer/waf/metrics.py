"""Web ACL metrics under CloudWatch's names.

Source: AWS WAF Developer Guide, "AWS WAF metrics and dimensions". Rules are identified by name, not by metric name;
``GROUP/RULE`` is a rule group's rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from lockgate.loadbalancer.waf.evaluate import Verdict

DEFAULT: Final = "Default_Action"

Counts: TypeAlias = Mapping[tuple[str, str, str], int]  # by metric, web ACL, rule


def counted(verdict: Verdict) -> Iterator[tuple[str, str]]:
    """The metrics that a request increments, each with its rule."""
    for rule in verdict.counted:
        yield "CountedRequests", rule
    yield ("AllowedRequests" if verdict.blocked is None else "BlockedRequests"), verdict.rule or DEFAULT


def exposition(counts: Counts) -> str:
    """Prometheus text format."""
    lines, last = [], ""
    for (metric, acl, rule), value in sorted(counts.items()):
        if metric != last:
            lines.append(f"# TYPE {metric} counter")
        lines.append(f'{metric}{{WebACL="{acl}",Rule="{rule}"}} {value}')
        last = metric
    return "".join(f"{each}\n" for each in lines)
