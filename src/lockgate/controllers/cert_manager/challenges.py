"""Challenges: one at a time per name; presented, checked, accepted, cleaned up.

Source: cert-manager, `pkg/controller/acmechallenges/{scheduler,sync}.go`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from lockgate.certificates.challenges import schedule
from lockgate.certificates.times import go_duration, parse_duration, parse_time, write_time
from lockgate.controllers.cert_manager.accounts import AccountProblem, Accounts
from lockgate.controllers.cert_manager.acme_client import AcmeClient, AcmeError, AuthorizationAnswer
from lockgate.controllers.cert_manager.environment import Environment
from lockgate.controllers.cert_manager.orders import FINAL, FINALIZER, IssuerUnavailable, find_issuer
from lockgate.controllers.cert_manager.route53 import Route53Solver, SolverProblem
from lockgate.controllers.cert_manager.secrets import SecretProblem
from lockgate.controllers.cert_manager.self_check import NotPropagated, check
from lockgate.controllers.dns import DnsFailure
from lockgate.resources import cert_manager as cm
from lockgate.resources.model import JsonObject, ObjectKey
from lockgate.resources.status import NotFound

_LEGACY_FINALIZER = "finalizer.acme.cert-manager.io"


class PresentFailed(Exception):
    """Retry with back-off."""


@dataclass(slots=True)
class _Wait:
    """The progress of a challenge between reconciliations. It is only in memory, because losing it costs little."""

    seconds: float
    accepted: bool = False
    waited: float = 0.0


@dataclass(slots=True)
class Challenges:
    environment: Environment
    accounts: Accounts
    route53: Route53Solver
    again_after: Callable[[ObjectKey, float], None]
    _waits: dict[ObjectKey, _Wait] = field(default_factory=dict)

    async def schedule(self) -> None:
        """Starts the challenges whose turn it is."""
        challenges = await self.environment.kubernetes.list(cm.Challenge)
        for challenge in schedule(challenges, self.environment.most_concurrent_challenges):
            try:
                await self._patch(challenge, {"processing": True})
            except NotFound:
                continue
            await self._event(challenge, "Normal", "Started", "Challenge scheduled for processing")

    async def reconcile(self, key: ObjectKey) -> None:
        try:
            challenge = await self.environment.kubernetes.get(cm.Challenge, key.name, key.namespace)
        except NotFound:
            self._waits.pop(key, None)
            return
        if challenge.metadata.deletion_timestamp:
            await self._finish(challenge)
        elif challenge.status.state in FINAL:
            if challenge.status.processing or challenge.status.presented:
                await self._finish(challenge)
        elif challenge.status.processing:
            await self._process(challenge)

    # --- in progress ---------------------------------------------------------------------------------------------

    async def _process(self, challenge: cm.Challenge) -> None:
        issuer, _ = await find_issuer(self.environment, challenge.spec.issuer_ref, challenge.namespace)
        try:
            client = await self.accounts.client(issuer)
        except (AccountProblem, SecretProblem) as problem:
            raise IssuerUnavailable(str(problem)) from None
        wait = self._waits.get(challenge.key)
        if wait is None:
            await self._begin(challenge, client)
            return
        if not challenge.status.presented:
            await self._present(challenge, issuer)
            return
        if not wait.accepted:
            if not await self._may_accept(challenge, wait):
                return
            try:
                await client.accept(challenge.spec.url)
            except AcmeError as error:
                await self._refused(challenge, error)
                return
            wait.accepted, wait.seconds, wait.waited = True, self.environment.pace.poll, 0.0
        await self._poll(challenge, client, wait)

    async def _begin(self, challenge: cm.Challenge, client: AcmeClient) -> None:
        """If the authorization is already valid, there is nothing to present."""
        try:
            answer = await client.authorization(challenge.spec.authorization_url)
        except AcmeError as error:
            await self._refused(challenge, error)
            return
        self._waits[challenge.key] = _Wait(self.environment.pace.propagation_check)
        if not await self._settled(challenge, answer):
            self.again_after(challenge.key, 0.0)

    async def _present(self, challenge: cm.Challenge, issuer: cm.Issuer | cm.ClusterIssuer) -> None:
        try:
            dns01 = _dns01(challenge)
            fqdn = await self._record_name(challenge, dns01)
            assert dns01.route53 is not None
            await self.route53.present(issuer, dns01.route53, fqdn, challenge.spec.key)
        except SolverProblem as problem:
            await self._event(challenge, "Warning", "PresentError", f"Error presenting challenge: {problem}")
            await self._patch(challenge, {"reason": problem.redacted})
            raise PresentFailed(str(problem)) from None
        now = write_time(self.environment.now())
        await self._patch(challenge, {"presented": True, "presentedAt": now, "reason": ""})
        await self._event(challenge, "Normal", "Presented", "Presented challenge using DNS-01 challenge mechanism")

    async def _may_accept(self, challenge: cm.Challenge, wait: _Wait) -> bool:
        instead = challenge.spec.solver.wait_instead_of_self_check
        if instead is not None:
            return await self._waited_enough(challenge, parse_duration(instead))
        try:
            await check(self.environment.names, challenge.spec.dns_name, challenge.spec.key)
        except NotPropagated as reason:
            await self._patch(challenge, {"reason": f"Waiting for DNS-01 challenge propagation: {reason}"})
            self.again_after(challenge.key, wait.seconds)
            wait.seconds = min(wait.seconds * 2, self.environment.pace.propagation_check_longest)
            return False
        return wait.waited >= self.environment.pace.settle or self._settle(challenge, wait)

    def _settle(self, challenge: cm.Challenge, wait: _Wait) -> bool:
        wait.waited = self.environment.pace.settle
        self.again_after(challenge.key, wait.waited)
        return False

    async def _waited_enough(self, challenge: cm.Challenge, duration: timedelta) -> bool:
        since = parse_time(challenge.status.presented_at or write_time(self.environment.now()))
        rest = (since + duration - self.environment.now()).total_seconds()
        if rest <= 0:
            return True
        reason = f"Waiting {go_duration(duration)} before accepting DNS-01 challenge without self-check"
        await self._patch(challenge, {"reason": reason})
        self.again_after(challenge.key, rest)
        return False

    async def _poll(self, challenge: cm.Challenge, client: AcmeClient, wait: _Wait) -> None:
        try:
            answer = await client.authorization(challenge.spec.authorization_url)
        except AcmeError as error:
            await self._refused(challenge, error)
            return
        if await self._settled(challenge, answer):
            return
        if wait.waited > self.environment.pace.authorization_timeout:
            wait.accepted = False
            raise PresentFailed("context deadline exceeded")
        wait.waited += wait.seconds
        self.again_after(challenge.key, wait.seconds)
        wait.seconds = min(wait.seconds * 2, self.environment.pace.poll_longest)

    async def _settled(self, challenge: cm.Challenge, answer: AuthorizationAnswer) -> bool:
        """Whether the CA has decided; if so, records the result."""
        domain = challenge.spec.dns_name
        if answer.status == "valid":
            await self._patch(challenge, {"state": "valid", "reason": "Successfully authorized domain"})
            message = f'Domain "{domain}" verified with "DNS-01" validation'
            await self._event(challenge, "Normal", "DomainVerified", message)
            return True
        if answer.status == "pending":
            return False
        mine = next((each.error for each in answer.challenges if each.error), "")
        error = f"acme: authorization error for {domain}: {mine}"
        state = answer.status if answer.status in FINAL else "invalid"
        await self._patch(challenge, {"state": state, "reason": f"Error accepting authorization: {error}"})
        await self._event(challenge, "Warning", "Failed", f"Accepting challenge authorization failed: {error}")
        return True

    async def _refused(self, challenge: cm.Challenge, error: AcmeError) -> None:
        """Handles a challenge that the CA no longer has, which is a malformed request. Raises temporary errors."""
        if not error.is_final:
            raise error
        state = "expired" if error.kind == "malformed" else "errored"
        await self._patch(challenge, {"state": state, "reason": f"Failed to retrieve challenge: {error}"})
        await self._event(challenge, "Warning", "Failed", f"Accepting challenge authorization failed: {error}")

    # --- the end -------------------------------------------------------------------------------------------------

    async def _finish(self, challenge: cm.Challenge) -> None:
        """Removes the record, then the finalizer. A challenge whose issuer is deleted stays, and reports it."""
        if challenge.status.presented:
            try:
                await self._clean_up(challenge)
            except (SolverProblem, IssuerUnavailable) as problem:
                message = f"Error cleaning up challenge: {problem}"
                await self._event(challenge, "Warning", "CleanUpError", message)
                raise PresentFailed(message) from None
        self._waits.pop(challenge.key, None)
        if challenge.status.processing or challenge.status.presented:
            await self._patch(challenge, {"processing": False, "presented": False})
        ours = (FINALIZER, _LEGACY_FINALIZER)
        rest = [each for each in challenge.metadata.finalizers if each not in ours]
        if len(rest) != len(challenge.metadata.finalizers):
            patch = {"metadata": {"finalizers": rest or None}}
            await self.environment.kubernetes.patch(cm.Challenge, challenge.name, challenge.namespace, patch)

    async def _clean_up(self, challenge: cm.Challenge) -> None:
        issuer, _ = await find_issuer(self.environment, challenge.spec.issuer_ref, challenge.namespace)
        dns01 = _dns01(challenge)
        assert dns01.route53 is not None
        fqdn = await self._record_name(challenge, dns01)
        await self.route53.clean_up(issuer, dns01.route53, fqdn, challenge.spec.key)

    async def _record_name(self, challenge: cm.Challenge, dns01: cm.DNS01Solver) -> str:
        name = f"_acme-challenge.{challenge.spec.dns_name}"
        if dns01.cname_strategy != "Follow":
            return name
        try:
            return await self.environment.names.follow(name)
        except DnsFailure as failure:
            raise SolverProblem(str(failure)) from None

    async def _patch(self, challenge: cm.Challenge, patch: JsonObject) -> None:
        await self.environment.kubernetes.patch_status(cm.Challenge, challenge.name, challenge.namespace, patch)

    async def _event(self, challenge: cm.Challenge, type_: str, reason: str, message: str) -> None:
        await self.environment.event("challenges", challenge, type_, reason, message)


def _dns01(challenge: cm.Challenge) -> cm.DNS01Solver:
    """The solver, if it is supported. Raises `SolverProblem`."""
    dns01 = challenge.spec.solver.dns01
    if dns01 is None:
        raise SolverProblem("HTTP-01 is not served here: use a dns01 solver with route53")
    if dns01.route53 is None:
        named = sorted(name for name, value in dns01.model_dump(by_alias=True).items() if isinstance(value, dict))
        raise SolverProblem(f"the DNS provider {', '.join(named) or '(none)'} is not served here: use route53")
    return dns01
