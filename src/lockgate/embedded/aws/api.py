"""The AWS API of one account on a loopback port, and what AWS does inside without an API of its own.

One call at a time has the state, because moto's is not made for several: over HTTP on a thread of the API's own, so
that the loop only moves bytes; in this process on the caller's.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lockgate.dns.model import Zone
from lockgate.embedded.aws import front, signature
from lockgate.embedded.aws.account import Account
from lockgate.embedded.aws.certificate_manager import PendingCertificate
from lockgate.embedded.aws.changes import Changes
from lockgate.embedded.aws.credentials import AccessKeys, unique_id
from lockgate.embedded.aws.protocol import HttpAnswer, HttpRequest, Refusal
from lockgate.embedded.http import Server, serve
from lockgate.embedded.service_accounts import ServiceAccountTokens

log = logging.getLogger("lockgate.embedded.aws")

Value = TypeVar("Value")

LENT = 600  # s, of what AWS lends by a presigned URL

# Operations that change nothing, by how AWS names them.
_READS = re.compile(r"(Describe|Get|List|Check|Test|Search|Assume|Decode|GET$|HEAD$)")


def preload() -> None:
    """Import what the API needs (0.7 s): on a thread, while the rest of an edge starts."""
    from lockgate.embedded.aws import moto_services

    moto_services.load()


class AwsApi:
    """`region` is what hooks without a region mean; clients may name any that AWS has. Hooks raise `ValueError` where
    AWS has no `region`. moto's state is the process's: a second API in one process starts by emptying the first one's.

    Requests must be signed with the access key given here, with one allowed later, or with one that STS gave. `tokens`
    are the service accounts' tokens that STS accepts. `is_endpoint` says whether a loopback address and port is where a
    Pod of the edge listens; it is asked on the API's thread. `quotas` are ELBv2's that differ from AWS's defaults.
    """

    def __init__(
        self,
        account: str,
        region: str,
        *,
        access_key_id: str,
        secret_access_key: str,
        tokens: ServiceAccountTokens | None = None,
        is_endpoint: Callable[[str, int], bool] = lambda address, port: False,
        quotas: Mapping[str, int] | None = None,
    ) -> None:
        self.account = account
        self.region = region
        self._own_key = ("AKIA" + unique_id(), secrets.token_urlsafe(30))
        self._keys = AccessKeys()
        for id_, secret in ((access_key_id, secret_access_key), self._own_key):
            self._keys.allow(id_, secret, account)
        self._tokens = tokens
        self._is_endpoint = is_endpoint
        self._quotas = quotas or {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aws-api")
        self._turn = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changes = Changes()
        self._state: Account | None = None
        self._server: Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None, "not started"
        return f"http://{self._server.host}:{self._server.port}"

    async def start(self, port: int = 0) -> None:
        """Listens at once; calls wait for moto's imports. Raises `PortInUse`."""
        self._loop = asyncio.get_running_loop()
        self._server = await serve(front.application(self._perform), port=port)
        self._thread.submit(self._alone, _nothing)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def allow_access_key(self, access_key_id: str, secret_access_key: str) -> None:
        """Accept another key of the account, such as the one that an issuer names; a known one gets this secret."""
        self._keys.allow(access_key_id, secret_access_key, self.account)

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """After changes: what changed since the last step, from this call on.

        The names of services (boto3's); but where all that changed in ELBv2 belongs to one load balancer or target
        group, ``elbv2:`` and its ARN instead of ``elbv2``.
        """
        return self._changes.listen()

    # --- Route 53

    async def create_hosted_zone(self, name: str, zone_id: str) -> None:
        """A public zone under exactly this id; one that exists stays as it is."""
        await self._run(lambda account: account.route53.create(name, zone_id))
        self._changes.tell("route53")

    async def hosted_zones(self) -> tuple[Zone, ...]:
        return await self._run(lambda account: account.route53.zones())

    # --- EC2

    async def create_instance(self, instance_id: str, private_ip: str, zone: str) -> None:
        """A running instance in the default VPC's subnet of an availability zone; one that exists stays as it is."""
        await self._run(lambda account: account.create_instance(instance_id, private_ip, zone))
        self._changes.tell("ec2")

    async def create_subnet(self, subnet_id: str, tags: Mapping[str, str], zone: int) -> None:
        """A subnet of the default VPC in the `zone`-th availability zone, counted from 0: under exactly this id, or,
        without one, with these tags. One that exists stays as it is. Raises `ValueError` where there is no room."""
        await self._run(lambda account: account.create_subnet(subnet_id, tags, zone))
        self._changes.tell("ec2")

    async def associate_ipv6_blocks(self) -> None:
        """Every subnet of the default VPC that has no IPv6 addresses gets a /64 of them."""
        await self._run(lambda account: account.associate_ipv6_blocks())
        self._changes.tell("ec2")

    async def create_security_group(self, group_id: str, name: str) -> None:
        """A security group of the default VPC: under exactly this id, or, without one, with the Name tag `name`."""
        await self._run(lambda account: account.create_security_group(group_id, name))
        self._changes.tell("ec2")

    async def private_address(self, instance_id: str) -> str | None:
        """An instance's own address in its VPC; None for an instance that is not there."""
        return await self._run(lambda account: account.private_address(instance_id))

    async def default_vpc(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Its id, and its subnets' ids and availability zones, in one order."""
        return await self._run(lambda account: account.default_vpc())

    # --- ACM

    async def create_certificate(self, arn: str, names: tuple[str, ...]) -> None:
        """A certificate that waits for validation, under exactly this ARN, whatever it looks like.

        One that exists for other names is issued again for these.
        """
        await self._run(lambda account: account.create_certificate(arn, names))
        self._changes.tell("acm")

    async def pending_certificates(self) -> tuple[PendingCertificate, ...]:
        return await self._run(lambda account: account.pending_certificates())

    async def issue_certificate(self, arn: str, chain_pem: str, key_pem: str) -> None:
        """Raises `LookupError` for a certificate that is gone, `ValueError` for a chain that does not parse."""
        await self._run(lambda account: account.certificates_of(arn).issue(arn, chain_pem, key_pem))
        self._changes.tell("acm")

    async def certificate_material(self, arn: str) -> tuple[str, str] | None:
        """The chain, leaf first, and the key; None for a certificate that is not there or not issued."""
        return await self._run(lambda account: account.certificates_of(arn).material(arn))

    # --- Cognito

    async def create_user_pool_client(self, arn: str, client: str, secret: str) -> None:
        """A client with this secret under exactly this id, of the user pool with exactly this ARN."""
        from lockgate.embedded.aws import user_pools

        await self._run(lambda account: user_pools.create(account.id, arn, client, secret))

    # --- ELBv2

    async def create_target_group(self, settings: Mapping[str, Any], arn: str) -> None:
        """`settings` are parameters of CreateTargetGroup; the group gets exactly this ARN, if there is one. One that
        exists stays as it is. Raises `ValueError` for settings that AWS refuses."""
        try:
            await self._run(lambda account: account.balancing_of(arn).create_target_group(dict(settings), arn))
        except Refusal as error:
            raise ValueError(error.message) from error
        self._changes.tell("elbv2")

    async def create_trust_store(self, name: str, certificate: bytes, arn: str) -> None:
        """A trust store with one CA certificate (PEM), under exactly this ARN, if there is one. One that exists stays
        as it is."""
        await self._run(lambda account: account.balancing_of(arn).create_trust_store(name, certificate, arn))
        self._changes.tell("elbv2")

    async def report_target_health(
        self, target_group_arn: str, target_id: str, port: int, state: str, reason: str = "", description: str = ""
    ) -> None:
        """What a health check found. A target that is gone is ignored; a report is not a change."""
        await self._run(
            lambda account: account.balancing_of(target_group_arn).report_target_health(
                target_group_arn, target_id, port, state, reason, description
            )
        )

    async def client_secret(self, arn: str) -> str | None:
        """The client secret of the login of a rule or listener: given to the API or looked up, and never shown."""
        return await self._run(lambda account: account.balancing_of(arn).client_secret(arn))

    async def trust_store(self, arn: str) -> tuple[bytes, tuple[bytes, ...]] | None:
        """A trust store's CA bundle (PEM) and its revocation lists, as S3 had them."""
        return await self._run(lambda account: account.balancing_of(arn).trust_store(arn))

    # --- WAFv2

    async def create_web_acl(self, name: str, arn: str) -> None:
        """A web ACL without rules that allows, under exactly this ARN if there is one; one that exists stays."""
        await self._run(lambda account: account.create_web_acl(name, arn))
        self._changes.tell("wafv2")

    async def web_acls(self) -> Mapping[str, str]:
        """The ARN of the web ACL by the ARN of the load balancer that is associated with it."""
        return await self._run(lambda account: account.web_acls())

    # ---

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """A request of this process, without a socket's and a loop's work; from any thread but the loop's own."""
        assert self._loop is not None, "not started"
        parts = urlsplit(url)
        named = [("host", parts.netloc), *((name.lower(), _as_sent(value)) for name, value in headers.items())]
        request = HttpRequest(method, parts.path, parts.query, tuple(named), body)
        done = self._alone(lambda account: front.perform(account, request))
        if news := _news(done):
            self._loop.call_soon_threadsafe(self._changes.tell, *news)
        return done.answer.status, dict(done.answer.headers), done.answer.body

    async def _perform(self, request: HttpRequest) -> HttpAnswer:
        done = await self._run(lambda account: front.perform(account, request))
        if news := _news(done):
            self._changes.tell(*news)
        return done.answer

    async def _run(self, action: Callable[[Account], Value]) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._alone, action)

    def _alone(self, action: Callable[[Account], Value]) -> Value:
        with self._turn:
            if self._state is None:
                self._state = Account(
                    self.account,
                    self.region,
                    presign=self._presign,
                    keys=self._keys,
                    tokens=self._tokens,
                    is_endpoint=self._is_endpoint,
                    quotas=self._quotas,
                )
            return action(self._state)

    def _presign(self, path: str) -> str:
        return signature.presigned(self.url, path, self.region, self._own_key, datetime.now(UTC), LENT)


def _news(done: front.Done) -> list[str]:
    """What is to be told of a call: nothing of one that has only looked."""
    if not done.changed or _READS.match(done.operation):
        return []
    return [f"{done.service}:{arn}" for arn in done.touched] or [done.service]


def _as_sent(value: str) -> str:
    """A header's text with a character for each byte of it, as it is read off the wire."""
    return value.encode().decode("latin-1")


def _nothing(account: Account) -> None:
    """The account is there, which takes moto's imports."""
