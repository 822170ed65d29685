"""Supplies what a cluster and an account have but an application's repository does not, derived from the manifests."""

from lockgate.edge.supply.pieces import (
    AcmCertificate,
    Credential,
    ElasticIp,
    KeyPair,
    Object,
    SecurityGroup,
    Subnet,
    Supply,
    TargetGroup,
    TrustStore,
    Zone,
)
from lockgate.edge.supply.supply import supply

__all__ = [
    "AcmCertificate",
    "Credential",
    "ElasticIp",
    "KeyPair",
    "Object",
    "SecurityGroup",
    "Subnet",
    "Supply",
    "TargetGroup",
    "TrustStore",
    "Zone",
    "supply",
]
