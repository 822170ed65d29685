"""Supplied resources as values. Each has the sentence that reports it (`why`), empty if it needs no report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from lockgate.edge.location import Place
from lockgate.resources.model import JsonObject

LABEL: Final = "lockgate.dev/supplied"


@dataclass(frozen=True, slots=True)
class Zone:
    """A hosted zone. Zones with equal names differ by ID; None leaves the ID open."""

    name: str
    zone_id: str | None
    why: str


@dataclass(frozen=True, slots=True)
class AcmCertificate:
    arn: str
    names: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet of the default VPC, with exactly this `id` or, without one, with these tags. `zone` is the index of the
    region's availability zone. It contains these `addresses`, of either family."""

    id: str
    tags: tuple[tuple[str, str], ...]
    zone: int
    why: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ipv6Blocks:
    """An IPv6 address block for each subnet of the default VPC."""

    why: str


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A security group of the default VPC, with exactly this `id` or, without one, with the Name tag `name`."""

    id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class ElasticIp:
    """An Elastic IP with this allocation ID."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class IpamPool:
    """A pool that load balancers name. It is only reported: addresses of this machine come from none."""

    why: str


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """A target group of the default VPC. `arn` is the one that it must have, empty where any will do; `bound` is
    whether a TargetGroupBinding registers targets."""

    name: str
    arn: str
    type: Literal["instance", "ip"]
    protocol: str
    bound: bool
    why: str


@dataclass(frozen=True, slots=True)
class TrustStore:
    """A trust store with the edge's own CA."""

    name: str
    arn: str
    why: str


@dataclass(frozen=True, slots=True)
class UserPoolClient:
    """A user pool client. Load balancers need its secret to log users in."""

    pool_arn: str
    client_id: str
    secret: str = field(repr=False)
    why: str


@dataclass(frozen=True, slots=True)
class EmptyWebAcl:
    """`arn` is the required ARN; empty means any."""

    name: str
    arn: str
    why: str


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key that manifests name, which the embedded AWS API must accept."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A TLS Secret with a certificate for `names`, signed by the edge's CA, or as an `authority` a CA itself."""

    namespace: str
    name: str
    names: tuple[str, ...]
    why: str
    authority: bool = False


@dataclass(frozen=True, slots=True)
class NodePort:
    """The `number` that the Kubernetes API assigns to a `port` of a Service."""

    namespace: str
    service: str
    port: int
    number: int
    why: str


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the cluster."""

    manifest: JsonObject = field(repr=False)  # may be a Secret
    why: str


@dataclass(frozen=True, slots=True)
class Supply:
    """Everything that is supplied, and where in AWS the edge is. `hosts` are the names that the edge serves,
    `control_plane` is what tools read of istiod, `deployments` bring the Pods of Services, `rendered` says what was
    rendered, `opened` what lockgate.yaml opens, and `addressed` which gateways get an address."""

    place: Place
    rendered: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()
    certificates: tuple[AcmCertificate, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    ipv6: tuple[Ipv6Blocks, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    elastic_ips: tuple[ElasticIp, ...] = ()
    ipam_pools: tuple[IpamPool, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    trust_stores: tuple[TrustStore, ...] = ()
    user_pool_clients: tuple[UserPoolClient, ...] = ()
    web_acls: tuple[EmptyWebAcl, ...] = ()
    credentials: tuple[Credential, ...] = ()
    objects: tuple[Object, ...] = ()
    control_plane: tuple[Object, ...] = ()
    deployments: tuple[Object, ...] = ()
    key_pairs: tuple[KeyPair, ...] = ()
    node_ports: tuple[NodePort, ...] = ()
    addressed: tuple[str, ...] = ()
    cluster_resource_namespace: str = "cert-manager"

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences that report it."""
        pieces: tuple[
            Zone
            | AcmCertificate
            | Subnet
            | Ipv6Blocks
            | SecurityGroup
            | ElasticIp
            | IpamPool
            | TargetGroup
            | TrustStore
            | UserPoolClient
            | EmptyWebAcl
            | Object
            | KeyPair
            | NodePort,
            ...,
        ] = (
            *self.zones,
            *self.certificates,
            *self.subnets,
            *self.ipv6,
            *self.security_groups,
            *self.elastic_ips,
            *self.ipam_pools,
            *self.target_groups,
            *self.trust_stores,
            *self.user_pool_clients,
            *self.web_acls,
            *self.objects,
            *self.key_pairs,
            *self.node_ports,
        )
        why = (piece.why for piece in pieces if piece.why)
        return tuple(dict.fromkeys((*self.rendered, *self.opened, *why, *self.addressed)))
