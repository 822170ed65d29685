"""The interfaces of Elastic Load Balancing to AWS's internals, which have no public API, and to the machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from lockgate.loadbalancer.model import Target, TargetType

# The types of ASGI.
Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Platform(Protocol):
    """AWS's internals."""

    async def certificate_material(self, arn: str) -> tuple[str, str] | None:
        """(chain, key) of an issued certificate as PEM, leaf first; None if it does not exist."""
        ...

    async def report_target_health(
        self, target_group_arn: str, target_id: str, port: int, state: str, reason: str, description: str
    ) -> None:
        """Sets the result of `describe_target_health`. ``unused`` with the reason ``Target.NotRegistered`` ends the
        draining of a target."""
        ...

    async def private_address(self, instance_id: str) -> str | None:
        """An instance's private IP address; None if the instance does not exist."""
        ...

    async def client_secret(self, arn: str) -> str | None:
        """The client secret for the login of a rule or listener; None if it has none."""
        ...

    async def web_acls(self) -> Mapping[str, str]:
        """The ARNs of web ACLs, by the ARNs of the load balancers that they are associated with."""
        ...

    async def deliver(self, bucket: str, key: str, content: bytes, instead_of: str) -> bool:
        """Puts an object into S3 in place of another, whose key may be "". Returns False without such a bucket."""
        ...

    def changes(self) -> AsyncIterator[frozenset[str]]:
        """Yields the services that calls have changed, such as ``{"elbv2", "wafv2"}``.

        If possible, ``elbv2`` is replaced by ``elbv2:`` and the ARN of the changed load balancer or target group.
        """
        ...


class ProxyTo(Protocol):
    """How to reach hosts that may be behind the load balancers themselves."""

    async def __call__(self, host: str, /) -> str | None:
        """A proxy's URL; None if the host is reached directly."""
        ...


class Resolve(Protocol):
    """Resolves a target to its real addresses, as the VPC's network and kube-proxy do."""

    def __call__(self, target: Target, target_type: TargetType, vpc_id: str) -> tuple[tuple[str, int], ...]:
        """Addresses and ports. Empty if nothing listens."""
        ...


class Served(Protocol):
    """An application that is served at a loopback address and port until it is stopped."""

    host: str
    port: int

    async def stop(self) -> None: ...


class Serve(Protocol):
    """Serves the applications of Elastic Load Balancing itself."""

    async def __call__(self, application: Application, host: str, /) -> Served:
        """Serves an ASGI application over plain HTTP, or as `host` over HTTPS."""
        ...
