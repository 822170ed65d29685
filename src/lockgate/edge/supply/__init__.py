"""What a cluster and an account have, and an application's repository has not: decided from the manifests."""

from lockgate.edge.supply.pieces import AcmCertificate, Credential, KeyPair, Object, SecurityGroup, Subnet, Supply, Zone
from lockgate.edge.supply.supply import supply

__all__ = ["AcmCertificate", "Credential", "KeyPair", "Object", "SecurityGroup", "Subnet", "Supply", "Zone", "supply"]
