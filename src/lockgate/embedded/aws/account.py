"""One account's services by region, and how they read each other. One thread owns all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from lockgate.dns.load_balancers import canonical_hosted_zone, region_of
from lockgate.dns.model import Alias
from lockgate.embedded.aws import ec2, moto_services, web_acls
from lockgate.embedded.aws.certificate_manager import CertificateManager, PendingCertificate
from lockgate.embedded.aws.credentials import AccessKeys
from lockgate.embedded.aws.eks import Cluster, ElasticKubernetesService
from lockgate.embedded.aws.elbv2.service import ElasticLoadBalancing
from lockgate.embedded.aws.protocol import Call, Result
from lockgate.embedded.aws.route53.service import Route53
from lockgate.embedded.aws.sts import SecurityTokenService
from lockgate.embedded.service_accounts import ServiceAccountTokens
from lockgate.loadbalancer.quotas import DEFAULTS


class Service(Protocol):
    def answer(self, call: Call) -> Result:
        """Raises `Refusal`."""
        ...


class Account:
    """Starts empty, except for EC2's default VPC in each region. Raises `ValueError` for an unknown region.

    `presign` returns a presigned URL for an object in S3. `keys` are the accepted access keys, and `tokens` verifies
    the service account tokens for STS. `is_endpoint` returns whether a Pod of the edge listens on a loopback address
    and port. `quotas` overrides AWS's defaults for ELBv2, by the names of DescribeAccountLimits. `cluster` is
    EKS's.
    """

    def __init__(
        self,
        account: str,
        region: str,
        *,
        presign: Callable[[str], str],
        keys: AccessKeys,
        tokens: ServiceAccountTokens | None,
        quotas: Mapping[str, int],
        cluster: Callable[[], Cluster | None],
        is_endpoint: Callable[[str, int], bool],
    ) -> None:
        self.id = account
        self.region = region
        self.presign = presign
        self.is_endpoint = is_endpoint
        self.keys = keys
        self.sts = SecurityTokenService(account, keys, tokens)
        self._quotas = {**DEFAULTS, **quotas}
        self.regions = ec2.regions()
        if region not in self.regions:
            raise ValueError(f"unknown AWS region {region}")
        moto_services.reset(account, region)
        ec2.prepare(account, region)  # every start of an edge has the same VPC and subnets
        moto_services.randomise()
        self.route53 = Route53(self._alias_fault)
        self.eks = ElasticKubernetesService(
            account, region, cluster, lambda: ec2.default_vpc(account, region), tokens, self.sts.for_pod
        )
        self._certificates: dict[str, CertificateManager] = {}
        self._balancing: dict[str, ElasticLoadBalancing] = {}

    def service(self, name: str, region: str) -> Service:
        """A service that moto does not implement, by boto3's name."""
        match name:
            case "route53":
                return self.route53
            case "elbv2":
                return self.balancing(region)
            case "eks" | "eks-auth":
                return self.eks
            case _:
                return self.certificates(region)

    # --- ACM

    def certificates(self, region: str) -> CertificateManager:
        if region not in self._certificates:
            self._certificates[region] = CertificateManager(self.id, region, self._users_of_certificate)
        return self._certificates[region]

    def certificates_of(self, arn: str) -> CertificateManager:
        """The region of a certificate: the one in its ARN, else the account's own."""
        for manager in self._certificates.values():
            if manager.holds(arn):
                return manager
        parts = arn.strip().split(":")
        return self.certificates(parts[3] if len(parts) > 5 and parts[2] == "acm" and parts[3] else self.region)

    def create_certificate(self, arn: str, names: tuple[str, ...]) -> None:
        self.certificates_of(arn).create(arn, names)

    def pending_certificates(self) -> tuple[PendingCertificate, ...]:
        return tuple(pending for manager in self._certificates.values() for pending in manager.pending())

    def _users_of_certificate(self, arn: str) -> Sequence[str]:
        return [user for balancing in self._balancing.values() for user in balancing.users_of_certificate(arn)]

    # --- EC2

    def create_instance(self, instance_id: str, private_ip: str, zone: str) -> None:
        ec2.create_instance(self.id, self.region, instance_id, private_ip, zone)

    def create_subnet(self, subnet_id: str, tags: Mapping[str, str], zone: int, addresses: Sequence[str]) -> None:
        ec2.create_subnet(self.id, self.region, subnet_id, tags, zone, addresses)

    def associate_ipv6_blocks(self) -> None:
        ec2.associate_ipv6_blocks(self.id, self.region)

    def create_security_group(self, group_id: str, name: str) -> None:
        ec2.create_security_group(self.id, self.region, group_id, name)

    def allocate_elastic_ip(self, allocation_id: str) -> None:
        ec2.allocate_elastic_ip(self.id, self.region, allocation_id)

    def private_address(self, instance_id: str) -> str | None:
        return ec2.private_address(self.id, self.region, instance_id)

    def default_vpc(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        return ec2.default_vpc(self.id, self.region)

    # --- ELBv2

    def balancing(self, region: str) -> ElasticLoadBalancing:
        if region not in self._balancing:
            self._balancing[region] = ElasticLoadBalancing(self.id, region, _Neighbours(self, region), self._quotas)
        return self._balancing[region]

    def balancing_of(self, arn: str) -> ElasticLoadBalancing:
        """The region in an ELBv2 ARN, else the account's own."""
        parts = arn.split(":")
        return self.balancing(parts[3] if len(parts) > 5 and parts[3] else self.region)

    def has_load_balancer(self, arn: str) -> bool:
        return self.balancing_of(arn).has_load_balancer(arn)

    # --- WAFv2

    def create_web_acl(self, name: str, arn: str) -> None:
        web_acls.create(self.id, self.region, name, arn)

    def deliver(self, bucket: str, key: str, content: bytes, instead_of: str) -> bool:
        return moto_services.deliver(self.id, bucket, key, content, instead_of)

    def web_acls(self) -> Mapping[str, str]:
        return web_acls.associations(self.id, self.region, self.has_load_balancer)

    def _alias_fault(self, alias: Alias) -> Literal["outside", "missing"] | None:
        """Whether a load balancer exists. ARNs of other services are assumed to exist."""
        name = alias.dns_name.rstrip(".")
        region = region_of(name)
        if region is None:
            return None if name.endswith((".amazonaws.com", ".cloudfront.net")) else "outside"
        if alias.hosted_zone_id != canonical_hosted_zone(name):
            return "outside"
        return None if self.balancing(region).hosted_zone_of(name) else "missing"


class _Neighbours:
    """How a region's ELBv2 reads the other services."""

    def __init__(self, account: Account, region: str) -> None:
        self._account = account
        self._region = region

    def subnets(self) -> Mapping[str, tuple[str, str]]:
        return ec2.subnet_zones(self._account.id, self._region)

    def security_groups(self) -> Mapping[str, tuple[str, str]]:
        return ec2.security_groups(self._account.id, self._region)

    def instances(self) -> Mapping[str, str]:
        return ec2.instances(self._account.id, self._region)

    def vpcs(self) -> Mapping[str, tuple[str, ...]]:
        return ec2.vpcs(self._account.id, self._region)

    def is_endpoint(self, address: str, port: int) -> bool:
        return self._account.is_endpoint(address, port)

    def elastic_addresses(self) -> Mapping[str, str]:
        return ec2.elastic_addresses(self._account.id, self._region)

    def subnet_blocks(self) -> Mapping[str, tuple[str, ...]]:
        return ec2.subnet_blocks(self._account.id, self._region)

    def certificate(self, arn: str) -> str | None:
        certificates = self._account.certificates(self._region)
        if not certificates.holds(arn):
            return None
        return "issued" if certificates.key_algorithm(arn) else "unusable"

    def user_pool_client_secret(self, arn: str, client: str) -> str:
        from lockgate.embedded.aws import user_pools

        return user_pools.client_secret(self._account.id, self._region, arn, client)

    def object(self, bucket: str, key: str) -> bytes | None:
        return moto_services.stored_object(self._account.id, bucket, key)

    def lend(self, key: str, content: bytes) -> str:
        bucket = f"elb-trust-stores-{self._region}"
        moto_services.keep_object(bucket, key, content, self._region)
        return self._account.presign(f"/{bucket}/{key}")
