"""ACM through boto3: a certificate's life, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aws_lab import Lab, certificate, lab, refusal


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab() as made:
        yield made


@pytest.fixture(scope="module")
def acm(running: Lab) -> Any:
    return running.client("acm")


def _requested(acm: Any, *names: str, **more: Any) -> str:
    more = {"ValidationMethod": "DNS", **more}
    others = {"SubjectAlternativeNames": list(names[1:])} if names[1:] else {}
    return str(acm.request_certificate(DomainName=names[0], **others, **more)["CertificateArn"])


def test_a_certificate_from_request_to_issue(running: Lab, acm: Any) -> None:
    arn = _requested(acm, "*.tidewater.example", "tidewater.example")
    (pending,) = (item for item in running.run(running.api.pending_certificates()) if item.arn == arn)
    described = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert described["Status"] == "PENDING_VALIDATION"
    assert "IssuedAt" not in described
    assert described["SubjectAlternativeNames"] == ["*.tidewater.example", "tidewater.example"]
    records = [
        (option["DomainName"], option["ResourceRecord"]["Name"], option["ResourceRecord"]["Value"])
        for option in described["DomainValidationOptions"]
    ]
    assert tuple(records) == pending.records
    assert refusal(acm.get_certificate, CertificateArn=arn)[0] == "RequestInProgressException"
    assert running.run(running.api.certificate_material(arn)) is None

    root = certificate("A Root", ca=True)
    leaf, key = certificate("*.tidewater.example", "tidewater.example", issuer=root)
    running.run(running.api.issue_certificate(arn, leaf + root[0], key))
    described = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert described["Status"] == "ISSUED"
    assert described["Issuer"] == "A Root"
    assert {option["ValidationStatus"] for option in described["DomainValidationOptions"]} == {"SUCCESS"}
    assert acm.get_certificate(CertificateArn=arn)["Certificate"] == leaf
    assert acm.get_certificate(CertificateArn=arn)["CertificateChain"] == root[0]
    assert running.run(running.api.certificate_material(arn)) == (leaf + root[0], key)
    assert not [item for item in running.run(running.api.pending_certificates()) if item.arn == arn]


def test_an_expired_certificate_cannot_be_used_by_a_listener(running: Lab, acm: Any) -> None:
    arn = _requested(acm, "old.example")
    running.run(running.api.issue_certificate(arn, *certificate("old.example", days=-1)))
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "EXPIRED"
    _, subnets, _ = running.run(running.api.default_vpc())
    elbv2 = running.client("elbv2")
    balancer = elbv2.create_load_balancer(Name="old", Subnets=list(subnets[:2]))["LoadBalancers"][0]
    code, _ = refusal(
        elbv2.create_listener,
        LoadBalancerArn=balancer["LoadBalancerArn"],
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": arn}],
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )
    assert code == "UnsupportedCertificate"


def test_a_domain_and_its_wildcard_share_a_record_and_keep_it(acm: Any) -> None:
    def records(*names: str) -> set[tuple[str, str]]:
        found = acm.describe_certificate(CertificateArn=_requested(acm, *names))["Certificate"]
        options = [option["ResourceRecord"] for option in found["DomainValidationOptions"]]
        return {(option["Name"], option["Value"]) for option in options}

    (once,) = records("shared.example", "*.shared.example")
    (again,) = records("*.shared.example")
    (other,) = records("other.example")
    assert once == again
    assert once[0].endswith(".shared.example.")
    assert once[1] != other[1]
    assert other[1].endswith(".acm-validations.aws.")


def test_any_string_can_be_an_arn(running: Lab, acm: Any) -> None:
    running.run(running.api.create_certificate("the-arn", ("odd.example",)))
    assert acm.describe_certificate(CertificateArn="the-arn")["Certificate"]["DomainName"] == "odd.example"


def test_it_is_in_the_region_of_its_arn(running: Lab) -> None:
    arn = "arn:aws:acm:eu-west-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
    running.run(running.api.create_certificate(arn, ("far.example",)))
    there = running.client("acm", region="eu-west-1")
    assert there.describe_certificate(CertificateArn=arn)["Certificate"]["DomainName"] == "far.example"
    here = refusal(running.client("acm").describe_certificate, CertificateArn=arn)
    assert here == ("ResourceNotFoundException", f"Could not find certificate {arn}.")


def test_an_idempotency_token_gives_the_same_certificate(acm: Any) -> None:
    first = _requested(acm, "token.example", IdempotencyToken="a")
    assert _requested(acm, "token.example", IdempotencyToken="a") == first
    assert _requested(acm, "token.example", IdempotencyToken="b") != first


@pytest.mark.parametrize(
    ("parameters", "code", "words"),
    [
        ({"DomainName": "not a domain!"}, "ValidationException", "at 'domainName' failed to satisfy constraint"),
        ({"DomainName": "a.*.example"}, "ValidationException", "at 'domainName' failed to satisfy constraint"),
        ({"DomainName": f"{'a' * 60}.long.example"}, "ValidationException", "no longer than 64 octets"),
        ({"DomainName": "a.example", "KeyAlgorithm": "RSA_4096"}, "ValidationException", "can only be imported"),
        (
            {"DomainName": "a.example", "SubjectAlternativeNames": [f"{n}.example" for n in range(20)]},
            "LimitExceededException",
            "can have 10 names; 21 were given",
        ),
    ],
)
def test_requests_that_are_refused(acm: Any, parameters: dict[str, Any], code: str, words: str) -> None:
    refused, message = refusal(acm.request_certificate, ValidationMethod="DNS", **parameters)
    assert refused == code
    assert words in message


def test_an_imported_certificate_is_kept_and_replaced(running: Lab, acm: Any) -> None:
    root = certificate("Own Root", ca=True)
    leaf, key = certificate("import.example", issuer=root)
    arn = acm.import_certificate(Certificate=leaf, PrivateKey=key, CertificateChain=root[0])["CertificateArn"]
    described = acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert (described["Type"], described["Status"]) == ("IMPORTED", "ISSUED")
    assert described["KeyAlgorithm"] == "EC_prime256v1"
    assert described["RenewalEligibility"] == "INELIGIBLE"
    assert running.run(running.api.certificate_material(arn)) == (leaf + root[0], key)
    newer, newer_key = certificate("import.example")
    again = acm.import_certificate(CertificateArn=arn, Certificate=newer, PrivateKey=newer_key)["CertificateArn"]
    assert again == arn
    assert running.run(running.api.certificate_material(arn)) == (newer, newer_key)
    shown = [item["CertificateArn"] for item in acm.list_certificates()["CertificateSummaryList"]]
    assert arn not in shown, "only RSA up to 2048 is listed by default"
    shown = acm.list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]
    assert arn in [item["CertificateArn"] for item in shown]
    acm.delete_certificate(CertificateArn=arn)
    assert refusal(acm.get_certificate, CertificateArn=arn)[0] == "ResourceNotFoundException"


def test_imports_that_are_refused(acm: Any) -> None:
    leaf, key = certificate("import.example")
    unrelated, other_key = certificate("import.example")
    old, old_key = certificate("import.example", days=-1)

    def refused(*given: str) -> str:
        parts = dict(zip(("Certificate", "PrivateKey", "CertificateChain"), given, strict=False))
        code, message = refusal(acm.import_certificate, **parts)
        assert code == "ValidationException"
        return message

    assert refused(leaf, other_key) == "The private key does not match the certificate."
    assert refused(old, old_key) == "The certificate has expired."
    assert refused(leaf + unrelated, key).startswith("The certificate field contains more than one certificate.")
    assert refused(leaf, key, unrelated) == "Could not validate the certificate with the certificate chain."
    assert refused("nonsense", key) == "The certificate is not a valid PEM."
    assert refused(leaf, "nonsense") == "The private key is not supported."


def test_listing_by_status_in_pages(acm: Any) -> None:
    for name in ("one.page.example", "two.page.example"):
        _requested(acm, name)
    pages = acm.get_paginator("list_certificates").paginate(
        CertificateStatuses=["PENDING_VALIDATION"], PaginationConfig={"PageSize": 1}
    )
    found = [page["CertificateSummaryList"] for page in pages]
    assert {len(page) for page in found} == {1}
    assert {item["Status"] for page in found for item in page} == {"PENDING_VALIDATION"}


def test_tags(acm: Any) -> None:
    arn = _requested(acm, "tags.example", Tags=[{"Key": "team", "Value": "edge"}])
    acm.add_tags_to_certificate(CertificateArn=arn, Tags=[{"Key": "stage", "Value": "test"}])
    acm.remove_tags_from_certificate(CertificateArn=arn, Tags=[{"Key": "team"}])
    assert acm.list_tags_for_certificate(CertificateArn=arn)["Tags"] == [{"Key": "stage", "Value": "test"}]
