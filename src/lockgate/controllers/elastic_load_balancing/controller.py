"""The control loop: reads ELBv2 when it changes, probes targets, and publishes Envoy's configuration.

Theory of operation: the read debt. Each read of ELBv2 takes time from the APIs in the same process, so a burst of
changes (a controller that creates a hundred rules) must not cause a read per change, but a single change should be
served at once. Two delays solve this, both in `_quiet`:

- A read waits until changes have been quiet for `QUIET_SECONDS`, so that the calls of one change are read together. In
a long burst it waits at most `REST` times the duration of the last read, within `PATIENCE_SECONDS`. - After a read that
took `t`, others get `REST * t` of the time. The loop does not sleep for it after each read. It records the time at
which all reads are paid off (`_rested`), and sleeps only if that time is more than `DEBT_SECONDS` ahead. So a few
changes run on credit without delay, and a steady stream of changes slows down to one part reading in `REST + 1`. The
debt is capped: after long reads, a short one is delayed by little more than its own share.

A lost notification does no lasting harm: `_resync` reads everything again, a few resources at a time.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from lockgate.controllers.aws import Aws, AwsError
from lockgate.controllers.elastic_load_balancing.access_logs import AccessLogs
from lockgate.controllers.elastic_load_balancing.authentication import Authentication
from lockgate.controllers.elastic_load_balancing.lambda_functions import LambdaFunctions
from lockgate.controllers.elastic_load_balancing.platform import Platform, ProxyTo, Resolve, Serve
from lockgate.controllers.elastic_load_balancing.public_keys import PublicKeys, host_of
from lockgate.controllers.elastic_load_balancing.targets import Targets
from lockgate.controllers.elastic_load_balancing.trust_stores import trust_store
from lockgate.controllers.elastic_load_balancing.web_acls import WebAcls
from lockgate.controllers.elbv2 import listed, read
from lockgate.loadbalancer.discovered import Discovered
from lockgate.loadbalancer.model import LoadBalancer, Target, TargetState, TargetType
from lockgate.loadbalancer.network import AnyLoadBalancer, NetworkLoadBalancer
from lockgate.loadbalancer.without_effect import without_effect
from lockgate.resources.memo import Memo

if TYPE_CHECKING:
    from lockgate.loadbalancer.waf.evaluate import Verdict
    from lockgate.loadbalancer.waf.fields import Inspected
    from lockgate.xds.loadbalancer import Material, TrustStore
    from lockgate.xds.snapshot import Snapshot

log = logging.getLogger("lockgate.elastic_load_balancing")

QUIET_SECONDS = 0.01  # the calls of one change are read together
PATIENCE_SECONDS = (0.1, 2.0)  # lower and upper bound of the longest wait for quiet
REST = 3  # pause after reads, as a multiple of their duration
DEBT_SECONDS = 1.0  # credit, so that a single change is read without delay
RESYNC_SECONDS = 60.0
RESYNCED, RESYNCED_EVERY_SECONDS = 5, 1.0
SERVICES = ("elbv2", "acm", "wafv2")  # services whose changes matter
RETRY_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class ElasticLoadBalancing:
    """Calls `publish` with a new `Snapshot` whenever the configuration changes.

    `free_port(address, preferred)` returns a free port at an address, if possible the preferred one. `serve` serves an
    ASGI application on a loopback socket and returns its address and port, as rules that authenticate require; with a
    host name, the edge's clients reach the application as ``https://HOST``. `trust` verifies the certificates of
    identity providers, and `proxy_to` returns the proxy for one of their hosts, if any. `logs` is a folder for access
    logs, with S3's layout, `spans` the file of records of which spans are made. `functions` are the URLs of Lambda
    functions by name. `waf` is the path of the unix socket on which Envoy calls WAF.
    """

    def __init__(
        self,
        aws: Aws,
        *,
        platform: Platform,
        resolve: Resolve,
        publish: Callable[[Snapshot], None],
        free_port: Callable[[str, int], int],
        release_port: Callable[[str, int], None] = lambda address, port: None,
        many_loopbacks: bool = sys.platform != "darwin",
        serve: Serve | None = None,
        trust: ssl.SSLContext | None = None,
        proxy_to: ProxyTo | None = None,
        logs: Path | None = None,
        spans: str = "",
        functions: Mapping[str, str] = MappingProxyType({}),
        waf: Path | None = None,
    ) -> None:
        self._aws = aws
        self._platform = platform
        self._publish = publish
        self._free_port = free_port
        self._release_port = release_port
        self._many_loopbacks = many_loopbacks
        self._serve_application = serve
        self._authentication = Authentication(trust, proxy_to)
        self._spans = spans
        self._logs = (
            AccessLogs(logs, self._logged, self._chain_of, self._target_at, platform.deliver)
            if logs is not None
            else None
        )
        self._authentication_at: tuple[str, int] | None = None
        self._web_acls = WebAcls(aws, platform, waf)
        self._wake = asyncio.Event()
        self._stale: set[str] = set(SERVICES)
        self._doubted: set[str] = set()  # ARNs without a notification, to be read again by `_resync`
        self._noticed = 0.0
        self._notices = self._served = 0  # changes so far, with the first read; those that are published
        self._took = 0.0
        self._rested = 0.0  # when the pauses for all reads so far are over
        self._resolve = resolve
        probed = self._logs.probed if self._logs else lambda _: None
        self._functions = LambdaFunctions(functions, serve)
        self._targets = Targets(platform, self._places, self._notice, probed, self._functions)
        self._discovered = Discovered()
        self._certificates: dict[str, Material] = {}
        self._trust_stores: dict[str, TrustStore] = {}
        self._unserved: dict[str, str] = {}
        self._ignored: set[str] = set()
        self._addresses: dict[str, str] = {}
        self._ports: dict[tuple[str, int], int] = {}
        self._published: Snapshot | None = None
        self._memo = Memo()

    @property
    def addresses(self) -> Mapping[str, str]:
        """Load balancer DNS names to their loopback addresses."""
        return MappingProxyType(self._addresses)

    @property
    def ports(self) -> Mapping[tuple[str, int], int]:
        """(DNS name, listener port) to the local port at the load balancer's address."""
        return MappingProxyType(self._ports)

    @property
    def load_balancers(self) -> tuple[LoadBalancer, ...]:
        """Application Load Balancers as last read from the API."""
        return tuple(map(self._web_acls.protecting, self._discovered.load_balancers.values()))

    @property
    def network_load_balancers(self) -> tuple[NetworkLoadBalancer, ...]:
        """Network Load Balancers as last read from the API."""
        return tuple(self._discovered.network_load_balancers.values())

    @property
    def current(self) -> bool:
        """Whether all notified changes, of the API and of targets, have been read and published."""
        return not self._stale and self._served == self._notices

    def evaluate(self, balancer: str, inspected: Inspected) -> Verdict | None:
        """Evaluates the web ACL of a load balancer, by its ARN, for a request; None if it has no web ACL."""
        return self._web_acls.evaluate(balancer, inspected)

    @property
    def waf_counts(self) -> Mapping[tuple[str, str, str], int]:
        """Counts of web ACLs by metric, web ACL and rule."""
        return MappingProxyType(self._web_acls.counts)

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """Counts that Envoy cannot provide, by CloudWatch metric and the ARN of a load balancer or target group."""
        return {**self._authentication.counts, **self._functions.counts}

    def target_states(self, reference: str) -> Mapping[str, TargetState]:
        """The states of a target group's targets, by ``id:port``."""
        states = self._targets.states(reference)
        return {f"{target.id}:{target.port}": state for target, state in sorted(states.items())}

    def complaints(self, reference: str) -> tuple[str, ...]:
        """Why health checks of a target group's targets fail."""
        return self._targets.complaints(reference)

    def targets_changed(self) -> None:
        """Call this when the results of `resolve` may have changed."""
        self._targets.resolve_again()
        self._notice()

    async def run(self) -> None:
        """Runs until cancelled."""
        self._stale = set(SERVICES)
        self._notices += 1
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow_changes(self._platform.changes()))
                tasks.create_task(self._serve())
                tasks.create_task(self._resync())
                if self._logs is not None:
                    tasks.create_task(self._logs.run())
        finally:
            self._targets.stop()
            await self._web_acls.stop()

    async def _follow_changes(self, changes: AsyncIterator[frozenset[str]]) -> None:
        async for changed in changes:
            if stale := {each for each in changed if each.partition(":")[0] in SERVICES}:
                self._stale |= stale
                self._notice()

    def _notice(self) -> None:
        self._notices += 1
        self._noticed = time.monotonic()
        self._wake.set()

    async def _quiet(self) -> None:
        """Waits until a burst of changes is over, but within limits (see above)."""
        least, most = PATIENCE_SECONDS
        await asyncio.sleep(min(max(0.0, self._rested - DEBT_SECONDS - time.monotonic()), most))
        end = time.monotonic() + min(max(least, REST * self._took), most)
        while (now := time.monotonic()) < end and (rest := self._noticed + QUIET_SECONDS - now) > 0:  # noqa: ASYNC110
            await asyncio.sleep(rest)
        self._wake.clear()

    async def _resync(self) -> None:
        """Recovers from lost notifications: reads everything again, a few resources at a time, so that no change has to
        wait."""
        while True:
            await asyncio.sleep(RESYNC_SECONDS)
            try:
                current = {each.arn for each in self._discovered.all} | self._discovered.target_groups.keys()
                arns = sorted({*current, *await listed(self._aws)})
            except AwsError as error:
                log.warning("cannot list load balancers: %s", error)
                continue
            for start in range(0, len(arns), RESYNCED):
                self._doubted.update(arns[start : start + RESYNCED])
                self._wake.set()
                await asyncio.sleep(RESYNCED_EVERY_SECONDS)

    async def _serve(self) -> None:
        self._wake.set()
        failures = 0
        while True:
            await self._wake.wait()
            await self._quiet()
            began, notices = time.monotonic(), self._notices
            try:
                await self._reconcile()
            except Exception as error:  # level-triggered: retrying is safe
                delay = RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)]
                failures += 1
                log.warning("cannot read ELBv2: %s; again in %.1f s", error, delay)
                log.debug("reading ELBv2", exc_info=error)
                asyncio.get_running_loop().call_later(delay, self._wake.set)
            else:
                failures = 0
                self._served = notices
            finally:
                now = time.monotonic()
                self._took = now - began
                # After long reads, the debt is capped, so that a short read is not delayed for long.
                owed = max(self._rested, began) + (1 + REST) * self._took
                self._rested = min(owed, now + DEBT_SECONDS + REST * self._took)

    async def _reconcile(self) -> None:
        stale, self._stale = self._stale, set()
        doubted, self._doubted = self._doubted, set()
        try:
            if "elbv2" in stale:
                await self._read(None)
            elif arns := doubted | {each.removeprefix("elbv2:") for each in stale if each.startswith("elbv2:")}:
                await self._read(frozenset(arns))
            if stale or doubted:
                await self._fetch_certificates(again="acm" in stale)
                await self._fetch_trust_stores(again="elbv2" in stale)
                await self._prepare_authentication()
                self._report_unserved()
            if doubted or "wafv2" in stale:
                await self._web_acls.read()
        except BaseException:
            self._stale |= stale
            raise
        await self._functions.follow(self._discovered.target_groups.values())
        self._targets.follow(self._discovered.target_groups, self._discovered.used)
        self._assign_sockets()
        self._act()

    async def _read(self, arns: frozenset[str] | None) -> None:
        """Reads all of ELBv2, or only these ARNs."""

        def faulty(arn: str, fault: Exception) -> None:
            log.error("cannot read load balancer %s, keeping its previous state: %s", arn, fault)

        self._discovered = self._discovered.after(await read(self._aws, arns), arns, faulty)
        if missing := self._discovered.missing:
            self._discovered = self._discovered.after(await read(self._aws, missing), missing, faulty)

    async def _fetch_certificates(self, *, again: bool) -> None:
        """Material of every certificate in use. Certificates already fetched are fetched again only if ACM changed."""
        from lockgate.xds.loadbalancer import Material

        in_use = dict.fromkeys(
            arn for each in self._discovered.all for listener in each.listeners for arn in listener.certificates
        )
        found = {}
        for arn in in_use:
            if arn in self._certificates and not again:
                found[arn] = self._certificates[arn]
            elif (material := await self._platform.certificate_material(arn)) is not None:
                found[arn] = Material(*material)
        self._certificates = found

    async def _fetch_trust_stores(self, *, again: bool) -> None:
        from lockgate.xds.loadbalancer import TrustStore

        found = {}
        for balancer in self.load_balancers:
            for listener in balancer.listeners:
                mutual = listener.mutual_authentication
                if mutual is None or mutual.mode != "verify" or mutual.trust_store in found:
                    continue
                if mutual.trust_store in self._trust_stores and not again:
                    found[mutual.trust_store] = self._trust_stores[mutual.trust_store]
                    continue
                bundles = await trust_store(self._aws, mutual.trust_store)
                if bundles is not None:
                    found[mutual.trust_store] = TrustStore(*bundles)
        self._trust_stores = found

    def _report_unserved(self) -> None:
        """Logs listeners that are not served, and settings without effect, once for each reason."""
        from lockgate.xds.loadbalancer import unserved

        reasons = {}
        for balancer in self._discovered.all:
            for listener in balancer.listeners:
                if why := unserved(listener, self._certificates, self._trust_stores):
                    reasons[f"{balancer.name}:{listener.port}"] = why
        for name, why in reasons.items():
            if self._unserved.get(name) != why:
                log.warning("listener %s is not served: %s", name, why)
        self._unserved = reasons
        ignored = {sentence for balancer in self.load_balancers for sentence in without_effect(balancer)}
        for sentence in sorted(ignored - self._ignored):
            log.info("%s", sentence)
        self._ignored = ignored

    @property
    def unserved(self) -> Mapping[str, str]:
        """``NAME:PORT`` of listeners that cannot be served now, with the reason."""
        return MappingProxyType(self._unserved)

    def _logged(self) -> Iterator[tuple[AnyLoadBalancer, str]]:
        for balancer in self._discovered.all:
            yield balancer, self._addresses.get(balancer.dns_name, "127.0.0.1")

    def _target_at(self, reference: str, place: str) -> str:
        return self._targets.at(reference, place)

    def _chain_of(self, certificate: str) -> str:
        material = self._certificates.get(certificate)
        return material.chain if material is not None else ""

    async def _prepare_authentication(self) -> None:
        await self._authentication.follow(self.load_balancers, self._platform.client_secret)
        if self._authentication.actions and self._authentication_at is None and self._serve_application:
            keys = PublicKeys(self._authentication.public_key)
            await self._serve_application(keys, host_of(self._aws.region))
            served = await self._serve_application(self._authentication, "")
            self._authentication_at = served.host, served.port

    def _assign_sockets(self) -> None:
        """Load balancers keep their addresses, and listeners their ports, as long as they exist."""
        names = {each.dns_name for each in self._discovered.all}
        listeners = {(each.dns_name, here.port) for each in self._discovered.all for here in each.listeners}
        for key in self._ports.keys() - listeners:
            self._release_port(self._addresses[key[0]], self._ports.pop(key))
        self._addresses = {name: at for name, at in self._addresses.items() if name in names}
        for balancer in self._discovered.all:
            if balancer.dns_name not in self._addresses:
                self._addresses[balancer.dns_name] = self._next_address()
            address = self._addresses[balancer.dns_name]
            for listener in balancer.listeners:
                key = (balancer.dns_name, listener.port)
                if key not in self._ports:
                    self._ports[key] = self._free_port(address, listener.port)

    def _places(self, target: Target, target_type: TargetType, vpc_id: str) -> tuple[tuple[str, int], ...]:
        """An Application Load Balancer as a target is at its own socket; `resolve` knows all other targets."""
        if target_type != "alb":
            return self._resolve(target, target_type, vpc_id)
        balancer = self._discovered.load_balancers.get(target.id)
        port = self._ports.get((balancer.dns_name, target.port)) if balancer else None
        return ((self._addresses[balancer.dns_name], port),) if balancer and port else ()

    def _next_address(self) -> str:
        if not self._many_loopbacks:
            return "127.0.0.1"
        taken = set(self._addresses.values())
        numbers = (f"127.0.{high}.{low}" for high in range(256) for low in range(1, 255))
        return next(address for address in numbers if address not in taken)

    def _act(self) -> None:
        from lockgate.xds.loadbalancer import Socket, snapshot

        sockets = {
            (balancer.arn, listener.port): Socket(
                self._addresses[balancer.dns_name], self._ports[balancer.dns_name, listener.port]
            )
            for balancer in self._discovered.all
            for listener in balancer.listeners
        }
        endpoints = {
            reference: self._targets.endpoints(group)
            for balancer in self._discovered.all
            for reference, group in balancer.target_groups.items()
        }
        made = snapshot(
            tuple(map(self._web_acls.protecting, self._discovered.all)),
            sockets=sockets,
            certificates=self._certificates,
            trust_stores=self._trust_stores,
            records=str(self._logs.records) if self._logs else "",
            spans=self._spans,
            authentication=Socket(*self._authentication_at) if self._authentication_at else None,
            waf_socket=self._web_acls.socket,
            endpoints=endpoints,
            memo=self._memo,
        )
        if made != self._published:
            self._published = made
            self._publish(made)
