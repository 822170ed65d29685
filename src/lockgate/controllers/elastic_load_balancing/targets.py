"""Registered targets: a task per target probes it while it is registered, or waits until it has drained."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from math import lcm
from typing import TYPE_CHECKING

from lockgate.controllers.elastic_load_balancing.lambda_functions import LambdaFunctions
from lockgate.controllers.elastic_load_balancing.platform import Platform, Resolve
from lockgate.controllers.elastic_load_balancing.probes import probe
from lockgate.loadbalancer.health import (
    DEREGISTERED,
    DISABLED,
    DRAINING,
    NOT_IN_USE,
    REGISTERED,
    Failed,
    Health,
    Outcome,
    after,
    receiving,
    seconds_until_next,
)
from lockgate.loadbalancer.health_check_log import Probed
from lockgate.loadbalancer.model import Target, TargetGroup, TargetState

if TYPE_CHECKING:
    from lockgate.xds.loadbalancer import Endpoint

log = logging.getLogger("lockgate.elastic_load_balancing")

Key = tuple[str, Target]  # target group reference, target
DRAIN_SECONDS = 300


class Targets:
    """`changed` is called when the endpoints for requests change, `probed` after each health check."""

    def __init__(
        self,
        platform: Platform,
        resolve: Resolve,
        changed: Callable[[], None],
        probed: Callable[[Probed], None] = lambda _: None,
        functions: LambdaFunctions | None = None,
    ) -> None:
        self._platform = platform
        self._resolve = resolve
        self._changed = changed
        self._probed = probed
        self._functions = functions or LambdaFunctions({}, None)
        self._instances: dict[str, str] = {}  # addresses in the VPC, which an instance never changes
        self._groups: Mapping[str, TargetGroup] = {}
        self._health: dict[Key, Health] = {}
        self._targets_of: defaultdict[str, set[Target]] = defaultdict(set)  # the keys of health, by target group
        self._endpoints: dict[str, tuple[TargetGroup, tuple[Endpoint, ...]]] = {}  # until the group changes
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._probing: set[Key] = set()

    def follow(self, groups: Mapping[str, TargetGroup], used: frozenset[str]) -> None:
        """Sets the current target groups. Those in `used` get traffic from a load balancer, and are probed."""
        self._groups = groups
        for gone in self._endpoints.keys() - groups.keys():
            del self._endpoints[gone]
        registered = {(reference, target) for reference, group in groups.items() for target in group.targets}
        for key in registered:
            if key[0] in used:
                checked = groups[key[0]].health_check.enabled
                if key not in self._probing or checked == (self._health.get(key) == DISABLED):
                    self._probing.add(key)
                    work = self._probe_until_deregistered(key) if checked else self._report(key, DISABLED)
                    self._start(key, REGISTERED if checked else DISABLED, work)
            elif self._health.get(key) != NOT_IN_USE:
                self._probing.discard(key)
                self._start(key, NOT_IN_USE, self._report(key, NOT_IN_USE))
        for key in [each for each in self._health if each not in registered]:
            if key[0] not in used:  # deleted, or without a load balancer: there is nothing to drain
                self._forget(key)
            elif self._health[key] != DRAINING:
                self._probing.discard(key)
                self._start(key, DRAINING, self._drain(key))

    def states(self, reference: str) -> dict[Target, TargetState]:
        return {target: self._health[reference, target].state for target in self._targets_of.get(reference, ())}

    def complaints(self, reference: str) -> tuple[str, ...]:
        """The distinct reasons of the unhealthy targets."""
        found = (self._health[reference, target] for target in sorted(self._targets_of.get(reference, ())))
        return tuple(dict.fromkeys(each.description for each in found if each.state == "unhealthy"))

    def endpoints(self, group: TargetGroup) -> tuple[Endpoint, ...]:
        """The endpoints for a group's requests, and those that are draining."""
        known = self._endpoints.get(group.reference)
        if known is None or known[0] is not group:
            known = self._endpoints[group.reference] = (group, self._endpoints_now(group))
        return known[1]

    def at(self, reference: str, place: str) -> str:
        """The name of a target group's target at ``host:port`` of this machine: its address in the VPC, and its port.
        Returns ``host:port`` itself if there is no target any more.
        """
        group = self._groups.get(reference)
        for target in self._targets_of.get(reference, ()):
            if group is not None and any(f"{host}:{port}" == place for host, port in self._places(group, target)):
                return f"{self._instances.get(target.id, target.id)}:{target.port}"
        return place

    def resolve_again(self) -> None:
        """Call this when the results of `resolve` may have changed."""
        self._endpoints.clear()

    def stop(self) -> None:
        for key in list(self._health):
            self._forget(key)

    def _endpoints_now(self, group: TargetGroup) -> tuple[Endpoint, ...]:
        from lockgate.xds.loadbalancer import Endpoint

        states = self.states(group.reference)
        found = {target: self._places(group, target) for target in sorted(receiving(group, states))}
        share = lcm(*(len(places) for places in found.values() if places)) if found else 1
        weights: dict[tuple[str, int], int] = {}
        for places in found.values():
            for place in places:
                weights[place] = weights.get(place, 0) + share // len(places)
        made = [Endpoint(host, port, weight=min(weight, 128)) for (host, port), weight in weights.items()]
        for target in sorted(target for target, state in states.items() if state == "draining"):
            made += [
                Endpoint(host, port, draining=True)
                for host, port in self._places(group, target)
                if (host, port) not in weights
            ]
        return tuple(dict.fromkeys(made))

    def _places(self, group: TargetGroup, target: Target) -> tuple[tuple[str, int], ...]:
        if group.target_type == "lambda":
            return self._functions.places(group)
        return self._resolve(target, group.target_type, group.vpc_id)

    def _start(self, key: Key, health: Health, work: Coroutine[None, None, None]) -> None:
        if earlier := self._tasks.pop(key, None):
            earlier.cancel()
        self._set(key, health)
        self._targets_of[key[0]].add(key[1])
        self._tasks[key] = asyncio.create_task(work)

    def _forget(self, key: Key) -> None:
        self._drop(key)
        self._probing.discard(key)
        if task := self._tasks.pop(key, None):
            task.cancel()

    def _set(self, key: Key, health: Health) -> None:
        before = self._health.get(key)
        self._health[key] = health
        if before is None or before.state != health.state:
            self._endpoints.pop(key[0], None)

    def _drop(self, key: Key) -> None:
        self._endpoints.pop(key[0], None)
        self._health.pop(key, None)
        targets = self._targets_of[key[0]]
        targets.discard(key[1])
        if not targets:
            del self._targets_of[key[0]]

    async def _probe_until_deregistered(self, key: Key) -> None:
        reference, target = key
        await self._report(key, REGISTERED)
        while True:
            group = self._groups[reference]
            started = time.monotonic()
            try:
                outcome = await self._probe(group, target)
            except Exception as error:  # a probe that cannot be made counts as failed, and must not stop the others
                log.warning("cannot probe %s %s:%d: %s", group.name, target.id, target.port, error)
                outcome = Failed()
            before = self._health[key]
            health = after(before, outcome, group.health_check, time.monotonic())
            self._set(key, health)
            if (before.state, before.reason) != (health.state, health.reason):
                log.info("%s %s:%d %s %s", group.name, target.id, target.port, health.state, health.reason)
                await self._report(key, health)
            if before.state != health.state:
                self._changed()
            took = time.monotonic() - started
            await asyncio.sleep(max(0.0, seconds_until_next(health, group.health_check) - took))

    async def _probe(self, group: TargetGroup, target: Target) -> Outcome:
        if group.target_type == "lambda":
            return await self._functions.probe(group)
        check = group.health_check
        port = int(check.port) if check.port.isdigit() else target.port
        places = self._places(group, Target(target.id, port, target.availability_zone))
        # The Host header has the target's address in the VPC and its health check port, not its real address.
        address = await self._address(target, group)
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        began, started = datetime.now(UTC), time.perf_counter()
        # Without an address, nothing listens, which is a refused connection.
        outcome = await probe(*places[0], check, group.protocol_version, host) if places else Failed()
        self._probed(Probed(group, host, began, time.perf_counter() - started, outcome))
        return outcome

    async def _address(self, target: Target, group: TargetGroup) -> str:
        if group.target_type == "alb":
            return next((host for host, _ in self._places(group, target)), target.id)
        if group.target_type != "instance":
            return target.id
        if target.id not in self._instances:
            found = await self._platform.private_address(target.id)
            if found is None:
                return target.id
            self._instances[target.id] = found
        return self._instances[target.id]

    async def _drain(self, key: Key) -> None:
        group = self._groups[key[0]]
        self._changed()
        await self._report(key, DRAINING)
        delay = group.attributes.get("deregistration_delay.timeout_seconds", str(DRAIN_SECONDS))
        await asyncio.sleep(0 if group.target_type == "lambda" else int(delay))
        await self._report(key, DEREGISTERED)
        self._drop(key)
        self._tasks.pop(key, None)
        self._changed()

    async def _report(self, key: Key, health: Health) -> None:
        reference, target = key
        try:
            await self._platform.report_target_health(
                reference, target.id, target.port, health.state, health.reason, health.description
            )
        except Exception as error:  # a fault of the report must not affect traffic
            log.warning("cannot report the health of %s:%d: %s", target.id, target.port, error)
