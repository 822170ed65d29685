"""Slow and failing calls of the embedded APIs, for programs that must cope with those of AWS and EKS.

A rule is ``WHERE=WHAT``, optionally with ``*TIMES`` (the first calls only) and ``%PERCENT`` (of calls, at random):

    route53:ChangeResourceRecordSets=Throttling*3     the first three calls
    acm:*=ThrottlingException%20                      every fifth call of a service
    acm:DescribeCertificate=AccessDenied              an IAM policy that lacks the action
    kubernetes:patch/ingresses=Forbidden              a verb of RBAC on a resource
    elasticloadbalancing:DescribeLoadBalancers=slow:2 two seconds later
    route53:ListResourceRecordSets=stale:3            for three seconds after a change, the answer from before it
    elbv2:*=rate:10                                   40 calls at once and 10 a second; others are throttled

Calls that Lockgate's own controllers make in this process do not meet the rules.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Answer = TypeVar("Answer")

_RULE: Final = re.compile(
    r"(?P<service>[a-z0-9-]+|\*):(?P<operation>[\w/.*-]+)="
    r"(?P<what>[A-Za-z][\w.]*)(?::(?P<seconds>\d+(?:\.\d+)?))?(?:\*(?P<times>\d+))?(?:%(?P<percent>\d{1,3}))?"
)
_TIMED: Final = ("slow", "stale", "rate")
_SECONDS: Final = 600.0
_BURST: Final = 4  # a bucket holds so many seconds' calls: ELB's API lets 40 reads through, and then 10 a second
_THROTTLED: Final = {
    "acm": "ThrottlingException",
    "eks": "ThrottlingException",
    "wafv2": "ThrottlingException",
    "kubernetes": "TooManyRequests",
}
_ANSWERS: Final = 1000  # that are remembered for stale reads


class BadRule(ValueError):
    """A rule that cannot be read. The message has the right form."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`code` is the error, or ``slow`` or ``stale`` with `seconds`, or ``rate`` with calls a second there."""

    service: str
    operation: str
    code: str
    seconds: float = 0.0
    times: int | None = None
    percent: int = 100

    def concerns(self, service: str, operation: str) -> bool:
        return self.service in ("*", service) and self.operation in ("*", operation)


def rule(text: str) -> Rule:
    """Raises `BadRule`."""
    match = _RULE.fullmatch(text)
    if match is None:
        raise BadRule(f"{text!r} is not SERVICE:OPERATION=WHAT, as in route53:ChangeResourceRecordSets=Throttling*3")
    timed = match["what"] in _TIMED
    if timed != (match["seconds"] is not None) or float(match["seconds"] or 0) > _SECONDS:
        raise BadRule(f"{text!r}: slow, stale and rate need a number, at most {_SECONDS:.0f}, as in acm:*=slow:2")
    percent = int(match["percent"] or 100)
    if not 0 < percent <= 100:
        raise BadRule(f"{text!r}: a percentage is 1 to 100")
    times = int(match["times"]) if match["times"] else None
    return Rule(match["service"], match["operation"], match["what"], float(match["seconds"] or 0), times, percent)


class Faults(Generic[Answer]):
    """The rules of one API, and how often each operation was called, by (service, operation, status)."""

    def __init__(self, rules: Sequence[Rule] = (), latency: float = 0.0) -> None:
        """`latency` are the seconds that every call takes besides."""
        self.rules = tuple(rules)
        self.latency = latency
        self.calls: Counter[tuple[str, str, int]] = Counter()
        self._met: Counter[Rule] = Counter()
        self._answers: dict[tuple[str, str, bytes], Answer] = {}
        self._changed: dict[str, float] = {}
        self._buckets: dict[tuple[Rule, str], tuple[float, float]] = {}  # calls left, and since when

    async def meet(self, service: str, operation: str) -> str:
        """Waits as the rules say, and returns the code of the error that this call gets, or ""."""
        code = ""
        await asyncio.sleep(self.latency)
        for each in self._matching(service, operation):
            if each.code == "slow":
                await asyncio.sleep(each.seconds)
            elif each.code == "rate":
                code = code or ("" if self._lets_through(each, service) else _THROTTLED.get(service, "Throttling"))
            elif each.code != "stale":
                code = code or each.code
        return code

    def _lets_through(self, rule: Rule, service: str) -> bool:
        """Takes a token of a service's bucket, if there is one."""
        now, most = time.monotonic(), rule.seconds * _BURST
        left, at = self._buckets.get((rule, service), (most, now))
        left = min(most, left + (now - at) * rule.seconds)
        taken = left >= 1
        self._buckets[rule, service] = (left - taken, now)
        return taken

    def seen(self, service: str, operation: str, request: bytes, answer: Answer, *, changes: bool) -> Answer:
        """The answer that the client gets: an earlier one while a rule says that reads are stale."""
        now = time.monotonic()
        if changes:
            self._changed[service] = now
            return answer
        stale = max(
            (each.seconds for each in self.rules if each.code == "stale" and each.concerns(service, operation)),
            default=0.0,
        )
        if not stale:
            return answer
        key = (service, operation, request)
        if now - self._changed.get(service, -_SECONDS) < stale and key in self._answers:
            return self._answers[key]
        if len(self._answers) < _ANSWERS:
            self._answers[key] = answer
        return answer

    def count(self, service: str, operation: str, status: int) -> None:
        self.calls[service, operation, status] += 1

    def _matching(self, service: str, operation: str) -> list[Rule]:
        found = []
        for each in self.rules:
            if not each.concerns(service, operation) or (each.times is not None and self._met[each] >= each.times):
                continue
            if each.percent < 100 and random.randrange(100) >= each.percent:  # noqa: S311  not a secret
                continue
            self._met[each] += 1
            found.append(each)
        return found


def exposition(api: str, calls: Mapping[tuple[str, str, int], int]) -> str:
    """The counts in Prometheus' text format."""
    lines = []
    for (service, operation, status), count in sorted(calls.items()):
        labels = f'api="{api}",service="{service}",operation="{operation}",code="{status}"'
        lines.append(f"lockgate_api_requests_total{{{labels}}} {count}\n")
    return "".join(lines)
