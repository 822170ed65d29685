"""What Elastic Load Balancing has inside AWS and no API offers, and what it asks of the machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from lockgate.loadbalancer.model import Target, TargetType

# ASGI's.
Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Platform(Protocol):
    """AWS from inside."""

    async def certificate_material(self, arn: str) -> tuple[str, str] | None:
        """(chain, key) as PEM of an issued certificate, leaf first; None where there is none."""
        ...

    async def report_target_health(
        self, target_group_arn: str, target_id: str, port: int, state: str, reason: str, description: str
    ) -> None:
        """What `describe_target_health` is to say from now on. ``unused`` with the reason
        ``Target.NotRegistered`` ends the draining of a target."""
        ...

    async def private_address(self, instance_id: str) -> str | None:
        """An instance's own address in its VPC; None for an instance that is not there."""
        ...

    async def client_secret(self, arn: str) -> str | None:
        """The client secret of the login of a rule or listener; None where there is none."""
        ...

    async def web_acls(self) -> Mapping[str, str]:
        """The ARN of the web ACL by the ARN of the load balancer that is associated with it."""
        ...

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """After calls that changed something: the services concerned, such as ``{"elbv2", "wafv2"}``.

        Where that is known, ``elbv2:`` and the ARN of the load balancer or target group concerned, in place of
        ``elbv2``.
        """
        ...


class ProxyTo(Protocol):
    """How hosts are reached that may be behind the load balancers themselves."""

    async def __call__(self, host: str, /) -> str | None:
        """A proxy's URL; None where the host is reached as by any program."""
        ...


class Resolve(Protocol):
    """Where a target really is: what the network of the VPC and kube-proxy know together."""

    def __call__(self, target: Target, target_type: TargetType, vpc_id: str) -> tuple[tuple[str, int], ...]:
        """Addresses and ports, none where nothing listens."""
        ...


class Served(Protocol):
    """An application at a loopback address and port, until it is stopped."""

    host: str
    port: int

    async def stop(self) -> None: ...


class Serve(Protocol):
    """Sockets for what Elastic Load Balancing answers itself."""

    async def __call__(self, application: Application, host: str, /) -> Served:
        """Serve an ASGI application over plain HTTP, or over HTTPS as `host` where it has a name."""
        ...
