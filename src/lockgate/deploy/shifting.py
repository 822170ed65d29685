"""Performs a shift: each weight is written, awaited, and probed; the first failed probe undoes it.

A weight of 0 comes first, because a target group that no rule refers to has no health checks. In the end the old side
keeps its place, without requests, for as long as its last ones may take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from lockgate.controllers.elbv2 import read_tags
from lockgate.controllers.external_dns.route53 import read_zone
from lockgate.deploy.account import Account
from lockgate.deploy.cluster import Cluster
from lockgate.deploy.observing import plural_of
from lockgate.deploy.planning.drift import served
from lockgate.deploy.planning.edges import owner
from lockgate.deploy.planning.plan import Plan, Wishes
from lockgate.deploy.planning.seen import SHIFT_MANAGER
from lockgate.deploy.planning.shifting import RECORDS_TTL, ObjectShift, RecordShift, Shift, Side, probes
from lockgate.deploy.waiting import StepFailed, until
from lockgate.dns.plan import Change, Endpoint
from lockgate.dns.plan import plan as plan_records
from lockgate.ingress.stack import GroupId
from lockgate.resources.model import JsonObject

_HEALTHY_WITHIN: Final = 300.0  # seconds for a new side to become healthy before it has any request
_IN_EFFECT_WITHIN: Final = 120.0  # seconds for the controller to write weights; longer means that it refuses them
_PUSH: Final = 2.0  # seconds in which istiod sends a route to the gateways; nothing says when it has

Prober = Callable[[str, int], Awaitable[Sequence[str]]]
"""Sends a request so often to a URL, each on a connection of its own. Returns statuses, or why there was none."""
Write = Callable[[str, tuple[Change, ...]], Awaitable[None]]
"""Writes changes into a zone, and waits until all of Route 53's servers have them."""


class ProbeFailed(StepFailed):
    """The new side failed, and has no requests again."""

    hint = "nothing else was changed; correct the new version, and apply again"


@dataclass(slots=True)
class Shifter:
    cluster: Cluster
    account: Account
    plan: Plan
    wishes: Wishes
    report: Callable[[str], None]
    prober: Prober
    write: Write

    async def shift(self, shift: Shift) -> None:
        """Raises `ProbeFailed`, `StepFailed`, `Refused`, `AwsError`."""
        there = await self._baseline(fresh=shift.weight == 0)
        try:
            if shift.weight == 0:
                await self._set(shift, 0)
            await self._healthy(shift)
            for percent in self.wishes.progressive:
                if percent >= shift.weight:
                    await self._set(shift, percent)
                    self.report(f"{percent} % of the requests go to the new side")
                    await self._probe(percent, there)
        except StepFailed as error:
            await self._back(shift)
            raise ProbeFailed(f"{error}; all requests go where they went before") from error
        await self._finish(shift, new=True)

    # --- probes ----------------------------------------------------------------------------------------------------

    async def _baseline(self, *, fresh: bool) -> frozenset[str]:
        """The answers before. What fails already is not blamed on the new side."""
        found: set[str] = set()
        for url in served(self.plan):
            answers = await self.prober(url, probes(100))
            if fresh and (failed := next(filter(_is_failure, answers), "")):
                raise StepFailed(f"{url} fails before anything is shifted: {failed}")
            found.update(answers)
        return frozenset(found)

    async def _probe(self, percent: int, there: frozenset[str]) -> None:
        """An answer fails if it is no answer, a 5xx, or a 4xx that nobody got before."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.wishes.pause
        while True:
            for url in served(self.plan):
                for answer in await self.prober(url, probes(percent)):
                    if _is_failure(answer) or (answer.startswith("4") and answer not in there):
                        raise StepFailed(f"{url} at {percent} %: {answer}")
            if (left := end - loop.time()) <= 0:
                return
            await asyncio.sleep(min(left, 1.0))

    # --- weights ---------------------------------------------------------------------------------------------------

    async def _set(self, shift: Shift, percent: int) -> None:
        match shift:
            case RecordShift():
                await self._records(shift.at(percent))
            case ObjectShift():
                await self._send(shift, shift.at(percent))
                await self._in_effect(shift, percent)

    async def _send(self, shift: ObjectShift, manifest: JsonObject) -> None:
        plural = plural_of(shift.key, self.plan.seen.served)
        assert plural is not None, "it was listed"
        await self.cluster.apply(manifest, plural, force=True, manager=SHIFT_MANAGER)

    async def _records(self, endpoints: Iterable[Endpoint]) -> None:
        zones = [await self._zone(each.id, each.name) for each in self.plan.seen.zones]
        changes = plan_records(endpoints, zones, owner(self.plan.intent.name)).changes
        for zone, groups in changes.items():
            await self.write(zone, tuple(change for group in groups for change in group))

    async def _zone(self, zone: str, name: str) -> Any:
        self.account.forget()
        return await read_zone(self.account, zone, name)

    async def _back(self, shift: Shift) -> None:
        self.report("back: the new side gets no requests")
        try:
            await self._set(shift, 0)
        except StepFailed as error:  # what is sent next does not depend on it
            self.report(str(error))
        await self._finish(shift, new=False)

    async def _finish(self, shift: Shift, *, new: bool) -> None:
        """One side alone, after the last requests of the other, which has none anymore."""
        match shift:
            case RecordShift():
                self.report(f"waits {RECORDS_TTL:.0f} s, in which resolvers forget the old answer")
                await asyncio.sleep(RECORDS_TTL)
                await self._records(shift.endpoints if new else shift.only_old())
            case ObjectShift():
                if shift.key.kind == "Ingress":
                    seconds = await self._draining(shift, new=not new)
                    self.report(
                        f"waits {seconds:.0f} s for the last requests of the other side (its deregistration delay)"
                    )
                    await asyncio.sleep(seconds)
                await self._send(shift, shift.only(new=new))

    # --- what a weight needs, and when it has effect ---------------------------------------------------------------

    async def _healthy(self, shift: Shift) -> None:
        if not isinstance(shift, ObjectShift):
            return  # the targets of a load balancer are awaited before its records
        for _, side in shift.sides():
            look = partial(self._targets if shift.key.kind == "Ingress" else self._endpoints, shift, side)
            await until(look, side.text, self.report, longest=_HEALTHY_WITHIN)

    async def _endpoints(self, shift: ObjectShift, side: Side) -> str:
        """Only of Services of the cluster, by Istio's names: ``web``, ``web.shop``, ``web.shop.svc.cluster.local``."""
        name, _, rest = str(side.service[0]).partition(".")
        namespace = rest.partition(".")[0] or shift.key.namespace
        if rest and rest != namespace and not rest.startswith(f"{namespace}.svc"):
            return ""
        slices = await self.cluster.objects(
            "discovery.k8s.io/v1", "endpointslices", namespace=namespace, labels=f"kubernetes.io/service-name={name}"
        )
        ends = [end for each in slices for end in each.get("endpoints") or ()]
        ready = any((end.get("conditions") or {}).get("ready", True) for end in ends)
        return "" if ready else "no Pod of it is ready"

    async def _targets(self, shift: ObjectShift, side: Side) -> str:
        for arn in (await self._groups(shift)).get(_resource(shift, side), ()):
            listed = await self.account.list(
                "elbv2", "describe_target_health", "TargetHealthDescriptions", TargetGroupArn=arn
            )
            states = [each["TargetHealth"] for each in listed]
            if any(each["State"] == "healthy" for each in states):
                return ""
            reasons = dict.fromkeys(each.get("Description") or each.get("Reason") or each["State"] for each in states)
            return ", ".join(reasons) or "no targets are registered"
        return "it has no target group yet"

    async def _in_effect(self, shift: ObjectShift, percent: int) -> None:
        if shift.key.kind != "Ingress":
            await asyncio.sleep(_PUSH)
            return
        look = partial(self._weighed, shift, percent)
        await until(look, "the rules of the load balancer", self.report, longest=_IN_EFFECT_WITHIN)

    async def _weighed(self, shift: ObjectShift, percent: int) -> str:
        groups = await self._groups(shift)
        forwards = await self._forwards(shift)
        for old, new in shift.sides():
            expected = dict.fromkeys(groups.get(_resource(shift, old), ()), 100 - percent)
            expected |= dict.fromkeys(groups.get(_resource(shift, new), ()), percent)
            found = [each for each in forwards if set(each) & set(expected)]
            if not found or any(each != expected for each in found):
                return f"they do not have the weight {percent} yet"
        return ""

    async def _balancer(self, shift: ObjectShift) -> str:
        """The ARN of the Ingress's load balancer."""
        named = ((shift.live.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        names = {str(each.get("hostname", "")).lower() for each in named}
        for each in await self.account.list("elbv2", "describe_load_balancers", "LoadBalancers"):
            if each["DNSName"].lower() in names:
                return str(each["LoadBalancerArn"])
        raise StepFailed(f"{shift.key} has no load balancer")

    async def _groups(self, shift: ObjectShift) -> Mapping[str, list[str]]:
        """The ARNs of the load balancer's target groups, by the controller's names for them."""
        self.account.forget()
        balancer = await self._balancer(shift)
        listed = await self.account.list("elbv2", "describe_target_groups", "TargetGroups", LoadBalancerArn=balancer)
        arns = [each["TargetGroupArn"] for each in listed]
        found: dict[str, list[str]] = {}
        for start in range(0, len(arns), 20):  # as many as DescribeTags takes
            answer = await self.account.call("elbv2", "describe_tags", ResourceArns=arns[start : start + 20])
            for each in answer["TagDescriptions"]:
                found.setdefault(read_tags(each).get(GroupId.RESOURCE_TAG, ""), []).append(each["ResourceArn"])
        return found

    async def _forwards(self, shift: ObjectShift) -> list[dict[str, int]]:
        """The weights of each action that forwards, by target group."""
        balancer = await self._balancer(shift)
        found = []
        for listener in await self.account.list("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=balancer):
            rules = await self.account.list("elbv2", "describe_rules", "Rules", ListenerArn=listener["ListenerArn"])
            for action in (each for rule in rules for each in rule["Actions"] if each["Type"] == "forward"):
                groups = (action.get("ForwardConfig") or {}).get("TargetGroups") or ()
                found.append({each["TargetGroupArn"]: int(each.get("Weight", 1)) for each in groups})
        return found

    async def _draining(self, shift: ObjectShift, *, new: bool) -> float:
        """The longest deregistration delay of the side's target groups, in seconds."""
        groups = await self._groups(shift)
        longest = 0.0
        for pair in shift.sides():
            for arn in groups.get(_resource(shift, pair[new]), ()):
                answer = await self.account.call("elbv2", "describe_target_group_attributes", TargetGroupArn=arn)
                values = {each["Key"]: each["Value"] for each in answer["Attributes"]}
                longest = max(longest, float(values.get("deregistration_delay.timeout_seconds", 300)))
        return longest


def _resource(shift: ObjectShift, side: Side) -> str:
    """The controller's name of a target group, as in its tag."""
    name, port = side.service
    return f"{shift.key.namespace}/{shift.key.name}-{name}:{port}"


def _is_failure(answer: str) -> bool:
    return not answer.isdigit() or answer.startswith("5")
