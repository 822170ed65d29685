"""The resources of a team's AWS account that manifests rely on: zones, certificates, the node's instance."""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeAlias

from lockgate.controllers.aws import Aws, AwsError
from lockgate.edge.supply import AcmCertificate, ElasticIp, SecurityGroup, Subnet, Supply, TargetGroup, TrustStore, Zone
from lockgate.embedded.aws import AwsApi
from lockgate.resources.codes import machine as codes
from lockgate.resources.faults import Fault

Piece: TypeAlias = AcmCertificate | Subnet | SecurityGroup | ElasticIp | TargetGroup | TrustStore


class Provisioner:
    """Creates the supplied resources that do not exist yet. Like everything in an account, they are permanent."""

    def __init__(self, api: AwsApi, aws: Aws, ca: str) -> None:
        """`ca` is the edge's own CA, in PEM."""
        self._api = api
        self._ca = ca
        self._aws = aws
        self._zones: dict[str, str] = {}  # IDs by name; the first of several
        self._made: set[Zone | Piece] = set()

    async def provide(self, supply: Supply) -> tuple[Fault, ...]:
        """Returns a fault for each resource that cannot be created. All others are created."""
        faults: list[Fault] = []
        for credential in supply.credentials:
            self._api.allow_access_key(credential.access_key_id, credential.secret_access_key)
        for zone in supply.zones:
            if zone not in self._made:
                self._zones.setdefault(zone.name, zone_id(zone))
                await self._api.create_hosted_zone(zone.name, zone_id(zone))
                self._made.add(zone)
        pieces: tuple[Piece, ...] = (
            *supply.certificates,
            *supply.subnets,
            *supply.security_groups,
            *supply.elastic_ips,
            *supply.target_groups,
            *supply.trust_stores,
        )
        for piece in pieces:
            if piece not in self._made:
                try:
                    await self._make(piece)
                except (ValueError, AwsError) as error:
                    faults.append(codes.NOT_MADE.at(None, piece=piece.why.partition(":")[0], reason=error))
                else:
                    if isinstance(piece, AcmCertificate):  # in place of the one for other names
                        same = [
                            each for each in self._made if isinstance(each, AcmCertificate) and each.arn == piece.arn
                        ]
                        self._made.difference_update(same)
                    self._made.add(piece)
        if supply.ipv6:
            await self._api.associate_ipv6_blocks()
        for client in supply.user_pool_clients:
            await self._api.create_user_pool_client(client.pool_arn, client.client_id, client.secret)
        for acl in supply.web_acls:
            await self._api.create_web_acl(acl.name, acl.arn)
        return tuple(faults)

    async def _make(self, piece: Piece) -> None:
        """Raises ValueError, AwsError."""
        match piece:
            case AcmCertificate():
                await self._request(piece)
            case Subnet():
                await self._api.create_subnet(piece.id, dict(piece.tags), piece.zone, piece.addresses)
            case SecurityGroup():
                await self._api.create_security_group(piece.id, piece.name)
            case ElasticIp():
                await self._api.allocate_elastic_ip(piece.id)
            case TargetGroup():
                await self._create_target_group(piece)
            case TrustStore():
                await self._api.create_trust_store(piece.name, self._ca.encode(), piece.arn)

    async def _create_target_group(self, group: TargetGroup) -> None:
        """Its health check passes for any answer of a working program, because nobody says what path it has."""
        vpc, _, _ = await self._api.default_vpc()
        settings = {"Name": group.name, "TargetType": group.type, "Protocol": group.protocol, "Port": 80, "VpcId": vpc}
        if group.protocol != "TCP":
            settings["Matcher"] = {"HttpCode": "200-499"}
        await self._api.create_target_group(settings, group.arn)

    async def _request(self, certificate: AcmCertificate) -> None:
        """Requests a certificate and writes its validation records, as a team does in the console."""
        await self._api.create_certificate(certificate.arn, certificate.names)
        pending = next((each for each in await self._api.pending_certificates() if each.arn == certificate.arn), None)
        if pending is None:
            return  # an earlier request for the same names has been answered
        by_zone: dict[str, dict[str, str]] = {}
        for name, record, value in pending.records:
            bare = name.removeprefix("*.").rstrip(".")
            zones = [each for each in self._zones if bare == each or bare.endswith(f".{each}")]
            if not zones:
                raise ValueError(f"no hosted zone has the name {name.rstrip('.')}")
            zone = max(zones, key=len)
            by_zone.setdefault(self._zones[zone], {})[record] = value
        for zone_, records in by_zone.items():
            changes = [
                {
                    "Action": "UPSERT",
                    "ResourceRecordSet": {
                        "Name": record,
                        "Type": "CNAME",
                        "TTL": 300,
                        "ResourceRecords": [{"Value": value}],
                    },
                }
                for record, value in records.items()
            ]
            await self._aws.call(
                "route53", "change_resource_record_sets", HostedZoneId=zone_, ChangeBatch={"Changes": changes}
            )


def zone_id(zone: Zone) -> str:
    """The ID that an issuer names, or a stable one in the form of a zone ID."""
    return zone.zone_id or "Z" + blake2b(zone.name.encode(), digest_size=10).hexdigest().upper()


def instance_id(edge: str) -> str:
    return "i-" + blake2b(edge.encode(), digest_size=9).hexdigest()[:17]
