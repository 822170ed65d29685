"""Record sets in the form of Route 53's API, and names as it lists and stores them."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.dns.load_balancers import canonical_hosted_zone, region_of
from lockgate.dns.model import (
    Alias,
    Failover,
    Geolocation,
    Latency,
    MultiValue,
    Policy,
    Records,
    RecordSet,
    Simple,
    Weighted,
)
from lockgate.dns.shapes import absolute, escaped, shape

ADDRESS = Records(60, ("192.0.2.1", "192.0.2.2"))
VALUES = {"TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}, {"Value": "192.0.2.2"}]}


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        (Weighted(0), {"Weight": 0}),
        (Latency("eu-west-1"), {"Region": "eu-west-1"}),
        (Failover("SECONDARY"), {"Failover": "SECONDARY"}),
        (MultiValue(), {"MultiValueAnswer": True}),
        (Geolocation(continent="EU"), {"GeoLocation": {"ContinentCode": "EU"}}),
        (Geolocation("", "US", "CA"), {"GeoLocation": {"CountryCode": "US", "SubdivisionCode": "CA"}}),
    ],
)
def test_a_routing_policy_has_its_fields_and_an_identifier(policy: Policy, fields: dict[str, Any]) -> None:
    found = shape(RecordSet("a.example.", "A", ADDRESS, policy, "one"))
    assert found == {"Name": "a.example.", "Type": "A", "SetIdentifier": "one", **fields, **VALUES}


def test_simple_record_sets() -> None:
    alias = Alias("lb.example.", "Z1", evaluate_target_health=True)
    target = {"HostedZoneId": "Z1", "DNSName": "lb.example.", "EvaluateTargetHealth": True}
    assert shape(RecordSet("*.a.example.", "A", alias)) == {
        "Name": r"\052.a.example.",
        "Type": "A",
        "AliasTarget": target,
    }
    checked = RecordSet("a.example.", "A", ADDRESS, Simple(), health_check_id="1-2")
    assert shape(checked) == {"Name": "a.example.", "Type": "A", **VALUES, "HealthCheckId": "1-2"}


@pytest.mark.parametrize(
    ("written", "stored", "listed"),
    [
        ("WWW.Example", "www.example.", "www.example."),
        ("*.example.", "*.example.", r"\052.example."),
        (r"\052.example", "*.example.", r"\052.example."),
        (r"a\100b.example", "a@b.example.", r"a\100b.example."),
        ("_acme-challenge.example", "_acme-challenge.example.", "_acme-challenge.example."),
    ],
)
def test_names(written: str, stored: str, listed: str) -> None:
    assert absolute(written) == stored
    assert escaped(stored) == listed


@pytest.mark.parametrize(
    ("name", "region", "zone"),
    [
        ("edge-1.eu-west-1.elb.amazonaws.com", "eu-west-1", "Z32O12XQLNTSW2"),
        ("Edge-1.EU-west-1.elb.amazonaws.com.", "eu-west-1", "Z32O12XQLNTSW2"),
        ("front-0.elb.eu-west-1.amazonaws.com", "eu-west-1", "Z2IFOLAFXWLO4F"),
        ("edge-1.xx-moon-1.elb.amazonaws.com", "xx-moon-1", "Z35SXDOTRQ7X7K"),
        ("edge.example", None, None),
    ],
)
def test_the_zone_of_an_alias_to_a_load_balancer(name: str, region: str | None, zone: str | None) -> None:
    assert (region_of(name), canonical_hosted_zone(name)) == (region, zone)
