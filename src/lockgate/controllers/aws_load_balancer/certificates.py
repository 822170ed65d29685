"""Certificates that a stack asks of ACM: requested, validated by records in Route 53, deleted when nothing needs them.

Source: aws-load-balancer-controller `pkg/deploy/acm/certificate_synthesizer.go`, `certificate_manager.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lockgate.controllers.aws import AwsError
from lockgate.controllers.aws_load_balancer.existing import read_tags
from lockgate.controllers.aws_load_balancer.site import Site, retrying
from lockgate.ingress import shapes
from lockgate.ingress.stack import CLUSTER_TAG, RESOURCE_TAG, STACK_TAG, CertificateRequest, Stack

Json = Mapping[str, Any]

_ISSUE_WITHIN: Final = 60.0  # seconds; then the whole group is tried again
_RECORD_TTL: Final = 300


class NotIssued(Exception):
    """ACM has not issued a certificate yet, or has refused to."""


async def ensure(site: Site, stack: Stack) -> tuple[dict[str, str], tuple[str, ...]]:
    """ARNs of issued certificates by reference, and the ARNs of those to delete once no listener has them."""
    if "EnableCertificateManagement" not in site.settings.gates:
        return {}, ()
    found: dict[str, Json] = {}
    spare: list[str] = []
    wanted = {request.reference: request for request in stack.certificates}
    for reference, certificate in await _ours(site, stack):
        request = wanted.get(reference)
        if request is None or set(certificate["SubjectAlternativeNames"]) != set(request.names):
            spare.append(certificate["CertificateArn"])
        else:
            found[reference] = certificate
    arns: dict[str, str] = {}
    for reference, request in wanted.items():
        if reference in found:
            arns[reference] = found[reference]["CertificateArn"]
        else:
            arns[reference] = await _request(site, request)
        await _issued(site, arns[reference])
    return arns, tuple(spare)


async def delete(site: Site, arns: Iterable[str]) -> None:
    for arn in arns:
        answer = await site.aws.call("acm", "describe_certificate", CertificateArn=arn)
        await _change_records(site, answer["Certificate"], "DELETE")
        await retrying(
            lambda arn=arn: site.aws.call("acm", "delete_certificate", CertificateArn=arn),  # type: ignore[misc]
            "ResourceInUseException",
            every=5,
            within=30,
        )


async def _ours(site: Site, stack: Stack) -> list[tuple[str, Json]]:
    """The group's certificates by resource id: their tags say so."""
    statuses = ["ISSUED", "PENDING_VALIDATION"]
    listed = await site.aws.list("acm", "list_certificates", "CertificateSummaryList", CertificateStatuses=statuses)
    found = []
    for item in listed:
        arn = item["CertificateArn"]
        tags = read_tags(await site.aws.call("acm", "list_tags_for_certificate", CertificateArn=arn))
        if (tags.get(CLUSTER_TAG), tags.get(STACK_TAG)) == (site.settings.cluster_name, str(stack.group)):
            answer = await site.aws.call("acm", "describe_certificate", CertificateArn=arn)
            found.append((tags.get(RESOURCE_TAG, ""), answer["Certificate"]))
    return found


async def _request(site: Site, request: CertificateRequest) -> str:
    zones = await _zones(site)
    public = not request.authority_arn
    for name in request.names if public else ():
        if _zone_of(name, zones) is None:  # before ACM is asked: it could never be issued
            raise NotIssued(f'pre-check failed for domain "{name}": no hosted zone found for domain {name}')
    authority = {} if public else {"CertificateAuthorityArn": request.authority_arn}
    answer = await site.aws.call(
        "acm",
        "request_certificate",
        DomainName=request.names[0],
        SubjectAlternativeNames=list(request.names),
        ValidationMethod="DNS",
        Tags=shapes.tags(request.tags),
        **authority,
    )
    arn: str = answer["CertificateArn"]
    return arn


async def _issued(site: Site, arn: str) -> None:
    """Write the validation records, and wait until ACM has seen them."""
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
    """Another certificate of the same names has the same records: they are there already, or still needed."""
    zones = await _zones(site)
    for option in certificate.get("DomainValidationOptions", ()):
        zone = _zone_of(option["DomainName"], zones)
        if zone is None or "ResourceRecord" not in option:
            continue
        record = option["ResourceRecord"]
        weighted = {"SetIdentifier": site.settings.cluster_name, "Weight": site.settings.validation_record_weight}
        change = {
            "Action": action,
            "ResourceRecordSet": {
                "Name": record["Name"],
                "Type": record["Type"],
                **(weighted if site.settings.validation_record_policy == "weighted" else {}),
                "TTL": _RECORD_TTL,
                "ResourceRecords": [{"Value": record["Value"]}],
            },
        }
        try:
            await site.aws.call(
                "route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch={"Changes": [change]}
            )
        except AwsError as error:
            known = ("exist",) if action == "CREATE" else ("not found", "do not match the current values")
            if not any(text in error.message for text in known):
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
    """The zone with the longest name that the domain is in."""
    plain = name.removeprefix("*.")
    fitting = [(zone, identifier) for zone, identifier in zones if plain == zone or plain.endswith(f".{zone}")]
    return max(fitting, key=lambda item: len(item[0]))[1] if fitting else None
