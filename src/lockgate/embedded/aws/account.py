"""One account's services by region, and what they know of each other. One thread owns all of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from lockgate.dns.model import Alias
from lockgate.embedded.aws import ec2, moto_services
from lockgate.embedded.aws.certificate_manager import CertificateManager, PendingCertificate
from lockgate.embedded.aws.protocol import Call, Result
from lockgate.embedded.aws.route53.service import Route53


class Service(Protocol):
    def answer(self, call: Call) -> Result:
        """Raises `Refusal`."""
        ...


class Account:
    """Starts empty, but for the default VPC that EC2 has in each region."""

    def __init__(self, account: str, region: str) -> None:
        self.id = account
        self.region = region
        moto_services.reset(account, region)
        self.route53 = Route53(self._alias_fault)
        self._certificates: dict[str, CertificateManager] = {}

    def service(self, name: str, region: str) -> Service:
        """One of the services that are not moto's, by boto3's name."""
        match name:
            case "route53":
                return self.route53
            case _:
                return self.certificates(region)

    # --- ACM

    def certificates(self, region: str) -> CertificateManager:
        if region not in self._certificates:
            self._certificates[region] = CertificateManager(self.id, region, self._users_of_certificate)
        return self._certificates[region]

    def certificates_of(self, arn: str) -> CertificateManager:
        """The region that holds a certificate, or would: the one in its ARN, else the account's own."""
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
        return ()

    # --- EC2

    def create_instance(self, instance_id: str, private_ip: str, zone: str) -> None:
        ec2.create_instance(self.id, self.region, instance_id, private_ip, zone)

    def default_vpc(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        return ec2.default_vpc(self.id, self.region)

    # --- ELBv2

    def report_target_health(
        self, target_group_arn: str, target_id: str, port: int, state: str, reason: str, description: str
    ) -> None:
        pass

    def _alias_fault(self, alias: Alias) -> Literal["outside", "missing"] | None:
        return None
