"""What is filled in beside the user's manifests, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.edge.location import Place, locate
from lockgate.edge.options import Options
from lockgate.edge.supply import covering, registrable, supply
from lockgate.resources.reader import read

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "edge" / "supply.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_supply(case: dict[str, Any]) -> None:
    documents = read(case["manifests"], "edge.yaml").documents
    given = [document.resource for document in documents if document.resource]
    options = Options((), user_pool_clients=case.get("settled", {}))
    made = supply(given, options, locate([each.manifest for each in documents], options), secret_access_key="a-secret")
    found = {
        "hosts": list(made.hosts),
        "zones": {zone.name: zone.zone_id for zone in made.zones},
        "certificates": {each.arn: list(each.names) for each in made.certificates},
        "credentials": {each.access_key_id: each.secret_access_key for each in made.credentials},
        "user_pools": {f"{each.pool_arn} {each.client_id}": each.secret for each in made.user_pool_clients},
        "web_acls": {each.name: each.arn for each in made.web_acls},
        "objects": [
            f"{each.manifest['kind']} "
            + "/".join(
                part for part in (each.manifest["metadata"].get("namespace"), each.manifest["metadata"]["name"]) if part
            )
            for each in made.objects
        ],
        "account": made.account,
        "region": made.region,
    }
    expected = {key: value for key, value in case.items() if key not in ("name", "manifests", "settled")}
    assert {key: found[key] for key in expected} == expected


def test_everything_that_is_made_is_told_and_secrets_are_not() -> None:
    documents = read(CASES[0]["manifests"], "edge.yaml").documents
    given = [document.resource for document in documents if document.resource]
    made = supply(given, Options(()), Place("123456789012", "eu-west-1"), secret_access_key="hush-hush")
    assert len(made.notes) == 4  # a zone, a certificate, a Service, a Secret; namespaces go without saying
    assert "hush-hush" not in repr(made) + "".join(made.notes)


@pytest.mark.parametrize(
    ("hosts", "zones", "names"),
    [
        (["shop.example"], ["shop.example"], ("shop.example", "*.shop.example")),
        (["a.b.shop.example"], ["shop.example"], ("shop.example", "*.shop.example", "*.b.shop.example")),
        (["*.b.shop.example"], ["shop.example"], ("shop.example", "*.shop.example", "*.b.shop.example")),
        (["*.shop.example"], ["shop.example"], ("shop.example", "*.shop.example")),
        (["elsewhere.example"], ["shop.example"], ("elsewhere.example",)),
    ],
)
def test_a_certificate_covers_the_hosts(hosts: list[str], zones: list[str], names: tuple[str, ...]) -> None:
    assert covering(hosts, zones) == names


def test_registrable() -> None:
    names = ["shop.example", "a.b.shop.example", "www.shop.co.uk", "shop.co", "*.x.shop.com.br"]
    assert [registrable(name) for name in names] == [
        "shop.example",
        "shop.example",
        "shop.co.uk",
        "shop.co",
        "shop.com.br",
    ]
