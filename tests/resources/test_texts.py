"""Text from outside: ARNs, API errors, and characters that a terminal or an encoder must not get."""

from __future__ import annotations

from typing import Any

import pytest

from lockgate.resources import core, status
from lockgate.resources.arns import REGIONS, Arn, is_account, is_partition, parse_arn, partition_of
from lockgate.resources.rules.core import endpoint_addresses
from lockgate.resources.text import escaped
from lockgate.resources.unicode import visible, without_surrogates


@pytest.mark.parametrize(
    ("text", "arn"),
    [
        ("arn:aws:acm:eu-west-1:1:certificate/7", Arn("aws", "acm", "eu-west-1", "1", "certificate/7")),
        (" arn:aws:s3:::a:b:c ", Arn("aws", "s3", "", "", "a:b:c")),
        ("arn:aws:acm:eu-west-1:1", None),
        ("urn:aws:acm:eu-west-1:1:x", None),
        ("", None),
    ],
)
def test_arns(text: str, arn: Arn | None) -> None:
    assert parse_arn(text) == arn
    assert arn is None or str(arn) == text.strip()


def test_parts_of_arns() -> None:
    assert [is_account(each) for each in ("012345678901", "12345", "12345678901x")] == [True, False, False]
    assert [is_partition(each) for each in ("aws", "aws-us-gov", "aws-", "AWS")] == [True, True, False, False]
    assert {partition_of(region) for region in REGIONS} == {"aws", "aws-cn", "aws-us-gov"}
    assert partition_of("cn-north-1") == "aws-cn"


@pytest.mark.parametrize(
    ("error", "reason", "code"),
    [
        (status.NotFound, "NotFound", 404),
        (status.AlreadyExists, "AlreadyExists", 409),
        (status.Conflict, "Conflict", 409),
        (status.Invalid, "Invalid", 422),
        (status.BadRequest, "BadRequest", 400),
        (status.Forbidden, "Forbidden", 403),
        (status.Expired, "Expired", 410),
        (status.ApiError, "InternalError", 500),
    ],
)
def test_an_error_of_the_api_as_its_clients_get_it(error: type[status.ApiError], reason: str, code: int) -> None:
    found = error("no", details={"name": "web"})
    assert str(found) == "no"
    assert found.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "no",
        "reason": reason,
        "details": {"name": "web"},
        "code": code,
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode", "plain ünïcode"),
        ("\x1b[31mred\n", r"\x1b[31mred\n"),
        ("a\u202eb", r"a\u202eb"),
        ("half \ud800", r"half \ud800"),
    ],
)
def test_a_terminal_acts_on_no_text(text: str, shown: str) -> None:
    assert escaped(text) == visible(text) == shown


def test_some_characters_may_be_kept() -> None:
    assert visible("a\n\tb\x00", kept="\n\t") == "a\n\tb\\x00"


def test_unpaired_surrogates_are_replaced_everywhere() -> None:
    value: Any = {"\ud800": ["a\udc00b", {"c": "\ud83d\ude00"}, 1, None]}
    assert without_surrogates(value) == {"\ufffd": ["a\ufffdb", {"c": "\U0001f600"}, 1, None]}


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("192.0.2.1", ""),
        ("2001:db8::1", ""),
        ("web.example", ""),
        ("0.0.0.0", "may not be unspecified"),
        ("127.0.0.1", "may not be in the loopback range"),
        ("::ffff:127.0.0.1", "may not be in the loopback range"),
        ("169.254.169.254", "may not be in the link-local range"),
        ("fe80::1", "may not be in the link-local range"),
        ("224.0.0.1", "may not be in the link-local multicast range"),
    ],
)
def test_endpoints_that_nobody_may_write(address: str, problem: str) -> None:
    slice_ = core.EndpointSlice.model_validate({"addressType": "FQDN", "endpoints": [{"addresses": [address]}]})
    endpoints = core.Endpoints.model_validate({"subsets": [{"notReadyAddresses": [{"ip": address}]}]})
    for resource, place in ((slice_, "endpoints[0].addresses[0]"), (endpoints, "subsets[0].notReadyAddresses[0].ip")):
        found = [str(each) for each in endpoint_addresses(resource)]
        assert bool(found) is bool(problem)
        assert all(each.startswith(place) and problem in each for each in found)
        assert list(endpoint_addresses(resource, resource)) == []  # it was there before
