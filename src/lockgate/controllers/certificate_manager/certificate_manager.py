"""ACM issues a certificate once the validation record of each name is visible in DNS.

Source: ACM User Guide, "DNS validation" and "Certificate characteristics". ACM checks every few minutes. Here a change
of a zone triggers a check at once, and unresolved records are checked again with growing delays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from lockgate.certificates.authority import Authority, dns_content
from lockgate.certificates.keys import KeySpec, PrivateKey, encode_key
from lockgate.controllers.dns import DnsFailure, NameServer
from lockgate.controllers.keys import generate

log = logging.getLogger("lockgate.controllers")

LIFETIME = timedelta(days=198)  # ACM's since 2026; a whole number of days, from midnight to a second before one
FIRST_WAIT, LONGEST_WAIT = 0.05, 10.0  # seconds between two checks of unresolved records

_KEYS = {
    "RSA_2048": KeySpec("RSA", 2048),
    "EC_prime256v1": KeySpec("ECDSA", 256),
    "EC_secp384r1": KeySpec("ECDSA", 384),
}


class PendingCertificate(Protocol):
    """A request that waits for DNS. `records` are (the certificate's name, the CNAME's name, its value)."""

    @property
    def arn(self) -> str: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def records(self) -> tuple[tuple[str, str, str], ...]: ...


class Platform(Protocol):
    """What ACM does inside AWS without an API."""

    async def pending_certificates(self) -> tuple[PendingCertificate, ...]: ...

    async def issue_certificate(self, arn: str, chain_pem: str, key_pem: str) -> None:
        """Raises `LookupError` for a certificate that has been deleted."""
        ...

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """The services whose state changed, by boto3's names."""
        ...


class CertificateManager:
    """`authority` is the issuing CA; `dns_server` is queried for the validation records."""

    def __init__(
        self,
        platform: Platform,
        *,
        authority: Authority,
        dns_server: tuple[str, int],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._platform = platform
        self._authority = authority
        self._names = NameServer(*dns_server)
        self._now = now
        self._changed = asyncio.Event()
        # Keys are created while validation is pending, so that issuing does not wait for one.
        self._keys: dict[str, asyncio.Task[PrivateKey]] = {}

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._work())

    async def _listen(self) -> None:
        self._changed.set()
        async for services in self._platform.changes():
            if services & {"acm", "route53"}:
                self._changed.set()

    async def _work(self) -> None:
        wait: float | None = None
        while True:
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
                wait = FIRST_WAIT
            except TimeoutError:
                wait = min((wait or FIRST_WAIT) * 2, LONGEST_WAIT)
            self._changed.clear()
            try:
                waiting = await self._look()
            except Exception as error:  # the next change or check retries
                log.warning("certificate manager: %s", error, exc_info=error)
                waiting = True
            if not waiting:
                wait = None

    async def _look(self) -> bool:
        """Issues what can be issued. Returns True if certificates still wait for their records."""
        pending = await self._platform.pending_certificates()
        for arn in self._keys.keys() - {each.arn for each in pending}:
            self._keys.pop(arn).cancel()
        for each in pending:
            if each.arn not in self._keys:
                spec = _KEYS.get(getattr(each, "key_algorithm", "RSA_2048"), _KEYS["RSA_2048"])
                self._keys[each.arn] = asyncio.create_task(generate(spec))
        ready = await asyncio.gather(*(self._is_validated(each) for each in pending))
        for each, validated in zip(pending, ready, strict=True):
            if validated:
                await self._issue(each)
        return not all(ready)

    async def _is_validated(self, pending: PendingCertificate) -> bool:
        if not pending.records:
            return False
        return all(await asyncio.gather(*(self._resolves(name, value) for _, name, value in set(pending.records))))

    async def _resolves(self, name: str, value: str) -> bool:
        try:
            return await self._names.cname(name.rstrip(".")) == value.rstrip(".").lower()
        except DnsFailure as failure:
            log.debug("certificate manager: %s", failure)
            return False

    async def _issue(self, pending: PendingCertificate) -> None:
        from cryptography import x509

        key = await self._keys[pending.arn]
        start = self._now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        chain = self._authority.issue(
            key.public_key(),
            dns_content(pending.names),
            not_before=start,
            not_after=start + LIFETIME - timedelta(seconds=1),
            serial=x509.random_serial_number(),
        )
        try:
            await self._platform.issue_certificate(pending.arn, chain, encode_key(key).decode())
        except LookupError:
            log.info("certificate manager: %s was deleted before it was issued", pending.arn)
        else:
            log.info("certificate manager: issued %s for %s", pending.arn, ", ".join(pending.names))
        self._keys.pop(pending.arn, None)
