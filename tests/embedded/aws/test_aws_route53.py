"""Route 53 through boto3: changes by table, then zones, listings and what hangs on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml
from aws_lab import Lab, lab, refusal

TABLE = yaml.safe_load((Path(__file__).parents[2] / "cases/aws/route53_refusals.yaml").read_text())
_ids = count(1)


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def route53(running: Lab) -> Any:
    return running.client("route53")


@pytest.fixture(scope="module")
def load_balancer(running: Lab) -> dict[str, str]:
    _, subnets, _ = running.run(running.api.default_vpc())
    create = running.client("elbv2").create_load_balancer
    [made] = create(Name="edge", Subnets=list(subnets[:2]))["LoadBalancers"]
    [front] = create(Name="front", Type="network", Subnets=[subnets[0]])["LoadBalancers"]
    network = {"nlb": front["DNSName"], "nzone": front["CanonicalHostedZoneId"]}
    return {"lb": made["DNSName"], "zone": made["CanonicalHostedZoneId"]} | network


@pytest.fixture
def zone(running: Lab) -> str:
    """A zone of this test's own; many may have one name."""
    identity = f"ZONE{next(_ids)}"
    running.run(running.api.create_hosted_zone("tidewater.example", identity))
    return identity


def _change(line: str) -> dict[str, Any]:
    action, name, kind, rest = line.split(" ", 3)
    record_set: dict[str, Any] = {"Name": name, "Type": kind}
    if rest.startswith("-> "):
        target, zone = rest[3:].split()
        record_set["AliasTarget"] = {"DNSName": target, "HostedZoneId": zone, "EvaluateTargetHealth": True}
        return {"Action": action, "ResourceRecordSet": record_set}
    ttl, value = rest.split(" ", 1)
    if found := re.search(r" @(\S+)$", value):
        record_set |= {"MultiValueAnswer": True, "SetIdentifier": found[1]}
        value = value[: found.start()]
    if found := re.search(r" %(\d+) (\S+)$", value):
        record_set |= {"Weight": int(found[1]), "SetIdentifier": found[2]}
        value = value[: found.start()]
    record_set |= {"TTL": int(ttl), "ResourceRecords": [{"Value": part} for part in value.split("|")]}
    return {"Action": action, "ResourceRecordSet": record_set}


def _batch(lines: list[str]) -> dict[str, Any]:
    return {"Changes": [_change(line) for line in lines]}


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_change(route53: Any, zone: str, load_balancer: dict[str, str], case: dict[str, Any]) -> None:
    servers = route53.get_hosted_zone(Id=zone)["DelegationSet"]["NameServers"]
    values = load_balancer | {"ns": "|".join(f"{server}." for server in servers)}

    def filled(text: str) -> str:
        return Template(text.replace(" Z1", f" {zone}")).safe_substitute(values)

    for line in case.get("before", ()):
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=_batch([filled(line)]))
    batch = _batch([filled(line) for line in case["changes"]])
    if "refused" in case:
        code, message = refusal(route53.change_resource_record_sets, HostedZoneId=zone, ChangeBatch=batch)
        assert (code, message) == ("InvalidChangeBatch", filled(case["refused"]))
    else:
        info = route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)["ChangeInfo"]
        assert info["Status"] == "PENDING"
        assert route53.get_change(Id=info["Id"])["ChangeInfo"]["Status"] == "INSYNC"
    if "after" in case:
        found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        kept = [f"{item['Name']} {item['Type']}" for item in found if item["Type"] not in ("NS", "SOA")]
        assert kept == case["after"]


def test_names_are_listed_from_the_right_and_paged(route53: Any, zone: str) -> None:
    names = ["b.tidewater.example", "*.tidewater.example", "a.b.tidewater.example", "_acme-challenge.tidewater.example"]
    lines = [f'UPSERT {name} TXT 60 "x"' for name in names]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=_batch(lines))
    expected = [
        "tidewater.example.",
        "tidewater.example.",
        "\\052.tidewater.example.",
        "_acme-challenge.tidewater.example.",
        "b.tidewater.example.",
        "a.b.tidewater.example.",
    ]
    found = route53.list_resource_record_sets(HostedZoneId=zone)
    assert [item["Name"] for item in found["ResourceRecordSets"]] == expected
    pages = route53.get_paginator("list_resource_record_sets").paginate(
        HostedZoneId=zone, PaginationConfig={"PageSize": 2}
    )
    sets = [page["ResourceRecordSets"] for page in pages]
    assert [len(page) for page in sets] == [2, 2, 2]
    assert [item["Name"] for page in sets for item in page] == expected


def test_a_zone_is_made_found_and_deleted(route53: Any, running: Lab) -> None:
    made = route53.create_hosted_zone(
        Name="Made.Example", CallerReference="once", HostedZoneConfig={"Comment": "for a test"}
    )
    zone = made["HostedZone"]["Id"]
    assert made["HostedZone"]["Name"] == "made.example."
    assert made["Location"].endswith(zone)
    assert len(made["DelegationSet"]["NameServers"]) == 4
    again = refusal(route53.create_hosted_zone, Name="made.example", CallerReference="once")
    assert again[0] == "HostedZoneAlreadyExists"
    by_name = route53.list_hosted_zones_by_name(DNSName="made.example", MaxItems="1")
    assert [item["Id"] for item in by_name["HostedZones"]] == [zone]
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=_batch(["CREATE w.made.example A 60 192.0.2.1"]))
    assert refusal(route53.delete_hosted_zone, Id=zone) == (
        "HostedZoneNotEmpty",
        "The specified hosted zone contains non-required resource record sets and so cannot be deleted.",
    )
    assert any(kept.name == "made.example." for kept in running.run(running.api.hosted_zones()))
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=_batch(["DELETE w.made.example A 60 192.0.2.1"]))
    route53.delete_hosted_zone(Id=zone)
    bare = zone.rpartition("/")[2]
    assert refusal(route53.get_hosted_zone, Id=zone) == ("NoSuchHostedZone", f"No hosted zone found with ID: {bare}")


def test_a_change_that_never_was(route53: Any) -> None:
    assert refusal(route53.get_change, Id="C0")[0] == "NoSuchChange"


@pytest.mark.parametrize(
    ("record_set", "words"),
    [
        ({"TTL": 1}, "Expected exactly one of [AliasTarget"),
        ({"TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}], "SetIdentifier": "x"}, "together with SetIdentifier"),
        ({"TTL": 1, "ResourceRecords": [{"Value": "192.0.2.1"}], "Weight": 1}, "together with SetIdentifier"),
    ],
)
def test_fields_that_cannot_be_combined(route53: Any, zone: str, record_set: dict[str, Any], words: str) -> None:
    change = {"Action": "CREATE", "ResourceRecordSet": {"Name": "w.tidewater.example", "Type": "A", **record_set}}
    code, message = refusal(route53.change_resource_record_sets, HostedZoneId=zone, ChangeBatch={"Changes": [change]})
    assert code == "InvalidInput"
    assert words in message


@pytest.mark.parametrize("most", ["0", "-1", "many", "²"])
def test_invalid_numbers_of_items(route53: Any, most: str) -> None:
    assert refusal(route53.list_hosted_zones, MaxItems=most)[0] == "InvalidInput"


def test_tags_and_health_checks(route53: Any, zone: str) -> None:
    route53.change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=zone, AddTags=[{"Key": "team", "Value": "edge"}]
    )
    found = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)["ResourceTagSet"]
    assert found["Tags"] == [{"Key": "team", "Value": "edge"}]
    check = route53.create_health_check(
        CallerReference="one", HealthCheckConfig={"Type": "TCP", "IPAddress": "192.0.2.1", "Port": 443}
    )["HealthCheck"]
    assert route53.get_health_check(HealthCheckId=check["Id"])["HealthCheck"]["HealthCheckConfig"]["Port"] == 443
    route53.delete_health_check(HealthCheckId=check["Id"])
    assert refusal(route53.get_health_check, HealthCheckId=check["Id"])[0] == "NoSuchHealthCheck"


def test_the_api_answers_like_its_name_servers(route53: Any, zone: str) -> None:
    route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch=_batch(["CREATE *.tidewater.example A 60 192.0.2.1"])
    )
    found = route53.test_dns_answer(HostedZoneId=zone, RecordName="any.tidewater.example", RecordType="A")
    assert (found["ResponseCode"], found["RecordData"]) == ("NOERROR", ["192.0.2.1"])
