"""Reads the AWS resources that a build needs: subnets, certificates, and resources that annotations reference."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lockgate.controllers.aws import Aws
from lockgate.controllers.elbv2 import read_tags
from lockgate.ingress.existing import Existing
from lockgate.ingress.references import Lookup
from lockgate.ingress.subnets import Subnet
from lockgate.ingress.world import Account, Certificate, Settings

# Without a filter, ACM lists only RSA keys of up to 2048 bits.
KEY_TYPES: Final = (
    "RSA_1024",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "EC_prime256v1",
    "EC_secp384r1",
    "EC_secp521r1",
)


async def vpc_blocks(aws: Aws, vpc_id: str) -> tuple[str, ...]:
    """The VPC's address blocks, of both families."""
    found = await aws.list("ec2", "describe_vpcs", "Vpcs", VpcIds=[vpc_id])
    return tuple(
        block
        for item in found
        for block in (
            *(each["CidrBlock"] for each in item.get("CidrBlockAssociationSet", ())),
            *(each["Ipv6CidrBlock"] for each in item.get("Ipv6CidrBlockAssociationSet", ())),
        )
    )


class AccountReader:
    def __init__(self, aws: Aws, settings: Settings, *, vpc_id: str) -> None:
        self._aws = aws
        self._allowed = settings.allowed_certificate_authorities
        self._vpc_id = vpc_id

    async def choices(self, lookups: frozenset[Lookup], existing: Existing) -> Account:
        """The resources that the build needs. The others are None."""
        reads = {
            Lookup.SUBNETS: self._subnets() if Lookup.SUBNETS in lookups else None,
            Lookup.CERTIFICATES: self._certificates() if Lookup.CERTIFICATES in lookups else None,
            Lookup.SECURITY_GROUPS: self._security_groups() if Lookup.SECURITY_GROUPS in lookups else None,
            Lookup.TRUST_STORES: self._trust_stores() if Lookup.TRUST_STORES in lookups else None,
            Lookup.TARGET_GROUPS: self._target_groups() if Lookup.TARGET_GROUPS in lookups else None,
            Lookup.WEB_ACLS: self._web_acls() if Lookup.WEB_ACLS in lookups else None,
            Lookup.VPC: vpc_blocks(self._aws, self._vpc_id) if Lookup.VPC in lookups else None,
        }
        asked = [lookup for lookup, read in reads.items() if read is not None]
        answers = dict(zip(asked, await asyncio.gather(*(read for read in reads.values() if read)), strict=True))
        return Account(
            vpc_id=self._vpc_id,
            vpc_blocks=answers.get(Lookup.VPC),  # type: ignore[arg-type]  # one dict for seven types
            subnets=answers.get(Lookup.SUBNETS, ()),  # type: ignore[arg-type]
            certificates=answers.get(Lookup.CERTIFICATES),  # type: ignore[arg-type]
            security_groups=answers.get(Lookup.SECURITY_GROUPS),  # type: ignore[arg-type]
            trust_stores=answers.get(Lookup.TRUST_STORES),  # type: ignore[arg-type]
            target_groups=answers.get(Lookup.TARGET_GROUPS),  # type: ignore[arg-type]
            web_acls=answers.get(Lookup.WEB_ACLS),  # type: ignore[arg-type]
            existing=existing.summary,
        )

    async def _subnets(self) -> tuple[Subnet, ...]:
        in_vpc = [{"Name": "vpc-id", "Values": [self._vpc_id]}]
        subnets, tables = await asyncio.gather(
            self._aws.list("ec2", "describe_subnets", "Subnets", Filters=in_vpc),
            self._aws.list("ec2", "describe_route_tables", "RouteTables", Filters=in_vpc),
        )
        public: dict[str, bool] = {}
        main = False
        for table in tables:
            leads_out = any(str(route.get("GatewayId", "")).startswith("igw") for route in table.get("Routes", ()))
            for association in table.get("Associations", ()):
                if association.get("Main"):
                    main = leads_out
                elif "SubnetId" in association:
                    public[association["SubnetId"]] = leads_out
        return tuple(
            Subnet(
                id=item["SubnetId"],
                zone=item["AvailabilityZone"],
                tags=read_tags(item),
                free_addresses=item.get("AvailableIpAddressCount", 0),
                has_ipv6=bool(item.get("Ipv6CidrBlockAssociationSet")),
                locale="outpost" if item.get("OutpostArn") else "availability-zone",
                public=public.get(item["SubnetId"], main),
                blocks=(item["CidrBlock"], *_sixth(item)),
            )
            for item in subnets
        )

    async def _certificates(self) -> tuple[Certificate, ...]:
        listed = await self._aws.list(
            "acm",
            "list_certificates",
            "CertificateSummaryList",
            CertificateStatuses=["ISSUED"],
            Includes={"keyTypes": list(KEY_TYPES)},
        )
        found = []
        for item in listed:
            arn, names = item["CertificateArn"], item.get("SubjectAlternativeNameSummaries", ())
            if item.get("HasAdditionalSubjectAlternativeNames") or self._allowed:
                answer = await self._aws.call("acm", "describe_certificate", CertificateArn=arn)
                names = answer["Certificate"].get("SubjectAlternativeNames", ())
                if self._allowed and answer["Certificate"].get("CertificateAuthorityArn", "") not in self._allowed:
                    continue
            found.append(Certificate(arn, tuple(names)))
        return tuple(found)

    async def _security_groups(self) -> dict[str, tuple[str, ...]]:
        in_vpc = [{"Name": "vpc-id", "Values": [self._vpc_id]}]
        found: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
        for item in await self._aws.list("ec2", "describe_security_groups", "SecurityGroups", Filters=in_vpc):
            found[item["GroupId"]] += (item["GroupId"],)
            if name := read_tags(item).get("Name"):
                found[name] += (item["GroupId"],)
        return dict(found)

    async def _trust_stores(self) -> dict[str, str]:
        stores = await self._aws.list("elbv2", "describe_trust_stores", "TrustStores")
        return {item["Name"]: item["TrustStoreArn"] for item in stores}

    async def _target_groups(self) -> dict[str, str]:
        groups = await self._aws.list("elbv2", "describe_target_groups", "TargetGroups")
        return {item["TargetGroupName"]: item["TargetGroupArn"] for item in groups}

    async def _web_acls(self) -> dict[str, str]:
        answer = await self._aws.call("wafv2", "list_web_acls", Scope="REGIONAL")
        return {item["Name"]: item["ARN"] for item in answer["WebACLs"]}


def _sixth(subnet: Mapping[str, Any]) -> Iterator[str]:
    return (each["Ipv6CidrBlock"] for each in subnet.get("Ipv6CidrBlockAssociationSet", ()))
