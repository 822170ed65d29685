"""The AWS API of one account on a loopback port, with hooks for what AWS does internally, without a public API.

Calls run one at a time, because moto's state is not thread-safe. Calls over HTTP run on the API's own thread, so that
the event loop only moves bytes. Calls of this process run on the caller's thread.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lockgate.dns.model import Zone
from lockgate.embedded.aws import denials, front, protocol, signature
from lockgate.embedded.aws.account import Account
from lockgate.embedded.aws.certificate_manager import PendingCertificate
from lockgate.embedded.aws.changes import Changes
from lockgate.embedded.aws.credentials import AccessKeys, unique_id
from lockgate.embedded.aws.eks import Cluster
from lockgate.embedded.aws.protocol import HttpAnswer, HttpRequest, Refusal
from lockgate.embedded.faults import Faults
from lockgate.embedded.http import Server, serve
from lockgate.embedded.service_accounts import ServiceAccountTokens

log = logging.getLogger("lockgate.embedded.aws")

Value = TypeVar("Value")

LENT = 600  # s that AWS's presigned URLs are valid

# Operations that change nothing, by AWS's naming conventions.
_READS = re.compile(r"(Describe|Get|List|Check|Test|Search|Assume|Decode|GET$|HEAD$)")


def preload() -> None:
    """Imports the API's modules (0.7 s): on a thread, while the rest of an edge starts."""
    from lockgate.embedded.aws import moto_import

    moto_import.load()


class AwsApi:
    """`region` is the default of hooks without a region; clients may use any AWS region. Hooks raise `ValueError` for
    an unknown region. moto's state belongs to the process: a second API in one process clears that of the first.

    Requests must be signed with the access key given here, with one that `allow` added, or with one that STS issued.
    `tokens` verifies the service account tokens for STS. `is_endpoint` returns whether a Pod of the edge listens on a
    loopback address and port; it is called on the API's thread. `quotas` overrides AWS's defaults for ELBv2.
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
        faults: Faults[HttpAnswer] | None = None,
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
        self.faults = faults or Faults()
        self.cluster: Cluster | None = None
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
        """Listens at once. Calls wait until moto is imported. Raises `PortInUse`."""
        self._loop = asyncio.get_running_loop()
        self._server = await serve(front.application(self._perform), port=port)
        self._thread.submit(self._alone, _nothing)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def allow_access_key(self, access_key_id: str, secret_access_key: str) -> None:
        """Accepts another access key of the account, such as an issuer's. An existing key gets this secret."""
        self._keys.allow(access_key_id, secret_access_key, self.account)

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yields after changes: what changed since the last step, starting with this call.

        Each item is the name of a service (boto3's). For ELBv2 it is ``elbv2:`` and the ARN of the changed load
        balancer or target group, or ``elbv2`` if that cannot be determined.
        """
        return self._changes.listen()

    # --- Route 53

    async def create_hosted_zone(self, name: str, zone_id: str) -> None:
        """Creates a public zone with exactly this ID. An existing one is unchanged."""
        await self._run(lambda account: account.route53.create(name, zone_id))
        self._changes.publish("route53")

    async def hosted_zones(self) -> tuple[Zone, ...]:
        return await self._run(lambda account: account.route53.zones())

    # --- EC2

    async def create_instance(self, instance_id: str, private_ip: str, zone: str) -> None:
        """Creates a running instance in the default subnet of an Availability Zone. An existing one is unchanged."""
        await self._run(lambda account: account.create_instance(instance_id, private_ip, zone))
        self._changes.publish("ec2")

    async def create_subnet(
        self, subnet_id: str, tags: Mapping[str, str], zone: int, addresses: Sequence[str] = ()
    ) -> None:
        """Creates a subnet of the default VPC in the `zone`-th Availability Zone (from 0), with exactly this ID or,
        without one, with these tags. An existing one is unchanged. Raises `ValueError` if the VPC is full."""
        await self._run(lambda account: account.create_subnet(subnet_id, tags, zone, addresses))
        self._changes.publish("ec2")

    async def associate_ipv6_blocks(self) -> None:
        """Adds an IPv6 /64 to every subnet of the default VPC that has none."""
        await self._run(lambda account: account.associate_ipv6_blocks())
        self._changes.publish("ec2")

    async def create_security_group(self, group_id: str, name: str) -> None:
        """Creates a security group in the default VPC, with exactly this ID or, without one, the Name tag `name`."""
        await self._run(lambda account: account.create_security_group(group_id, name))
        self._changes.publish("ec2")

    async def allocate_elastic_ip(self, allocation_id: str) -> None:
        """Allocates an Elastic IP with exactly this ID, unless it exists."""
        await self._run(lambda account: account.allocate_elastic_ip(allocation_id))
        self._changes.publish("ec2")

    async def private_address(self, instance_id: str) -> str | None:
        """An instance's private IP address; None if the instance does not exist."""
        return await self._run(lambda account: account.private_address(instance_id))

    async def default_vpc(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Its ID, and its subnets' IDs and Availability Zones, in the same order."""
        return await self._run(lambda account: account.default_vpc())

    # --- ACM

    async def create_certificate(self, arn: str, names: tuple[str, ...]) -> None:
        """Creates a certificate that is pending validation, with exactly this ARN, which may have any form.

        An existing one for other names is issued again for these.
        """
        await self._run(lambda account: account.create_certificate(arn, names))
        self._changes.publish("acm")

    async def pending_certificates(self) -> tuple[PendingCertificate, ...]:
        return await self._run(lambda account: account.pending_certificates())

    async def issue_certificate(self, arn: str, chain_pem: str, key_pem: str) -> None:
        """Raises `LookupError` for a deleted certificate, `ValueError` for a chain that does not parse."""
        await self._run(lambda account: account.certificates_of(arn).issue(arn, chain_pem, key_pem))
        self._changes.publish("acm")

    async def certificate_material(self, arn: str) -> tuple[str, str] | None:
        """The chain, leaf first, and the key; None for a certificate that does not exist or is not issued."""
        return await self._run(lambda account: account.certificates_of(arn).material(arn))

    # --- EKS

    async def associated_role(self, namespace: str, service_account: str) -> str | None:
        """The role of a service account's Pod Identity association."""
        return await self._run(lambda account: account.eks.role_of(namespace, service_account))

    # --- Cognito

    async def create_user_pool_client(self, arn: str, client: str, secret: str) -> None:
        """Creates a client with exactly this ID and this secret, of the user pool with exactly this ARN."""
        from lockgate.embedded.aws import user_pools

        await self._run(lambda account: user_pools.create(account.id, arn, client, secret))

    # --- ELBv2

    async def create_target_group(self, settings: Mapping[str, Any], arn: str) -> None:
        """Creates a target group from parameters of CreateTargetGroup, with exactly this ARN if given. An existing one
        is unchanged. Raises `ValueError` for settings that AWS refuses."""
        try:
            await self._run(lambda account: account.balancing_of(arn).create_target_group(dict(settings), arn))
        except Refusal as error:
            raise ValueError(error.message) from error
        self._changes.publish("elbv2")

    async def create_trust_store(self, name: str, certificate: bytes, arn: str) -> None:
        """Creates a trust store with one CA certificate (PEM), with exactly this ARN if given. An existing one is
        unchanged."""
        await self._run(lambda account: account.balancing_of(arn).create_trust_store(name, certificate, arn))
        self._changes.publish("elbv2")

    async def report_target_health(
        self, target_group_arn: str, target_id: str, port: int, state: str, reason: str = "", description: str = ""
    ) -> None:
        """Records the result of a health check. Deregistered targets are ignored. Health does not count as a change."""
        await self._run(
            lambda account: account.balancing_of(target_group_arn).report_target_health(
                target_group_arn, target_id, port, state, reason, description
            )
        )

    async def client_secret(self, arn: str) -> str | None:
        """The client secret for the login of a rule or listener. It is write-only in the API."""
        return await self._run(lambda account: account.balancing_of(arn).client_secret(arn))

    async def trust_store(self, arn: str) -> tuple[bytes, tuple[bytes, ...]] | None:
        """A trust store's CA bundle (PEM) and its revocation lists, as read from S3."""
        return await self._run(lambda account: account.balancing_of(arn).trust_store(arn))

    # --- WAFv2

    async def create_web_acl(self, name: str, arn: str) -> None:
        """Creates a web ACL that allows everything, with exactly this ARN if given. An existing one is unchanged."""
        await self._run(lambda account: account.create_web_acl(name, arn))
        self._changes.publish("wafv2")

    async def deliver(self, bucket: str, key: str, content: bytes, instead_of: str) -> bool:
        """Puts an object into S3 in place of another, whose key may be "". Returns False without such a bucket."""
        return await self._run(lambda account: account.deliver(bucket, key, content, instead_of))

    async def web_acls(self) -> Mapping[str, str]:
        """The ARNs of web ACLs, by the ARNs of the load balancers that they are associated with."""
        return await self._run(lambda account: account.web_acls())

    # ---

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Answers a request of this process without a socket. May be called from any thread except the loop's."""
        assert self._loop is not None, "not started"
        parts = urlsplit(url)
        named = [("host", parts.netloc), *((name.lower(), _as_sent(value)) for name, value in headers.items())]
        request = HttpRequest(method, parts.path, parts.query, tuple(named), body)
        done = self._alone(lambda account: front.perform(account, request))
        if news := _news(done):
            self._loop.call_soon_threadsafe(self._changes.publish, *news)
        return done.answer.status, dict(done.answer.headers), done.answer.body

    async def _perform(self, request: HttpRequest) -> HttpAnswer:
        service, operation = await self._run(lambda account: front.named(request))
        if code := await self.faults.meet(service, operation):
            answer = protocol.failure(service, denials.injected(service, operation, code, self.account))
        else:
            done = await self._run(lambda account: front.perform(account, request))
            news, asked = _news(done), f"{request.path}?{request.query}".encode() + request.body
            answer = self.faults.seen(service, operation, asked, done.answer, changes=bool(news))
            if news:
                self._changes.publish(*news)
        self.faults.count(service, operation, answer.status)
        return answer

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
                    cluster=lambda: self.cluster,
                )
            return action(self._state)

    def _presign(self, path: str) -> str:
        return signature.presigned(self.url, path, self.region, self._own_key, datetime.now(UTC), LENT)


def _news(done: front.Done) -> list[str]:
    """The changes to publish after a call. Read operations have none."""
    if not done.changed or _READS.match(done.operation):
        return []
    return [f"{done.service}:{arn}" for arn in done.touched] or [done.service]


def _as_sent(value: str) -> str:
    """A header's text as read from the wire: one character per byte (latin-1)."""
    return value.encode().decode("latin-1")


def _nothing(account: Account) -> None:
    """Waits until the account exists, for which moto must be imported."""
