"""The whole edge as one value: everything that decides what happens to a request.

`from_manifests` builds it with nothing running; `from_state` from the objects of a cluster and an account. Readers
never ask where it came from: `trace` walks a request through it, `check` looks for faults in it, `plan` compares it
with an account.

    >>> edge = from_manifests(load(["examples/edge"]), Options(paths=()))
    >>> [balancer.name for balancer in edge.load_balancers]
    ['k8s-istiosys-edge-0aec3ecbb6']
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.dns.model import Zone
from lockgate.edge.network import Network
from lockgate.edge.objects import Objects
from lockgate.gateway.model import Gateway
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources.faults import Fault
from lockgate.resources.kinds import Service
from lockgate.resources.model import ObjectKey


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a TLS hop presents. `names` are its DNS names, `issuer` says who vouches for it, in words."""

    names: tuple[str, ...]
    issuer: str = ""
    source: ObjectKey | None = None
    """The object that makes it: a cert-manager Certificate, or the Secret itself."""

    def covers(self, host: str) -> bool:
        """Whether a client that asks for `host` accepts it: exactly, or by a wildcard for one label."""
        host = host.lower()
        return any(name.lower() in (host, f"*.{host.partition('.')[2]}") for name in self.names)


@dataclass(frozen=True, slots=True)
class Edge:
    """`load_balancers` are application and network load balancers, each with its DNS name.

    `gateways` are by workload (namespace/Pod). `certificates` are by ACM ARN, and by ``Secret namespace/name`` for what
    gateways present. `unseen` names the web ACL of a load balancer, by the balancer's name, whose rules nobody knows:
    they are in the account only.
    """

    objects: Objects
    zones: tuple[Zone, ...]
    load_balancers: tuple[AnyLoadBalancer, ...]
    network: Network
    gateways: Mapping[str, Gateway]
    certificates: Mapping[str, Certificate]
    faults: tuple[Fault, ...] = ()
    unseen: Mapping[str, str] = field(default_factory=dict)
    fronts: Mapping[str, str] = field(default_factory=dict)
    """The application load balancer, by name, that a target group of type alb stands for, by its reference."""
    memory: object = field(default=None, repr=False, compare=False)
    """What the next edge is built upon; only the builders read it."""

    @property
    def application_load_balancers(self) -> Iterator[LoadBalancer]:
        return (each for each in self.load_balancers if isinstance(each, LoadBalancer))

    def load_balancer(self, dns_name: str) -> AnyLoadBalancer | None:
        wanted = dns_name.rstrip(".").lower().removeprefix("dualstack.")
        return next((each for each in self.load_balancers if each.dns_name.lower() == wanted), None)

    def gateway_service(self, address: str) -> Service | None:
        """The Service of a gateway that is reached at an address of its own."""
        for service in self.objects.all(Service):
            if any(entry.ip == address for entry in service.status.load_balancer.ingress):
                return service
        return None

    def certificate_names(self) -> dict[str, tuple[str, ...]]:
        """The names of certificates by reference, as a load balancer chooses among them by server name."""
        return {reference: certificate.names for reference, certificate in self.certificates.items()}


def secret_reference(namespace: str, name: str) -> str:
    """How `Edge.certificates` names a Secret."""
    return f"Secret {namespace}/{name}"
