"""The supported types of load balancers, and their differences.

Source: ELBv2 API Reference; user guides of Application and Network Load Balancers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lockgate.embedded.aws.elbv2 import attributes
from lockgate.embedded.aws.protocol import Refusal
from lockgate.loadbalancer import quotas
from lockgate.loadbalancer.network import PROTOCOLS as NETWORK_PROTOCOLS


@dataclass(frozen=True, slots=True)
class Type:
    """`path` is the type's part of ARNs. `protocols` are AWS's listener protocols for it, `served` the supported ones.
    `quota` and `listener_quota` are names of quotas."""

    name: str
    path: str
    protocols: tuple[str, ...]
    served: tuple[str, ...]
    attributes: Mapping[str, attributes.Attribute]
    logs: tuple[str, ...]
    quota: str
    listener_quota: str


APPLICATION: Final = Type(
    "application",
    "app",
    ("HTTPS", "HTTP"),
    ("HTTPS", "HTTP"),
    attributes.LOAD_BALANCER,
    ("access_logs", "connection_logs", "health_check_logs"),
    quotas.LOAD_BALANCERS,
    quotas.LISTENERS,
)
NETWORK: Final = Type(
    "network",
    "net",
    ("TLS", "TCP", "TCP_UDP", "UDP", "QUIC", "TCP_QUIC"),
    NETWORK_PROTOCOLS,
    attributes.NETWORK_LOAD_BALANCER,
    ("access_logs",),
    quotas.NETWORK_LOAD_BALANCERS,
    quotas.NETWORK_LISTENERS,
)
_SERVED: Final = {each.name: each for each in (APPLICATION, NETWORK)}


def served_type(name: str) -> Type:
    """Raises `Refusal`."""
    if name not in _SERVED:
        raise Refusal(
            "OperationNotPermitted",
            f"Load balancers of type '{name}' are not served here, only those of type '{', '.join(_SERVED)}'",
        )
    return _SERVED[name]
