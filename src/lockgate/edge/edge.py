"""The whole edge as one value: everything that decides what happens to a request.

`from_manifests` builds it without running anything, `from_state` from the objects of a cluster and an account. Readers
do not need to know which: `trace` evaluates a request, `check` finds faults, and `plan` compares it with an account.

    >>> edge = from_manifests(load(["examples/edge"]), Options(paths=()))
    >>> [balancer.name for balancer in edge.load_balancers]
    ['k8s-istiosys-edge-0aec3ecbb6']
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lockgate.dns.model import Zone
from lockgate.edge.network import Network
from lockgate.edge.objects import Name, Objects
from lockgate.gateway.model import Gateway
from lockgate.loadbalancer.model import LoadBalancer
from lockgate.loadbalancer.network import AnyLoadBalancer
from lockgate.resources import core
from lockgate.resources.faults import Fault
from lockgate.resources.memo import Memo
from lockgate.resources.model import ObjectKey


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of a TLS hop. `names` are its DNS names; `issuer` describes who signed it."""

    names: tuple[str, ...]
    issuer: str = ""
    source: ObjectKey | None = None
    """The object that creates it: a cert-manager Certificate, or the Secret itself."""

    def covers(self, host: str) -> bool:
        """Whether it is valid for `host`: an exact name, or a wildcard for one label."""
        host = host.lower()
        return any(name.lower() in (host, f"*.{host.partition('.')[2]}") for name in self.names)


@dataclass(frozen=True, slots=True)
class Edge:
    """`load_balancers` are Application and Network Load Balancers, each with its DNS name.

    `gateways` are by workload (namespace/Pod). `certificates` are by ACM ARN, and by ``Secret namespace/name`` for
    those of gateways. `unseen` maps a load balancer's name to the name of its web ACL, if its rules are not in the
    manifests.
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
    """Maps the reference of a target group of type alb to the name of its Application Load Balancer."""
    members: Mapping[str, tuple[Name, ...]] = field(default_factory=dict)
    """The Ingresses of each Application Load Balancer that Ingresses make, by its name."""
    supplied: frozenset[ObjectKey] = frozenset()
    """The objects that are in no manifest, and are supplied because the manifests take them for granted."""
    remembered: Memo = field(default_factory=Memo, repr=False, compare=False)
    """For readers that look at each of thousands of routes or objects: what they found in those that stay the same.
    The next edge has the same one."""
    memory: object = field(default=None, repr=False, compare=False)
    """The state from which the next edge is built incrementally. Only the builders read it."""

    @property
    def application_load_balancers(self) -> Iterator[LoadBalancer]:
        return (each for each in self.load_balancers if isinstance(each, LoadBalancer))

    def load_balancer(self, dns_name: str) -> AnyLoadBalancer | None:
        desired = dns_name.rstrip(".").lower().removeprefix("dualstack.")
        return next((each for each in self.load_balancers if each.dns_name.lower() == desired), None)

    def gateway_service(self, address: str) -> core.Service | None:
        """The Service of a gateway with this address."""
        for service in self.objects.all(core.Service):
            if any(entry.ip == address for entry in service.status.load_balancer.ingress):
                return service
        return None

    def certificate_names(self) -> dict[str, tuple[str, ...]]:
        """The names of certificates by reference, from which a load balancer selects by server name."""
        return {reference: certificate.names for reference, certificate in self.certificates.items()}


def secret_reference(namespace: str, name: str) -> str:
    """The key of a Secret in `Edge.certificates`."""
    return f"Secret {namespace}/{name}"
