"""Certificates that the controller requests from ACM: finds them by tags, validates them in Route 53, deletes them.

Source: aws-load-balancer-controller `pkg/deploy/acm/certificate_synthesizer.go`, `certificate_manager.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.site import Site, retrying
from lockgate.controllers.elbv2 import read_tags
from lockgate.ingress.changes.certificates import RECORD_TTL, manages_certificates
from lockgate.ingress.existing import ExistingCertificate
from lockgate.ingress.stack import CLUSTER_TAG, CertificateRequest, Stack

Json = Mapping[str, Any]

_ISSUE_WITHIN: Final = 60.0  # seconds; then the whole group is retried


class NotIssued(Exception):
    """ACM has not issued a certificate yet, or has failed it."""


async def owned(site: Site, stack: Stack) -> tuple[tuple[str, ExistingCertificate], ...]:
    """The group's certificates by resource ID, according to their tags."""
    if not manages_certificates(site.settings):
        return ()
    statuses = ["ISSUED", "PENDING_VALIDATION"]
    listed = await site.aws.list("acm", "list_certificates", "CertificateSummaryList", CertificateStatuses=statuses)
    found = []
    for item in listed:
        arn = item["CertificateArn"]
        tags = read_tags(await site.aws.call("acm", "list_tags_for_certificate", CertificateArn=arn))
        if (tags.get(CLUSTER_TAG), tags.get(stack.id.STACK_TAG)) == (site.settings.cluster_name, str(stack.id)):
            answer = (await site.aws.call("acm", "describe_certificate", CertificateArn=arn))["Certificate"]
            names = frozenset(answer["SubjectAlternativeNames"])
            found.append(
                (tags.get(stack.id.RESOURCE_TAG, ""), ExistingCertificate(arn, names, answer["Status"] == "ISSUED"))
            )
    return tuple(found)


async def check_zones(site: Site, request: CertificateRequest) -> None:
    """Raises `NotIssued`, without a request to ACM, if no hosted zone can contain a validation record."""
    if request.authority_arn:
        return
    zones = await _zones(site)
    for name in request.names:
        if _zone_of(name, zones) is None:
            raise NotIssued(f'pre-check failed for domain "{name}": no hosted zone found for domain {name}')


async def delete(site: Site, arn: str) -> None:
    """Deletes the certificate and its validation records. Raises `AwsError` while it is in use."""
    answer = await site.aws.call("acm", "describe_certificate", CertificateArn=arn)
    await _change_records(site, answer["Certificate"], "DELETE")
    await retrying(
        lambda: site.aws.call("acm", "delete_certificate", CertificateArn=arn),
        "ResourceInUseException",
        every=5,
        within=30,
    )


async def validate(site: Site, arn: str) -> None:
    """Writes the validation records, and waits until ACM has issued the certificate."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _ISSUE_WITHIN
    written = False
    while True:
        certificate = (await site.aws.call("acm", "describe_certificate", CertificateArn=arn))["Certificate"]
        if certificate["Status"] == "ISSUED":
            return
        if certificate["Status"] != "PENDING_VALIDATION":
            raise NotIssued(f"certificate {arn} is {certificate['Status']}")
        options = certificate.get("DomainValidationOptions", ())
        if not written and options and all("ResourceRecord" in option for option in options):
            await _change_records(site, certificate, "CREATE")
            written = True
        if loop.time() > end:
            raise NotIssued(f"certificate {arn} has not been issued")
        await asyncio.sleep(0.2)


async def _change_records(site: Site, certificate: Json, action: str) -> None:
    """Certificates of the same names share records, so a record may already exist, or may still be needed."""
    zones = await _zones(site)
    for option in certificate.get("DomainValidationOptions", ()):
        zone = _zone_of(option["DomainName"], zones)
        if zone is None or "ResourceRecord" not in option:
            continue
        record = option["ResourceRecord"]
        change = {
            "Action": action,
            "ResourceRecordSet": {
                "Name": record["Name"],
                "Type": record["Type"],
                "TTL": RECORD_TTL,
                "ResourceRecords": [{"Value": record["Value"]}],
            },
        }
        try:
            await site.aws.call(
                "route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch={"Changes": [change]}
            )
        except AwsError as error:
            expected = ("exist",) if action == "CREATE" else ("not found", "do not match the current values")
            if not any(text in error.message for text in expected):
                raise


async def _zones(site: Site) -> list[tuple[str, str]]:
    """Public zones as (name without the last dot, id)."""
    zones = await site.aws.list("route53", "list_hosted_zones", "HostedZones")
    return [
        (zone["Name"].rstrip("."), zone["Id"].rpartition("/")[2])
        for zone in zones
        if not zone.get("Config", {}).get("PrivateZone")
    ]


def _zone_of(name: str, zones: Sequence[tuple[str, str]]) -> str | None:
    """The zone with the longest name that contains the domain."""
    plain = name.removeprefix("*.")
    fitting = [(zone, identifier) for zone, identifier in zones if plain == zone or plain.endswith(f".{zone}")]
    return max(fitting, key=lambda item: len(item[0]))[1] if fitting else None
