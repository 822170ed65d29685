"""The web ACLs of load balancers: read from WAFv2's API, and evaluated for each request."""

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

if TYPE_CHECKING:  # imported only when there is a web ACL
    from lockgate.dataplane.waf import WafServer
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
    """`socket` is where Envoy calls WAF; without one, load balancers with a web ACL answer 500."""

    def __init__(self, aws: Aws, platform: Platform, socket: Path | None) -> None:
        self._aws = aws
        self._platform = platform
        self._socket = socket
        self._server: WafServer | None = None
        self._protected: dict[str, WebAcl] = {}  # by the load balancer's ARN
        self._rates: dict[str, Rates] = {}  # by the web ACL's ARN
        self.counts: Counter[tuple[str, str, str]] = Counter()  # by metric, web ACL, rule
        self._reported: set[tuple[str, BlindSpot]] = set()  # by web ACL's name

    @property
    def socket(self) -> str:
        """The socket for Envoy; empty while WAF does not run."""
        return str(self._socket) if self._server is not None else ""

    def protecting(self, balancer: AnyBalancer) -> AnyBalancer:
        """The load balancer with its web ACL."""
        if isinstance(balancer, LoadBalancer) and (acl := self._protected.get(balancer.arn)) is not None:
            return replace(balancer, web_acl=acl)
        return balancer

    async def read(self) -> None:
        """Raises `AwsError`."""
        associated = await self._platform.web_acls()
        if not associated and not self._protected:
            return
        from lockgate.loadbalancer.waf.evaluate import blind_spots
        from lockgate.loadbalancer.waf.rates import Rates

        arns = sorted(set(associated.values()))
        read = dict(zip(arns, await asyncio.gather(*(self._now(arn) for arn in arns)), strict=True))
        self._protected = {balancer: acl for balancer, arn in associated.items() if (acl := read[arn]) is not None}
        self._rates = {arn: self._rates.get(arn, Rates()) for arn in arns}
        spots = {(acl.name, spot): None for acl in self._protected.values() for spot in blind_spots(acl)}
        self._reported &= spots.keys()
        self._report(spots)
        if self._protected and self._server is None and self._socket is not None:
            await self._start(self._socket)

    async def _start(self, socket: Path) -> None:
        from lockgate.dataplane.waf import WafServer

        server = WafServer(self.evaluate)
        try:
            await server.start(socket)
        except BaseException:  # an abandoned server keeps its thread, and the process, alive
            await server.stop()
            raise
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None

    def evaluate(self, balancer: str, inspected: Inspected) -> Verdict | None:
        """Evaluates a load balancer's web ACL for a request, and counts the request."""
        acl = self._protected.get(balancer)
        if acl is None:
            return None
        from lockgate.loadbalancer.waf import evaluate as waf
        from lockgate.loadbalancer.waf.statements import MATCHING_SECONDS

        now, rates = time.monotonic(), self._rates[acl.arn]
        until = time.process_time() + MATCHING_SECONDS
        verdict = waf.evaluate(
            acl,
            inspected,
            counts=lambda key: rates.count(key, now),
            left=lambda: until - time.process_time(),
        )
        for key in verdict.rates:
            rates.add(key, now)
        self.counts.update((metric, acl.name, rule) for metric, rule in counted(verdict))
        if verdict.blind_spots:
            self._report((acl.name, spot) for spot in verdict.blind_spots)
        return verdict

    async def _now(self, arn: str) -> WebAcl | None:
        """None for a web ACL that has been deleted. If one cannot be read, its previous state is kept."""
        try:
            return await self._read(arn)
        except AwsError:
            raise
        except Exception as fault:
            log.error("cannot read web ACL %s, keeping its previous state: %r", arn, fault)
            return next((acl for acl in self._protected.values() if acl.arn == arn), None)

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
        """The resources of a kind by ARN, without deleted ones."""
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

    def _report(self, spots: Iterable[tuple[str, BlindSpot]]) -> None:
        """Reports web ACL rules that Lockgate cannot evaluate, once each. They never match."""
        for name, spot in spots:
            if (name, spot) not in self._reported:
                self._reported.add((name, spot))
                log.warning("web ACL %s: rule %s is not evaluated: %s", name, spot.rule, spot.why)
