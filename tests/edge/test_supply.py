"""What is filled in beside the user's manifests, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lockgate.edge.location import locate
from lockgate.edge.options import Options
from lockgate.edge.supply import Supply, supply
from lockgate.edge.supply.hosts import common_parent, covering, registrable
from lockgate.ingress.flags import controller
from lockgate.ingress.manifests import DEFAULTS
from lockgate.resources.reader import read

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "edge" / "supply.yaml").read_text())


def supplied(text: str, options: Options, secret: str = "a-secret") -> Supply:
    documents = read(text, "edge.yaml").documents
    given = [document.resource for document in documents if document.resource]
    settings = controller(given, DEFAULTS).settings
    place = locate([each.manifest for each in documents], options)
    return supply(given, options, place, settings, secret_access_key=secret)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_supply(case: dict[str, Any]) -> None:
    made = supplied(case["manifests"], Options((), user_pool_clients=case.get("settled", {})))
    found = {
        "hosts": list(made.hosts),
        "zones": {zone.name: zone.zone_id for zone in made.zones},
        "zones with ids": [f"{zone.name} {zone.zone_id or 'any'}" for zone in made.zones],
        "certificates": {each.arn: list(each.names) for each in made.certificates},
        "credentials": {each.access_key_id: each.secret_access_key for each in made.credentials},
        "subnets": [" ".join((f"{each.id or dict(each.tags)} {each.zone}", *each.addresses)) for each in made.subnets],
        "security groups": [each.id or f"Name={each.name}" for each in made.security_groups],
        "target groups": [
            f"{each.name} {each.arn or 'any'} of {each.type} {each.protocol}" for each in made.target_groups
        ],
        "trust stores": [f"{each.name} {each.arn or 'any'}" for each in made.trust_stores],
        "node ports": [f"{each.namespace}/{each.service}:{each.port} {each.number}" for each in made.node_ports],
        "user_pools": {f"{each.pool_arn} {each.client_id}": each.secret for each in made.user_pool_clients},
        "web_acls": {each.name: each.arn for each in made.web_acls},
        "objects": [
            f"{each.manifest['kind']} "
            + "/".join(
                part for part in (each.manifest["metadata"].get("namespace"), each.manifest["metadata"]["name"]) if part
            )
            for each in made.objects
        ],
        "key pairs": {
            f"{each.namespace}/{each.name}": "CA" if each.authority else list(each.names) for each in made.key_pairs
        },
        "services": {
            each.manifest["metadata"]["name"]: each.manifest["spec"]
            for each in made.objects
            if each.manifest["kind"] == "Service"
        },
        "account": made.place.account,
        "region": made.place.region,
        "notes": list(made.notes),
    }
    expected = {key: value for key, value in case.items() if key not in ("name", "manifests", "settled")}
    assert {key: found[key] for key in expected} == expected


def test_everything_that_is_made_is_reported_and_secrets_are_not() -> None:
    made = supplied(CASES[0]["manifests"], Options(()), "hush-hush")
    assert len(made.notes) == 5  # a zone, a certificate, a Service, a Secret, namespaces
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


@pytest.mark.parametrize(
    ("names", "parent"),
    [
        (["a.dev.shop.example", "*.dev.shop.example"], "dev.shop.example"),
        (["a.shop.example", "b.shop.example"], "shop.example"),
        (["shop.example", "other.example"], "example"),
        ([], ""),
    ],
)
def test_common_parent(names: list[str], parent: str) -> None:
    assert common_parent(names) == parent


NAMED = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:eu-west-2:111122223333:certificate/1
    alb.ingress.kubernetes.io/subnets: a,b
    alb.ingress.kubernetes.io/auth-idp-cognito: >-
      {"userPoolARN": "arn:aws:cognito-idp:eu-west-2:111122223333:userpool/eu-west-2_A", "userPoolClientID": "one",
      "userPoolDomain": "shop"}
spec: {ingressClassName: alb, rules: [{host: shop.example}]}
---
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec: {}
"""


def test_without_supply_there_is_what_lockgate_yaml_names() -> None:
    options = Options(
        (), supply=False, hosted_zones={"shop.example": "Z1"}, user_pool_clients={"one": "its secret", "two": "x"}
    )
    made = supplied(NAMED, options)
    assert made.place.region == "eu-west-2"
    assert made.hosts == ("shop.example",)
    assert [(each.name, each.zone_id) for each in made.zones] == [("shop.example", "Z1")]
    assert [each.client_id for each in made.user_pool_clients] == ["one"]
    assert [each.manifest["metadata"]["name"] for each in made.objects] == ["istio-system"]  # by istioctl
    assert not (made.certificates or made.subnets or made.security_groups or made.web_acls or made.credentials)
    assert supplied(NAMED, Options((), supply=False)).notes == ()
