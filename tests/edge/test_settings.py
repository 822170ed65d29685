"""`lockgate.yaml`: its valid content, and the faults of invalid content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lockgate.edge.location import locate
from lockgate.edge.options import Options
from lockgate.edge.supply import supply
from lockgate.ingress.manifests import DEFAULTS
from lockgate.runtime.reading.files import load
from lockgate.runtime.settings import BadSettings, Settings, find, read
from tests.edge.conftest import Start

WHOLE = """
account: "210987654321"
region: eu-west-1
hostedZones: {shop.example: Z0123456789}
userPoolClients: {7k2qd7amucdgr7ajsmgb14dmmq: its secret}
backends: {shop/web:3000: http://127.0.0.1:5173}
ports: {443: 8443, proxy: 3128}
openProxy: true
quotas: {application-load-balancers: 120}
"""


def test_it_is_found_in_the_folders_and_is_not_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "lockgate.yaml").write_text(WHOLE)
    (tmp_path / "web.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
    )
    assert find([str(tmp_path)]) == tmp_path / "lockgate.yaml"
    assert load([str(tmp_path)]).faults == ()


def test_it_says_options_and_names_what_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "lockgate.yaml").write_text(WHOLE)
    settings = read(tmp_path / "lockgate.yaml")
    assert settings.backend_options() == ["shop/web:3000=http://127.0.0.1:5173"]
    assert settings.user_pool_clients == {"7k2qd7amucdgr7ajsmgb14dmmq": "its secret"}
    assert "its secret" not in repr(settings)
    assert settings.port_options() == ["443=8443", "proxy=3128"]
    assert settings.quotas == {"application-load-balancers": 120}
    options = Options((), account=settings.account, region=settings.region, hosted_zones=settings.hosted_zones)
    made = supply([], options, locate([], options), DEFAULTS, secret_access_key="x")
    assert (made.place.account, made.place.region) == ("210987654321", "eu-west-1")
    assert [(zone.name, zone.zone_id) for zone in made.zones] == [("shop.example", "Z0123456789")]


def test_opened_ports_are_reported_but_not_secrets(tmp_path: Path) -> None:
    file = tmp_path / "lockgate.yaml"
    file.write_text(WHOLE + "supply: false\n")
    opened = read(file).opened(file)
    assert [each.partition(f", as {file} says")[0] for each in opened] == [
        "proxy: lets clients reach any host",
        "Service shop/web:3000: answered by http://127.0.0.1:5173",
        "listener 443: on port 8443",
        "proxy: on port 3128",
        "nothing else is supplied",
    ]
    assert Settings().opened(file) == ()


def test_an_empty_one_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "lockgate.yaml").write_text("# nothing yet\n")
    assert read(tmp_path / "lockgate.yaml") == Settings()


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("regoin: eu-west-1", ":1:1: regoin: no such setting, did you mean region?"),
        ("region: Ireland", "region: Ireland is not a region of AWS"),
        ("account: 1", ":1:10: account: must be text: put it in quotes"),
        ("hostedZones: {x.example: abc}", ":1:26: hostedZones.x.example: the id of a hosted zone is"),
        ("ports: {443: 0}", ":1:14: ports.443: must be greater than 0"),
        ("quotas: {load-balancers: 60}", ":1:10: quotas.load-balancers: not a quota that AWS adjusts"),
        ("quotas: {application-load-balancer: 60}", "did you mean application-load-balancers"),
        ("quotas: {condition-values-per-alb-rule: 9}", "not a quota that AWS adjusts"),
        ("quotas: {trust-stores: 0}", "must be greater than 0"),
        ("ports: [", ":2:1: expected a value"),
        ("[" * 5000 + "]" * 5000, ":1:103: maps and lists are nested deeper than 100 levels"),
        ("[]", ":1:1: must be a map of settings"),
        ("openProxy: maybe", ":1:12: openProxy: must be true or false"),
        ("backends: [a]", ":1:1: backends: must be a map"),
        ('supply: "\\x1b"\nuserPoolClients: {a: [hunter2]}', ":1:9: supply: must be true or false"),
        ('account: "１２３４５６７８９０１２"', "an account is 12 digits"),
    ],
)
def test_a_fault_is_one_line(tmp_path: Path, text: str, reported: str) -> None:
    (tmp_path / "lockgate.yaml").write_text(text)
    with pytest.raises(BadSettings) as error:
        read(tmp_path / "lockgate.yaml")
    assert str(error.value).startswith(f"{tmp_path}/lockgate.yaml")
    assert reported in str(error.value)
    assert "\n" not in str(error.value)


ONE_TOO_MANY = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/actions.hello: >-
      {{"type": "fixed-response", "fixedResponseConfig": {{"statusCode": "200"}}}}
spec:
  defaultBackend: {{service: {{name: hello, port: {{name: use-annotation}}}}}}
---
"""


@pytest.mark.edge
def test_the_accounts_quotas_are_the_apis(up: Start, tmp_path: Path) -> None:
    (tmp_path / "lockgate.yaml").write_text("quotas: {application-load-balancers: 1}\n")
    (tmp_path / "ingresses.yaml").write_text("".join(ONE_TOO_MANY.format(name=name) for name in ("one", "two")))
    edge = up(tmp_path)
    assert "api error TooManyLoadBalancers" in edge.until("TooManyLoadBalancers")
    limits = "Limits[?Name==`application-load-balancers`].Max"
    [url] = edge.status()["urls"]
    assert url.startswith("http://internal-k8s-default-")
    assert edge.curl("-o", os.devnull, "-w", "%{http_code}", url) == "200"
    assert edge.exec("aws", "elbv2", "describe-account-limits", "--query", limits, "--output", "text").strip() == "1"
