"""Which Service ports are reached with TLS: manifests in, ports and verified names out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from lockgate.edge.tls_backends import User, Users, tls_ports
from lockgate.resources import core, istio
from lockgate.resources.reader import read

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "edge" / "tls_backends.yaml").read_text())
SERVICE = """
kind: Service
apiVersion: v1
metadata: {name: web, namespace: shop, annotations: %s}
spec: {ports: [{name: https, port: 443, targetPort: 8443}, {name: http, port: 80}]}
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_tls_ports(case: dict[str, Any]) -> None:
    (service,) = (each.resource for each in read(SERVICE % case.get("annotations", "{}"), "web.yaml").documents)
    assert isinstance(service, core.Service)
    users = Users()
    for document in read(case["manifests"], "a.yaml").documents:
        assert isinstance(document.resource, get_args(User)), document.faults
        users.change(None, document.resource)
    found = tls_ports(service, users.of(service))
    own = ("web.shop.svc.cluster.local", "web.shop.svc", "web.shop", "web")
    assert all(names[:4] == own for names in found.values())
    assert {port: list(names[4:]) for port, names in found.items()} == case["ports"]


def rule(mode: str, host: str = "web") -> istio.DestinationRule:
    spec = {"host": host, "trafficPolicy": {"tls": {"mode": mode}}}
    return istio.DestinationRule.model_validate({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})


def test_a_change_names_the_services_that_it_affects() -> None:
    users = Users()
    web, other = ("shop", "web"), ("shop", "other")
    assert users.change(None, rule("SIMPLE")) == {web}
    assert users.change(rule("SIMPLE"), rule("SIMPLE")) == set()  # a status, for example
    assert users.change(rule("SIMPLE"), rule("DISABLE")) == {web}
    assert users.change(rule("DISABLE"), rule("DISABLE", "other")) == {web, other}
    assert users.change(rule("DISABLE", "other"), None) == {other}
    assert users == Users()
