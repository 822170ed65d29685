"""The web ACLs of load balancers: read from WAFv2's API, and held against each request."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.elastic_load_balancing.platform import Platform
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.waf.metrics import counted
from lockgate.loadbalancer.waf.references import references_of

if TYPE_CHECKING:  # nothing of it is needed until a web ACL is there
    from lockgate.dataplane.waf import Firewall
    from lockgate.loadbalancer.waf.evaluate import BlindSpot, Verdict
    from lockgate.loadbalancer.waf.fields import Inspected
    from lockgate.loadbalancer.waf.model import WebAcl
    from lockgate.loadbalancer.waf.rates import Rates

log = logging.getLogger("lockgate.elastic_load_balancing")

_REFERENCE = re.compile(r"arn:[^/]*:(?P<scope>regional)/(?P<kind>[a-z]+)/(?P<name>[^/]+)/(?P<id>[^/]+)")
_GETS = {
    "ipset": ("get_ip_set", "IPSet"),
    "regexpatternset": ("get_regex_pattern_set", "RegexPatternSet"),
    "rulegroup": ("get_rule_group", "RuleGroup"),
}

AnyBalancer = TypeVar("AnyBalancer")


class WebAcls:
    """`socket` is where Envoy is to ask; without one, load balancers with a web ACL answer 500."""

    def __init__(self, aws: Aws, platform: Platform, socket: Path | None) -> None:
        self._aws = aws
        self._platform = platform
        self._socket = socket
        self._firewall: Firewall | None = None
        self._known: dict[str, WebAcl] = {}  # by the load balancer's ARN
        self._rates: dict[str, Rates] = {}  # by the web ACL's ARN
        self.counts: Counter[tuple[str, str, str]] = Counter()  # by metric, web ACL, rule
        self._told: set[tuple[str, BlindSpot]] = set()  # by web ACL's name

    @property
    def socket(self) -> str:
        """Where Envoy asks; empty while nobody is there to answer."""
        return str(self._socket) if self._firewall is not None else ""

    def protecting(self, balancer: AnyBalancer) -> AnyBalancer:
        """The load balancer with its web ACL."""
        if isinstance(balancer, LoadBalancer) and (acl := self._known.get(balancer.arn)) is not None:
            return replace(balancer, web_acl=acl)
        return balancer

    async def read(self) -> None:
        """Raises `AwsError`."""
        associated = await self._platform.web_acls()
        if not associated and not self._known:
            return
        from lockgate.loadbalancer.waf.evaluate import blind_spots
        from lockgate.loadbalancer.waf.rates import Rates

        wanted = sorted(set(associated.values()))
        read = dict(zip(wanted, await asyncio.gather(*(self._now(arn) for arn in wanted)), strict=True))
        self._known = {balancer: acl for balancer, arn in associated.items() if (acl := read[arn]) is not None}
        self._rates = {arn: self._rates.get(arn, Rates()) for arn in wanted}
        spots = {(acl.name, spot): None for acl in self._known.values() for spot in blind_spots(acl)}
        self._told &= spots.keys()
        self._tell(spots)
        if self._known and self._firewall is None and self._socket is not None:
            await self._start(self._socket)

    async def _start(self, socket: Path) -> None:
        from lockgate.dataplane.waf import Firewall

        firewall = Firewall(self.judge)
        try:
            await firewall.start(socket)
        except BaseException:  # a server that is left to itself keeps its thread, and the process, for ever
            await firewall.stop()
            raise
        self._firewall = firewall

    async def stop(self) -> None:
        if self._firewall is not None:
            await self._firewall.stop()
            self._firewall = None

    def judge(self, balancer: str, inspected: Inspected) -> Verdict | None:
        """What a load balancer's web ACL makes of a request, which is counted."""
        acl = self._known.get(balancer)
        if acl is None:
            return None
        from lockgate.loadbalancer.waf.evaluate import evaluate
        from lockgate.loadbalancer.waf.statements import MATCHING_SECONDS

        now, rates = time.monotonic(), self._rates[acl.arn]
        until = time.process_time() + MATCHING_SECONDS
        verdict = evaluate(
            acl,
            inspected,
            counts=lambda key: rates.count(key, now),
            left=lambda: until - time.process_time(),
        )
        for key in verdict.rates:
            rates.add(key, now)
        self.counts.update((metric, acl.name, rule) for metric, rule in counted(verdict))
        if verdict.blind_spots:
            self._tell((acl.name, spot) for spot in verdict.blind_spots)
        return verdict

    async def _now(self, arn: str) -> WebAcl | None:
        """None for one that is gone meanwhile. One that cannot be understood is as it was, others go on."""
        try:
            return await self._read(arn)
        except AwsError:
            raise
        except Exception as fault:
            log.error("web ACL %s stays as it was: %r", arn, fault)
            return next((acl for acl in self._known.values() if acl.arn == arn), None)

    async def _read(self, arn: str) -> WebAcl | None:
        answer = await self._get("get_web_acl", "WebACL", ARN=arn)
        if answer is None:
            return None
        rules = answer.get("Rules") or []
        groups = await self._all("rulegroup", references_of(rules))
        inner = [rule for group in groups.values() for rule in group.get("Rules") or []]
        sets = frozenset(references_of([*rules, *inner]))
        ip_sets, pattern_sets = await asyncio.gather(self._all("ipset", sets), self._all("regexpatternset", sets))
        from lockgate.loadbalancer.waf.reader import References, web_acl

        return web_acl(answer, References(ip_sets, pattern_sets, groups))

    async def _all(self, kind: str, arns: Iterable[str]) -> dict[str, Any]:
        """Those of a kind, by ARN; what is gone is left out."""
        operation, key = _GETS[kind]
        named = {arn: found for arn in arns if (found := _REFERENCE.fullmatch(arn)) and found["kind"] == kind}
        answers = await asyncio.gather(
            *(
                self._get(operation, key, Name=found["name"], Scope=found["scope"].upper(), Id=found["id"])
                for found in named.values()
            )
        )
        return {arn: answer for arn, answer in zip(named, answers, strict=True) if answer is not None}

    async def _get(self, operation: str, key: str, **given: str) -> Any:
        try:
            return (await self._aws.call("wafv2", operation, **given))[key]
        except AwsError as error:
            if error.code == "WAFNonexistentItemException":
                return None
            raise

    def _tell(self, spots: Iterable[tuple[str, BlindSpot]]) -> None:
        """Once for each rule that cannot be evaluated: requests pass it as if it were not met."""
        for name, spot in spots:
            if (name, spot) not in self._told:
                self._told.add((name, spot))
                log.warning("web ACL %s: rule %s is not evaluated: %s", name, spot.rule, spot.why)
